"""A run that is killed at any step ends, once resumed, as if it had never been interrupted."""

import random
from collections.abc import Callable
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
ACCUMULATE = "--trainer.accumulate_grad_batches=2"
VALIDATE_OFTEN = "--trainer.val_check_interval=3"
CASES = [(task, ["--data.num_workers=0"]) for task in TASKS]
CASES += [
    ("image_classification", ["--data.num_workers=2", ACCUMULATE]),
    ("language_modeling", ["--data.num_workers=1", VALIDATE_OFTEN]),
]


@pytest.mark.parametrize(("task", "options"), CASES)
def test_killed_run_ends_the_same(
    task: str, options: list[str], render: Callable[..., Path], tmp_path: Path
) -> None:
    """SIGKILL at random steps, several times in a run, changes no bit of how the run ends."""
    name = f"Kill {task} {len(options)}"
    project = new_project(render, tmp_path / "project", name, task=task)
    options = [*options, *small_options(task), "--trainer.accelerator=cpu"]
    assert_succeeded(fit(project, "uninterrupted", *options))
    batches = draw_kills(name, 2)
    for batch in batches:
        assert_killed(fit(project, "killed", *options, KILL_AT=batch))

    batches_between_checkpoints = 3 if VALIDATE_OFTEN in options else BATCHES
    batches_per_step = 2 if ACCUMULATE in options else 1
    checkpoints = (int(batches[-1]) - 1) // batches_between_checkpoints
    step = checkpoints * batches_between_checkpoints // batches_per_step
    assert_resumed(fit(project, "killed", *options), step)
    assert_same_end(project, "uninterrupted", "killed")


def test_killed_stream_ends_the_same(render: Callable[..., Path], tmp_path: Path) -> None:
    """Streamed text, read by any number of workers, resumes at the batch where it was."""
    write_random_texts(tmp_path / "text")
    project = new_project(render, tmp_path / "project", "Stream", task="language_modeling")
    options = ["--data.stream=true", f"--data.path={tmp_path / 'text'}"]
    options += small_options("language_modeling")
    assert_succeeded(fit(project, "uninterrupted", *options, "--data.num_workers=0"))
    for batch in ("4", "9"):
        assert_killed(fit(project, "killed", *options, "--data.num_workers=2", KILL_AT=batch))
    assert_resumed(fit(project, "killed", *options, "--data.num_workers=1"), BATCHES)
    assert_same_end(project, "uninterrupted", "killed")


def test_endless_stream_is_refused(render: Callable[..., Path], tmp_path: Path) -> None:
    """A stream without a limit of batches for an epoch is refused."""
    write_random_texts(tmp_path / "text")
    project = new_project(render, tmp_path / "project", "Endless", task="language_modeling")
    options = ["--data.stream=true", f"--data.path={tmp_path / 'text'}"]
    options += [*small_options("language_modeling"), "--trainer.limit_train_batches=1.0"]
    assert_refused(fit(project, "endless", *options), "limit_train_batches")


def write_random_texts(folder: Path) -> None:
    """Files of text for each split, of different lengths."""
    draw = random.Random(0)
    for split, count in (("train", 5), ("val", 1), ("test", 1)):
        (folder / split).mkdir(parents=True)
        for i in range(count):
            characters = draw.choices("abcdefgh \n", k=draw.randint(2000, 6000))
            (folder / split / f"{i}.txt").write_text("".join(characters))


def test_kill_while_a_checkpoint_is_written(project: Project) -> None:
    """What was being written is deleted at the next start, and the one before is used."""
    stopped = fit(project, "writing", *TABULAR, KILL_AT="4", KILL_WITH="SIGTERM")
    assert_stopped(stopped, step=4)
    assert_killed(fit(project, "writing", *TABULAR, KILL_AT="6", KILL_IN="save"))
    folder = project.last_checkpoint("writing").parent
    assert list(folder.glob("*.partial"))
    assert_resumed(fit(project, "writing", *TABULAR), step=4)
    assert not list(folder.glob("*.partial"))
    assert_same_end(project, "uninterrupted", "writing")


def test_kill_after_training(project: Project) -> None:
    """Killed after training, before its last files were written: the same command writes them."""
    assert_succeeded(fit(project, "ended", *TABULAR))
    assert_succeeded(project.fork("test", "--run", "ended"))
    metrics = recorded_metrics(project, "ended")
    result = project.result("ended")

    run = project.run_folder("ended")
    project.last_checkpoint("ended").unlink()
    (run / "fit.json").unlink()
    (run / "fit.partial").write_text("{")
    assert_succeeded(fit(project, "ended", *TABULAR))
    assert_succeeded(project.fork("test", "--run", "ended"))
    assert recorded_metrics(project, "ended") == metrics
    assert project.result("ended") == result
