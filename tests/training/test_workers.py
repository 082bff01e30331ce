"""The loaders' processes end with the process that started them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.projects import Project

# Keeps a loader that is not exhausted, as an exception in an interactive session or in pytest does.
SCRIPT = """
from {package}.data import DataModule

data = DataModule({options})
loader = data.train_dataloader()
batches = iter(loader)
next(batches)
raise ValueError("the owner's error")
"""
# The same in a process that multiprocessing starts, as servers and sweeps do.
STARTS_A_PROCESS = """
import multiprocessing
import runpy
import sys

process = multiprocessing.get_context("fork").Process(target=runpy.run_path, args=("script.py",))
process.start()
process.join()
sys.exit(process.exitcode)
"""
# A process that waits for its workers waits forever; an import takes some seconds.
TIMEOUT = 120


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("tabular", "num_workers=2"),
        ("language_modeling", "num_workers=1, stream=True, path='texts', context=8, batch_size=2"),
    ],
)
def test_process_with_an_open_loader_ends(
    task: str,
    options: str,
    render: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """It ends at once, with nothing but its own error, although workers ignore SIGTERM."""
    project = Project(render(tmp_path / "project", task=task, project_name=f"Open {task}"))
    for split in ("train", "val", "test"):
        path = project.folder / "texts" / split / "0.txt"
        path.parent.mkdir(parents=True)
        path.write_text("A text of some length. " * 20)
    (project.folder / "script.py").write_text(
        SCRIPT.format(package=project.package, options=options)
    )
    (project.folder / "starter.py").write_text(STARTS_A_PROCESS)
    for name in ("script.py", "starter.py"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", name],
            cwd=project.folder,
            env=project.python_path(),
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert done.returncode == 1, name
        assert "\nValueError: the owner's error\n" in done.stderr[-200:], name
        assert done.stderr.count("Traceback") == 1, done.stderr
