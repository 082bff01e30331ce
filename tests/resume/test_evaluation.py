"""Evaluating a checkpoint gives exactly the numbers that training gave."""

import json
from typing import Any

import pytest
from lightning.pytorch import LightningModule, Trainer

from tests.resume.runs import assert_succeeded, fit
from tests.support.projects import Project
from tests.support.tasks import small_options

pytestmark = pytest.mark.slow

RESULT = "RESULT "


def test_validate_gives_the_number_of_training(project: Project) -> None:
    """`validate` on the best checkpoint gives the metric that training chose it by."""
    assert_succeeded(project.fork("validate", "--run", "uninterrupted"))

    best = best_score(project, "uninterrupted")
    assert project.result("uninterrupted", "validate")["val/loss"] == pytest.approx(best, abs=0)


def best_score(project: Project, run: str) -> float:
    """The metric of the best checkpoint, as the last one recorded it."""
    for key, state in project.load_last_checkpoint(run)["callbacks"].items():
        if key.startswith("ModelCheckpoint"):
            return float(state["best_model_score"])
    raise LookupError(f"{run} was trained without ModelCheckpoint")


def test_test_gives_the_same_every_time(project: Project) -> None:
    """`test` gives the same metrics every time."""
    assert_succeeded(project.fork("test", "--run", "uninterrupted"))
    first = project.result("uninterrupted")
    assert_succeeded(project.fork("test", "--run", "uninterrupted"))
    assert project.result("uninterrupted") == first


def test_test_gives_the_numbers_of_the_training_process(project: Project) -> None:
    """`test` in a process of its own gives what `Trainer.test` gave right after training."""
    trained = fit(project, "tested", *small_options("tabular"), prepare=evaluate_after_training)
    assert_succeeded(trained)
    [line] = [line for line in trained.stdout.splitlines() if line.startswith(RESULT)]
    right_after_training = json.loads(line.removeprefix(RESULT))

    assert_succeeded(project.fork("test", "--run", "tested"))

    assert project.result("tested") == right_after_training


def evaluate_after_training() -> None:
    """Let `Trainer.fit`, in this process, also test the best checkpoint and print its metrics."""
    original_fit = Trainer.fit

    def fit_and_test(trainer: Trainer, model: LightningModule, **options: Any) -> None:
        original_fit(trainer, model, **options)
        options["ckpt_path"] = "best"
        [metrics] = trainer.test(model, **options)
        print(RESULT + json.dumps(metrics))

    Trainer.fit = fit_and_test
