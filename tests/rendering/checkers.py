"""Runs checkers that are installed beside this Python; all of them work offline."""

import subprocess
import sys
from pathlib import Path


def check(tool: str, *arguments: str | Path, cwd: Path | None = None) -> None:
    """Run a checker, which fails if it finds anything."""
    command = [Path(sys.executable).parent / tool, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{tool} found:\n{done.stdout}{done.stderr}"
