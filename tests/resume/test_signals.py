"""A run that is stopped by a signal is saved after its step, and loses none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.resume.runs import (
    BATCHES,
    EPOCHS,
    assert_resumed,
    assert_same_end,
    assert_stopped,
    assert_succeeded,
    fit,
    new_project,
)
from tests.support.projects import Project
from tests.support.tasks import small_options

pytestmark = pytest.mark.slow

TABULAR = small_options("tabular")


@pytest.mark.parametrize(
    ("name", "num_workers"),
    [
        ("SIGTERM", 0),
        ("SIGUSR1", 0),
        ("SIGINT", 2),  # Ctrl-C reaches the loader's workers as well
    ],
)
def test_signal_loses_no_step(name: str, num_workers: int, project: Project) -> None:
    """A signal during an epoch saves after the step and exits with 75; the next step follows."""
    run = name.lower()
    options = [*TABULAR, f"--data.num_workers={num_workers}"]

    assert_stopped(fit(project, run, *options, KILL_AT="4", KILL_WITH=name), step=4)
    assert project.load_last_checkpoint(run)["global_step"] == 4

    assert_resumed(fit(project, run, *options), step=4)
    rows = project.metrics_rows(run)
    logged_steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert logged_steps == list(range(EPOCHS * BATCHES))
    assert_same_end(project, "uninterrupted", run)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_signal_to_one_rank_stops_all(
    strategy: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    """Both ranks stop, save once, and leave no process behind; the run ends the same."""
    answers = {"task": "tabular", "strategy": strategy, "accelerator": "cpu", "devices": "2"}
    project = new_project(render, tmp_path / "project", f"Signal {strategy}", **answers)
    assert_succeeded(fit(project, "uninterrupted", *TABULAR, ranks=2))

    stopped = fit(project, "stopped", *TABULAR, ranks=2, KILL_AT="4", KILL_WITH="SIGTERM")
    assert_stopped(stopped, step=4)
    assert project.load_last_checkpoint("stopped")["global_step"] == 4

    assert_resumed(fit(project, "stopped", *TABULAR, ranks=2), step=4)
    assert_same_end(project, "uninterrupted", "stopped")
