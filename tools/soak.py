"""Kill runs many times: `python -m tools.soak KILLS`.

Runs of every task are killed at random steps until they end. Each must end as the uninterrupted
run.
"""

import random
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import copier

from tests.resume.runs import (
    BATCHES,
    EPOCHS,
    assert_same_end,
    assert_succeeded,
    fit,
    new_project,
)
from tests.support.projects import Project
from tests.support.tasks import small_options
from tests.support.template import TASKS, copy_template


def render(folder: Path, **answers: Any) -> Path:
    copier.run_copy(str(copy_template()), folder, data=answers, defaults=True, quiet=True)
    return folder


def run_until_it_ends(start: Callable[[str], int], batches: Callable[[], str]) -> int:
    """Start a run again and again, killed at the given batches; return how often it was killed."""
    killed = 0
    while True:
        exit_code = start(batches())
        if exit_code == 0:
            return killed
        assert exit_code == -signal.SIGKILL, exit_code
        killed += 1


def soak(project: Project, task: str, wanted: int, draw: random.Random) -> tuple[int, int]:
    """Kill processes of as many runs as it takes; return the numbers of kills and of runs."""
    options = small_options(task)
    assert_succeeded(fit(project, "uninterrupted", *options))
    killed = 0
    runs = 0
    while killed < wanted:
        run = f"run-{runs}"

        def start(batch: str, run: str = run) -> int:
            return fit(project, run, *options, KILL_AT=batch).returncode

        # Batches beyond the last one end the run.
        killed += run_until_it_ends(start, partial(draw_batch, draw))
        assert_same_end(project, "uninterrupted", run)
        runs += 1
        print(f"  {killed} kills, {runs} runs the same", flush=True)
    return killed, runs


def draw_batch(draw: random.Random) -> str:
    return str(draw.randint(1, EPOCHS * BATCHES + 2))


def main(wanted: int) -> None:
    draw = random.Random(0)
    wanted_of_task = -(-wanted // len(TASKS))  # rounded up
    kills = 0
    runs = 0
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            print(task, flush=True)
            project = new_project(render, Path(folder) / task, f"Soak {task}", task=task)
            killed, ended = soak(project, task, wanted_of_task, draw)
            kills += killed
            runs += ended
    print(f"{kills} kills in {runs} runs: every run ended as the uninterrupted one, bit for bit")


if __name__ == "__main__":
    main(int(sys.argv[1]))
