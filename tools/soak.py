"""A hundred kills: `soak.py KILLS`. Killed at random steps until they end, runs are the same as one left alone."""

import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import copier
from conftest import TASKS, copy_template
from projects import Project
from test_survival import BATCHES, EPOCHS, SMALL, assert_same, fit, new_project


def render(folder: Path, **answers: Any) -> Path:
    copier.run_copy(str(copy_template()), folder, data=answers, defaults=True, quiet=True)
    return folder


def soak(project: Project, args: list[str], wanted: int, drawn: random.Random) -> tuple[int, int]:
    """Kill so many processes, over as many runs as it takes; each run that ends must be the one left alone."""
    assert fit(project, "alone", *args).returncode == 0
    killed, runs = 0, 0
    while killed < wanted:
        run, ended = f"run-{runs}", None
        while ended != 0:
            at = str(drawn.randint(1, EPOCHS * BATCHES + 2)) if killed < wanted else "never"
            ended = fit(project, run, *args, KILL_AT=at).returncode
            assert ended in (0, -signal.SIGKILL), ended
            killed += ended != 0
        assert_same(project, "alone", run)
        runs += 1
        print(f"  {killed} kills, {runs} runs the same", flush=True)
    return killed, runs


def main(wanted: int) -> None:
    drawn, tally = random.Random(0), []
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            print(task, flush=True)
            project = new_project(render, Path(folder) / task, task, f"Soak {task}")
            tally.append(soak(project, SMALL[task], -(-wanted // len(TASKS)), drawn))
    kills, runs = (sum(column) for column in zip(*tally, strict=True))
    print(f"{kills} kills in {runs} runs: every run ended as the one left alone, bit for bit")


if __name__ == "__main__":
    main(int(sys.argv[1]))
