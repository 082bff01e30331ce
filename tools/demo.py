"""Scaffold the default project into a folder, install it, train it, and test it: what the README shows."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
GOAL = 0.98


def main(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}

    def run(*command: str, cwd: Path = folder) -> None:
        print("$", *command, flush=True)
        subprocess.run(command, cwd=cwd, env=environment, check=True)

    shutil.rmtree(folder, ignore_errors=True)
    copier = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults"]
    print("$ copier copy --defaults", ROOT.name, folder.name, flush=True)
    subprocess.run([*copier, "--vcs-ref", "HEAD", str(ROOT), str(folder)], check=True)
    run("git", "init", "--quiet")
    run("uv", "sync", "--quiet")
    start = time.perf_counter()
    run("uv", "run", "my-project", "fit", "--run", "demo")
    seconds = time.perf_counter() - start
    run("uv", "run", "my-project", "test", "--run", "demo")
    result = folder / "runs" / "demo" / "test.json"
    accuracy = json.loads(result.read_text())["test/accuracy"]
    print(f"\ntest accuracy {accuracy:.4f} after {seconds:.0f} s, start-up included; the run is in {result.parent}")
    if accuracy < GOAL:
        sys.exit(f"expected at least {GOAL}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
