"""A covering array over the answers: each pair of answers that may meet is trained in some project."""

from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from conftest import TASKS, copy_template
from covertable import make
from projects import Project
from questionnaire import Questionnaire

QUESTIONNAIRE = Questionnaire(copy_template())
FACTORS = {
    "task": TASKS,
    "accelerator": ["auto", "cpu", "gpu", "mps", "tpu"],
    "strategy": ["auto", "ddp", "fsdp2", "fsdp", "deepspeed_stage_2", "deepspeed_stage_3", "deepspeed_stage_3_offload"],
    "precision": ["32-true", "bf16-mixed", "bf16-true", "16-mixed", "64-true", "transformer-engine"],
    "csv": [True, False],
    "tensorboard": [True, False],
    "wandb": [True, False],
    "mlflow": [True, False],
    "ci": ["github", "gitlab", "none"],
    "container": ["docker", "none"],
    "license": ["none", "MIT", "Apache-2.0", "BSD-3-Clause"],
}
LOGGERS = ("csv", "tensorboard", "wandb", "mlflow")
SMALL = {
    "image_classification": ["--model.backbone=test_resnet", "--data.batch_size=8"],
    "language_modeling": ["--model.depth=2", "--model.dim=32", "--data.batch_size=4"],
    "tabular": ["--data.batch_size=32"],
}


def answers(row: dict[str, Any]) -> dict[str, Any]:
    loggers = {"logger": [name for name in LOGGERS if row[name]]} if set(LOGGERS) <= row.keys() else {}
    return {name: value for name, value in row.items() if name not in LOGGERS} | loggers


@cache
def accepted(items: frozenset[tuple[str, Any]]) -> bool:
    return not QUESTIONNAIRE.refusal(**answers(dict(items)))


def valid(row: dict[str, Any]) -> bool:
    return accepted(frozenset((name, value) for name, value in row.items() if name in FACTORS))


CONSTRAINTS = [
    {"operator": "fn", "requires": names, "evaluate": lambda row, names=names: valid({n: row[n] for n in names})}
    for names in (["accelerator", "strategy"], ["accelerator", "strategy", "precision"], list(LOGGERS))
]
ROWS = [{name: row[name] for name in FACTORS} for row in make(FACTORS, constraints=CONSTRAINTS)]


def here(row: dict[str, Any]) -> list[str]:
    """What must differ on a machine without the accelerator that was answered."""
    args = ["--trainer.accelerator=cpu"]
    if row["strategy"].startswith(("fsdp", "deepspeed")) and row["strategy"] != "fsdp2":
        args += ["--trainer.strategy=auto"]
    if row["precision"] in ("16-mixed", "transformer-engine"):
        args += ["--trainer.precision=32-true"]
    return args


def test_rows_cover_every_valid_pair() -> None:
    """Whatever two answers may stand together, stand together in some row."""
    covered = {pair for row in ROWS for pair in combinations(sorted(row.items()), 2)}
    for (first, one), (second, other) in combinations([(n, v) for n, vs in FACTORS.items() for v in vs], 2):
        pair = tuple(sorted([(first, one), (second, other)]))
        if first != second and pair not in covered:
            rows = [row for row in ROWS if row[first] == one]
            assert {first, second} <= {"accelerator", "strategy", "precision"}, f"{pair} is in no row"
            assert not any(valid({**row, second: other}) for row in rows), f"{pair} is in no row"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda i: "-".join(str(v) for v in list(ROWS[i].values())[:4]))
def test_project_trains(number: int, tmp_path: Path, render: Any) -> None:
    """The project fits, validates, tests and predicts: a short real run, and each with fast_dev_run."""
    row = ROWS[number]
    project = Project(render(tmp_path / "project", project_name=f"Pairwise {number}", **answers(row)))
    machine, small = here(row), SMALL[row["task"]]
    limits = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=2"]
    limits += ["--trainer.enable_progress_bar=false", "--trainer.val_check_interval=null", "--trainer.max_steps=2"]
    assert project.run("fit", "--run", "short", *machine, *small, *limits) is None
    for command in ("validate", "test", "predict"):
        assert project.run(command, "--trainer.limit_test_batches=2", "--trainer.limit_predict_batches=2") is None
    assert project.run("fit", "-c", "preset/debug", *machine, *small) is None
    for command in ("validate", "test", "predict"):
        assert project.run(command, "-c", "preset/debug", "--run", "short") is None
    run = tmp_path / "project" / "runs" / "short"
    assert all(value == value for value in project.result("short").values())  # no nan
    assert (run / "metrics.csv").exists() == row["csv"]
    assert bool(list(run.glob("events.out.*"))) == row["tensorboard"]
    assert bool(list(run.glob("wandb/offline-run-*/*.wandb"))) == row["wandb"]
    assert (run.parent / "mlflow.db").exists() == row["mlflow"]
    model = project.imported("model").Model.load_from_checkpoint(
        run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True
    )
    assert model.hparams
