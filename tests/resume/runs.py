"""Short runs that are interrupted, resumed, and compared with one that was not."""

import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import torch
import yaml

from tests.support.messages import EXIT_PREEMPTED, RESUMES, STOPPED
from tests.support.projects import Project
from tests.support.template import ROOT

Done = CompletedProcess[str]

EPOCHS = 2
BATCHES = 6  # of an epoch
# The options of every run. A checkpoint is written after each epoch.
OPTIONS = (
    f"--trainer.max_epochs={EPOCHS}",
    f"--trainer.limit_train_batches={BATCHES}",
    "--trainer.limit_val_batches=1",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.num_sanity_val_steps=0",
    "--trainer.callbacks+=kill_callback.KillCallback",
)
# Parts of last.ckpt that must be the same, bit for bit. The callbacks' states have paths in them.
EXACT_PARTS = (
    "state_dict",
    "optimizer_states",
    "lr_schedulers",
    "epoch",
    "global_step",
    "stepped",
)
# How much of a traceback a failed test shows.
SHOWN_CHARACTERS = 3000


# ---- Making a project, and running it ------------------------------------------------------------


def new_project(render: Callable[..., Path], folder: Path, name: str, **answers: Any) -> Project:
    """A project of its own package, which can be told when to be killed."""
    project = Project(render(folder, project_name=name, **answers))
    add_callback(project, "kill_callback")
    return project


def add_callback(project: Project, name: str) -> None:
    """Let the project import a callback of tests/support."""
    shutil.copy(ROOT / "tests" / "support" / f"{name}.py", project.folder / "src")


def write_callbacks(project: Project, name: str, callbacks: list[dict[str, Any]]) -> str:
    """Write a configuration that appends callbacks; return the option of `fit` that uses it."""
    config = {"trainer": {"callbacks+": callbacks}}
    (project.folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return f"-c={name}.yaml"


def fit(
    project: Project,
    run: str,
    *options: str,
    ranks: int = 1,
    prepare: Callable[[], None] | None = None,
    **environment: str,
) -> Done:
    """Start the run or resume it. KILL_AT and the like tell kill_callback what to do."""
    arguments = ("fit", "--run", run, *OPTIONS, *options)
    return project.fork(*arguments, ranks=ranks, prepare=prepare, **environment)


def draw_kills(seed: str, count: int) -> list[str]:
    """The batches at which a run is killed, in order, counted from 1 over the whole run.

    The last one is in the second epoch, so that there is a checkpoint to resume from.
    """
    generator = random.Random(seed)
    in_first_epoch = generator.sample(range(1, BATCHES + 2), count - 1)
    in_second_epoch = generator.randint(BATCHES + 2, EPOCHS * BATCHES - 1)
    return [str(batch) for batch in [*sorted(in_first_epoch), in_second_epoch]]


# ---- How a command ended -------------------------------------------------------------------------


def assert_succeeded(done: Done) -> None:
    assert done.returncode == 0, done.stderr[-SHOWN_CHARACTERS:]


def assert_killed(done: Done) -> None:
    assert done.returncode == -signal.SIGKILL, done.stderr[-SHOWN_CHARACTERS:]


def assert_stopped(done: Done, step: int) -> None:
    """It stopped after a step because of a signal, and said how to resume."""
    assert done.returncode == EXIT_PREEMPTED, done.stderr[-SHOWN_CHARACTERS:]
    assert f"{STOPPED.format(step=step)}\n" in done.stdout
    assert "Traceback" not in done.stderr


def assert_resumed(done: Done, step: int) -> None:
    """It resumed after a step, and succeeded."""
    assert_succeeded(done)
    assert f" {RESUMES.format(step=step)}\n" in done.stdout


def assert_refused(done: Done, *messages: str) -> None:
    """It failed with one line that contains the messages."""
    assert done.returncode == 1, done.stderr[-SHOWN_CHARACTERS:]
    assert "Traceback" not in done.stderr
    last_line = done.stderr.splitlines()[-1]
    assert "error: " in last_line
    for message in messages:
        assert message in last_line


# ---- How a run ended -----------------------------------------------------------------------------


def assert_same_end(project: Project, expected: str, run: str) -> None:
    """Two runs ended the same, bit for bit.

    They have the same weights, optimizer state, schedule, and rows of metrics.
    """
    first = project.load_last_checkpoint(expected)
    second = project.load_last_checkpoint(run)
    for part in EXACT_PARTS:
        assert_equal(second[part], first[part], f"{part} differs")
    assert recorded_metrics(project, run) == recorded_metrics(project, expected)


def assert_same_weights(project: Project, expected: str, run: str) -> None:
    first = project.load_last_checkpoint(expected)
    second = project.load_last_checkpoint(run)
    assert_equal(second["state_dict"], first["state_dict"], "the weights differ")


def assert_equal(actual: Any, expected: Any, message: str) -> None:
    """Two nested structures are equal, and so is each bit of their tensors."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys(), message
        for key in expected:
            assert_equal(actual[key], expected[key], f"{message} at {key}")
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), message
        for index, item in enumerate(expected):
            assert_equal(actual[index], item, f"{message} at {index}")
    elif isinstance(expected, torch.Tensor):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0, msg=message)
    else:
        assert actual == expected, message


def recorded_metrics(project: Project, run: str) -> list[dict[str, Any]]:
    """The rows of metrics.csv, and those of fit.json, without measured speeds."""
    final_metrics = project.result(run, "fit")
    return [without_speeds(row) for row in [*project.metrics_rows(run), final_metrics]]


def without_speeds(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if not name.endswith("per_second")}
