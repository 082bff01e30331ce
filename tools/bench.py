"""What the harness costs, as ratios: `python -m tools.bench`.

- a step: seeding it, and ordering its batch, against a step of 10 ms;
- `--help`, against a Python that does nothing.

Each is the best of several rounds, since a shared machine is interrupted.
"""

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import copier

from tests.support.projects import Project
from tests.support.template import copy_template

ROUNDS = 5
STEP_SECONDS = 0.01
BATCH_SIZE = 64
BATCHES = 1000
SEED = 42
# What is too much: a share of a step, and a multiple of starting Python.
MAX_SHARE_OF_STEP = 0.01
MAX_RATIO_OF_HELP = 8


def seconds_of(action: Callable[[], object], times: int) -> float:
    """The seconds of one call, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            action()
        rounds.append((time.perf_counter() - start) / times)
    return min(rounds)


class Data:
    """A dataset of which only the size is read."""

    def __len__(self) -> int:
        return BATCHES * BATCH_SIZE


def exhaust(iterable: Any) -> None:
    for _ in iterable:
        pass


def share_of_step(project: Project) -> float:
    """Print what the harness does in each step, and return its share of a step."""
    os.environ["PL_GLOBAL_SEED"] = str(SEED)
    with project.importable():
        seeding = importlib.import_module(f"{project.package}.harness.seeding")
        loaders = importlib.import_module(f"{project.package}.harness.loaders")
        seeding_seconds = seconds_of(partial(seeding.seed_at, SEED, "step", 3, 141, 0), 2000)
        sampler = loaders.AddressedSampler(Data(), None, BATCH_SIZE)
        ordering_seconds = seconds_of(partial(exhaust, sampler), 1) / BATCHES
    share = (seeding_seconds + ordering_seconds) / STEP_SECONDS
    print(
        f"seeding a step {seeding_seconds * 1e6:.1f} us,"
        f" ordering a batch of {BATCH_SIZE} {ordering_seconds * 1e6:.1f} us:"
        f" {share:.2%} of a step of {STEP_SECONDS * 1000:.0f} ms"
    )
    return share


def ratio_of_help(project: Project) -> float:
    """Print how long `--help` takes, and return its ratio to a Python that does nothing."""
    python = [sys.executable, "-c", "pass"]
    command = [sys.executable, project.script(), "--help"]
    python_seconds = seconds_of(partial(run_quietly, project, python), 1)
    help_seconds = seconds_of(partial(run_quietly, project, command), 1)
    ratio = help_seconds / python_seconds
    print(
        f"--help {help_seconds:.3f} s, `python -c pass` {python_seconds:.3f} s: ratio {ratio:.1f}"
    )
    return ratio


def run_quietly(project: Project, command: list[str]) -> None:
    variables = {**os.environ, **project.python_path()}
    subprocess.run(command, cwd=project.folder, env=variables, check=True, capture_output=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        answers = {"project_name": "Bench"}
        copier.run_copy(str(copy_template()), folder, answers, defaults=True, quiet=True)
        project = Project(Path(folder))
        ratio = ratio_of_help(project)
        share = share_of_step(project)
    if share > MAX_SHARE_OF_STEP:
        sys.exit(f"more than {MAX_SHARE_OF_STEP:.0%} of a step")
    if ratio > MAX_RATIO_OF_HELP:
        sys.exit(f"--help takes more than {MAX_RATIO_OF_HELP} times as long as Python itself")


if __name__ == "__main__":
    main()
