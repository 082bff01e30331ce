"""Run projects' own tests with other versions: `python -m tools.versions FOLDER PYTHON RESOLUTION`.

It renders a project of each task below FOLDER, installs it with that Python, and runs its tests.
RESOLUTION is `highest` or `lowest-direct`, as for uv. Names of tasks after it select these tasks.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import copier

from tests.support.files import read_pyproject
from tests.support.template import LOGGERS, TASKS, copy_template

# All of them, since a package of any logger may be too old for another one.
ANSWERS = {"logger": list(LOGGERS), "container": "none", "ci": "none"}


def passes_own_tests(task: str, folder: Path, python: str, resolution: str) -> bool:
    """Whether the own tests of a new project pass, with none skipped."""
    shutil.rmtree(folder, ignore_errors=True)
    answers = {"task": task, "project_name": f"Versions {task}", **ANSWERS}
    copier.run_copy(str(copy_template()), folder, answers, defaults=True, quiet=True)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    extras = ",".join(read_pyproject(folder)["project"].get("optional-dependencies", {}))
    install = ["uv", "pip", "install", "--resolution", resolution, "--editable", f".[{extras}]"]
    for command in (["uv", "venv", "--python", python], [*install, "--group", "dev"]):
        done = run(*command)
        if done.returncode != 0:
            sys.exit(done.stderr)
    tested = run("uv", "run", "--no-sync", "pytest", "--quiet")
    *_, summary = tested.stdout.splitlines()
    print(f"{task}: {summary}", flush=True)
    passed = tested.returncode == 0 and "skipped" not in summary
    if not passed:
        print(tested.stdout, tested.stderr, flush=True)
    return passed


def main(folder: Path, python: str, resolution: str, tasks: list[str]) -> None:
    failed = []
    for task in tasks or TASKS:
        if not passes_own_tests(task, folder / task, python, resolution):
            failed.append(task)
        shutil.rmtree(folder / task / ".venv")  # of some gigabytes
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3], sys.argv[4:])
