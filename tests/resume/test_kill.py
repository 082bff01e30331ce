"""A run that is killed with SIGKILL resumes as if it had never been interrupted."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.resume.runs import (
    BATCHES,
    assert_killed,
    assert_refused,
    assert_resumed,
    assert_same_end,
    assert_stopped,
    assert_succeeded,
    draw_kills,
    fit,
    new_project,
    recorded_metrics,
)
from tests.support.projects import Project
from tests.support.tasks import small_options
from tests.support.template import TASKS

pytestmark = pytest.mark.slow

TABULAR = small_options("tabular")


@dataclass(frozen=True)
class Case:
    """A run to kill.

    Args:
        name: of the case.
        task: of the project.
        options: of `fit`.
        batches_per_checkpoint: after how many batches a checkpoint is written.
        batches_per_step: of the optimizer.
    """

    name: str
    task: str
    options: tuple[str, ...]
    batches_per_checkpoint: int = BATCHES
    batches_per_step: int = 1

    def resumed_step(self, last_batch: int) -> int:
        """The step of the last checkpoint of a run that was killed at the end of a batch.

        The checkpoint after a batch is written when the next one starts.
        """
        checkpoints = (last_batch - 1) // self.batches_per_checkpoint
        return checkpoints * self.batches_per_checkpoint // self.batches_per_step


CASES = [Case(task, task, ("--data.num_workers=0",)) for task in TASKS]
CASES += [
    Case(
        "accumulated_gradients_and_workers",
        "image_classification",
        ("--data.num_workers=2", "--trainer.accumulate_grad_batches=2"),
        batches_per_step=2,
    ),
    Case(
        "validation_within_the_epoch",
        "language_modeling",
        ("--data.num_workers=1", "--trainer.val_check_interval=3"),
        batches_per_checkpoint=3,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_killed_run_ends_the_same(case: Case, render: Callable[..., Path], tmp_path: Path) -> None:
    """SIGKILL at random steps, several times in a run, changes no bit of how the run ends."""
    project = new_project(render, tmp_path / "project", f"Kill {case.name}", task=case.task)
    options = [*case.options, *small_options(case.task), "--trainer.accelerator=cpu"]
    assert_succeeded(fit(project, "uninterrupted", *options))

    kills = draw_kills(case.name, count=2)
    for batch in kills:
        assert_killed(fit(project, "killed", *options, KILL_AT=batch))
    resumed = fit(project, "killed", *options)

    assert_resumed(resumed, case.resumed_step(int(kills[-1])))
    assert_same_end(project, "uninterrupted", "killed")


def test_killed_stream_ends_the_same(render: Callable[..., Path], tmp_path: Path) -> None:
    """Streamed text, read by any number of workers, resumes at the batch where it was."""
    write_random_texts(tmp_path / "text")
    project = new_project(render, tmp_path / "project", "Stream", task="language_modeling")
    options = [
        "--data.stream=true",
        f"--data.path={tmp_path / 'text'}",
        *small_options("language_modeling"),
    ]
    assert_succeeded(fit(project, "uninterrupted", *options, "--data.num_workers=0"))

    for batch in ("4", "9"):
        assert_killed(fit(project, "killed", *options, "--data.num_workers=2", KILL_AT=batch))
    resumed = fit(project, "killed", *options, "--data.num_workers=1")

    assert_resumed(resumed, BATCHES)
    assert_same_end(project, "uninterrupted", "killed")


def test_endless_stream_is_refused(render: Callable[..., Path], tmp_path: Path) -> None:
    """A stream has no end, so an epoch of it needs a number of batches."""
    write_random_texts(tmp_path / "text")
    project = new_project(render, tmp_path / "project", "Endless", task="language_modeling")
    options = ["--data.stream=true", f"--data.path={tmp_path / 'text'}"]

    refused = fit(project, "endless", *options, "--trainer.limit_train_batches=1.0")

    assert_refused(refused, "a stream has no end", "limit_train_batches")


def write_random_texts(folder: Path) -> None:
    """Write files of random letters and lengths for each split."""
    generator = random.Random(0)
    for split, files in {"train": 5, "val": 1, "test": 1}.items():
        (folder / split).mkdir(parents=True)
        for number in range(files):
            letters = generator.choices("abcdefgh \n", k=generator.randint(2000, 6000))
            (folder / split / f"{number}.txt").write_text("".join(letters))


def test_kill_while_a_checkpoint_is_written(project: Project) -> None:
    """The next start deletes a partly written checkpoint, and resumes from the one before it."""
    stopped = fit(project, "saving", *TABULAR, KILL_AT="4", KILL_WITH="SIGTERM")
    assert_stopped(stopped, step=4)
    assert_killed(fit(project, "saving", *TABULAR, KILL_AT="6", KILL_IN="save"))
    checkpoints = project.last_checkpoint("saving").parent
    assert list(checkpoints.glob("*.partial"))

    resumed = fit(project, "saving", *TABULAR)

    assert_resumed(resumed, step=4)
    assert not list(checkpoints.glob("*.partial"))
    assert_same_end(project, "uninterrupted", "saving")


def test_kill_after_training(project: Project) -> None:
    """After a kill between the last step and the final files, the same command writes them."""
    assert_succeeded(fit(project, "ended", *TABULAR))
    assert_succeeded(project.fork("test", "--run", "ended"))
    metrics = recorded_metrics(project, "ended")
    result = project.result("ended")
    folder = project.run_folder("ended")
    project.last_checkpoint("ended").unlink()
    (folder / "fit.json").unlink()
    (folder / "fit.partial").write_text("{")

    assert_succeeded(fit(project, "ended", *TABULAR))

    assert_succeeded(project.fork("test", "--run", "ended"))
    assert recorded_metrics(project, "ended") == metrics
    assert project.result("ended") == result
