"""A person's first day with the default project, from outside: `make demo`, then its own tools."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support.tasks import task_settings
from tests.support.template import ROOT
from tools.scoreboard import COMPARE

pytestmark = pytest.mark.slow

TEST_SETTINGS = ("PYTEST", "VIRTUAL_ENV", "PYTHONPATH")
# Modules that take seconds to import.
SLOW_MODULES = ("torch", "lightning", "torchmetrics", "numpy", "copier")
# Runs the console script, and prints which of these it imported.
LIST_IMPORTS = """
import runpy
import sys

sys.argv = [{script!r}, "--help"]
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit as ended:
    assert not ended.code
print("IMPORTED", *[name for name in {modules} if name in sys.modules])
"""


@pytest.fixture(scope="module")
def run() -> Callable[..., str]:
    """`run(*command, cwd)` runs a command as a person does, and returns what it prints."""
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith(TEST_SETTINGS)
    }

    def run(*command: str, cwd: Path) -> str:
        ended = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
        output = f"{command}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
        assert ended.returncode == 0, output
        return ended.stdout + ended.stderr

    return run


@pytest.fixture(scope="module")
def project(
    run: Callable[..., str], tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Path:
    """The project of `make demo`: rendered from the last commit, installed, trained and tested.

    The workers of pytest-xdist share it.
    """
    base = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        base = base.parent
    folder = base / "day" / "my-project"
    with FileLock(base / "day.lock"):
        if not (folder / "demo.txt").exists():
            output = run(sys.executable, "-m", "tools.demo", str(folder), cwd=ROOT)
            (folder / "demo.txt").write_text(output)
    return folder


@pytest.mark.long
def test_demo_reaches_its_goal(project: Path) -> None:
    """The demo keeps to the bounds of the default task's scores, and says where the run is."""
    output = (project / "demo.txt").read_text()
    accuracy = re.search(r"test accuracy (\d\.\d+) after \d+ s", output)
    folder = re.search(r"the run is in (.+)", output)
    assert accuracy
    assert folder
    result = json.loads((Path(folder[1]) / "test.json").read_text())
    assert accuracy[1] == f"{result['test/accuracy']:.4f}"
    for metric, text in task_settings("image_classification").scores[""].items():
        sign, bound = text.split()
        assert COMPARE[sign](result[metric], float(bound)), metric


@pytest.mark.long
def test_help_imports_nothing_slow(run: Callable[..., str], project: Path) -> None:
    """`my-project --help` answers without torch, Lightning and the like. `make bench` times it."""
    environment = project / ".venv" / "bin"
    code = LIST_IMPORTS.format(script=str(environment / "my-project"), modules=SLOW_MODULES)
    output = run(str(environment / "python"), "-c", code, cwd=project)
    assert "preset/debug" in output
    assert output.splitlines()[-1].split() == ["IMPORTED"]


@pytest.mark.long
def test_own_checks_pass(run: Callable[..., str], project: Path) -> None:
    """The project passes its own linter, formatter, type checker, and the hooks that run them."""
    run("uv", "run", "ruff", "check", cwd=project)
    run("uv", "run", "ruff", "format", "--check", cwd=project)
    run("uv", "run", "pyrefly", "check", cwd=project)
    run("git", "add", "--all", cwd=project)
    run("uv", "run", "pre-commit", "run", "--all-files", cwd=project)


@pytest.mark.long
def test_own_tests_pass(run: Callable[..., str], project: Path) -> None:
    """The project's own tests pass; only those of the extra `hub` are skipped."""
    output = run("uv", "run", "pytest", "-q", "-rs", cwd=project)
    assert " passed" in output
    assert "failed" not in output
    for line in re.findall("^SKIPPED.*", output, re.MULTILINE):
        assert "could not import 'datasets'" in line


def test_wheel_installs_elsewhere(
    run: Callable[..., str], render: Callable[..., Path], tmp_path: Path
) -> None:
    """The wheel, installed in a new environment, answers and trains in a folder without configs."""
    project = render(tmp_path / "project")
    run("uv", "build", "--wheel", "--quiet", "--out-dir", str(tmp_path), cwd=project)
    [wheel] = tmp_path.glob("*.whl")
    run("uv", "venv", "--quiet", str(tmp_path / "env"), cwd=tmp_path)
    binaries = tmp_path / "env" / "bin"
    install = ["uv", "pip", "install", "--quiet", "--python", str(binaries / "python")]
    run(*install, str(wheel), cwd=tmp_path)
    command = str(binaries / "my-project")
    assert "preset/debug" in run(command, "--help", cwd=tmp_path)
    run(command, "fit", "-c", "preset/debug", cwd=tmp_path)
