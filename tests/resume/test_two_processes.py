"""Only one process at a time can train a run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.resume.runs import OPTIONS, assert_refused
from tests.support.messages import EXIT_PREEMPTED, IN_USE
from tests.support.projects import Project
from tests.support.tasks import small_options

pytestmark = pytest.mark.slow

ENDLESS = [
    *OPTIONS,
    *small_options("tabular"),
    "--trainer.max_epochs=100000",
    "--early_stopping.patience=100000",
]
# On a slow machine; importing torch takes some seconds.
TIMEOUT = 300


def test_second_process_is_refused(project: Project) -> None:
    """While a process trains a run, another one for the same run fails and changes nothing."""
    command = ["fit", "--run", "busy", *ENDLESS]
    first = subprocess.Popen(
        [sys.executable, project.script(), *command],
        cwd=project.folder,
        env={**os.environ, **project.python_path(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_exists(project.last_checkpoint("busy"))
        config_file = project.run_folder("busy") / "config.yaml"
        config = config_file.read_text()

        refused = project.fork(*command, "--trainer.max_steps=1")

        assert_refused(refused, f"runs/busy {IN_USE}", "choose another --run")
        assert config_file.read_text() == config
        assert first.poll() is None
    finally:
        first.terminate()
        exit_code = first.wait(TIMEOUT)
    assert exit_code == EXIT_PREEMPTED


def wait_until_exists(path: Path) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not exist after {TIMEOUT} s"
        time.sleep(0.1)
