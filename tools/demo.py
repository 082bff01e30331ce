"""What the README shows first: `python -m tools.demo FOLDER`.

Renders the default project into the folder, installs it, trains it and tests it.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = ("uv", "run", "my-project")
RUN = "demo"
GOAL = 0.98  # accuracy


def run(*command: str, folder: Path) -> None:
    """Show a command, and run it in the project's own environment."""
    print("$", *command, flush=True)
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(command, cwd=folder, env=variables, check=True)


def render(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    print("$ copier copy --defaults", ROOT.name, folder.name, flush=True)
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults"]
    # Without a reference, Copier would take the newest tag.
    subprocess.run([*command, "--vcs-ref", "HEAD", str(ROOT), str(folder)], check=True)


def main(folder: Path) -> None:
    render(folder)
    run("git", "init", "--quiet", folder=folder)
    run("uv", "sync", "--quiet", folder=folder)
    start = time.perf_counter()
    run(*COMMAND, "fit", "--run", RUN, folder=folder)
    seconds = time.perf_counter() - start
    run(*COMMAND, "test", "--run", RUN, folder=folder)
    result = folder / "runs" / RUN / "test.json"
    accuracy = json.loads(result.read_text())["test/accuracy"]
    print(f"\ntest accuracy {accuracy:.4f} after {seconds:.0f} s, including the start")
    print(f"the run is in {result.parent}")
    if accuracy < GOAL:
        sys.exit(f"expected an accuracy of at least {GOAL}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
