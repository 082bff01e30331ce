"""Loggers continue where the resumed run does."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.resume.runs import BATCHES, EPOCHS, assert_killed, assert_resumed, fit, new_project
from tests.support.projects import Project
from tests.support.tasks import small_options
from tests.support.template import LOGGERS

pytestmark = pytest.mark.slow

STEPS = list(range(EPOCHS * BATCHES))


@pytest.fixture(scope="module")
def resumed_project(
    render: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """A project with every logger, and a run of it that was killed and resumed."""
    folder = tmp_path_factory.mktemp("loggers") / "project"
    project = new_project(render, folder, "Loggers", task="tabular", logger=LOGGERS)
    options = small_options("tabular")
    assert_killed(fit(project, "killed", *options, KILL_AT=str(BATCHES + 3)))
    assert_resumed(fit(project, "killed", *options), BATCHES)
    assert project.result("killed", "fit")
    return project


def test_tensorboard_shows_each_step_once(resumed_project: Project) -> None:
    """TensorBoard hides no step of a resumed run, and shows none twice."""
    events = EventAccumulator(str(resumed_project.run_folder("killed")))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == STEPS


def test_wandb_keeps_the_run_id(resumed_project: Project) -> None:
    """W&B has two offline runs with one id, which it shows as one run."""
    folders = list(resumed_project.run_folder("killed").glob("wandb/offline-run-*"))
    assert len(folders) == 2
    ids = {folder.name.rpartition("-")[2] for folder in folders}
    assert len(ids) == 1


def test_mlflow_keeps_the_run(resumed_project: Project) -> None:
    """MLflow has one run, with every step once."""
    path = resumed_project.folder / "runs" / "mlflow.db"
    with closing(sqlite3.connect(path)) as database:
        [[runs]] = database.execute("select count(*) from runs").fetchall()
        rows = database.execute("select step from metrics where key = 'train/loss'").fetchall()
    assert runs == 1
    assert sorted(step for (step,) in rows) == STEPS
