"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from harness.model_suite import ModelSuite
from lightning.pytorch import Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
data_module = importlib.import_module(f"{PACKAGE}.data")
read_table = importlib.import_module(f"{PACKAGE}.readers.tables").read_table
DataModule = data_module.DataModule

BATCH_SIZE = 64
PATIENTS = 40


@pytest.fixture
def patients(tmp_path: Path) -> Path:
    """A CSV file of patients: `age`, a number, `clinic`, a category, and `target`."""
    age = np.arange(20.0, 20.0 + PATIENTS)
    frame = pd.DataFrame({"age": age, "clinic": list("ab" * (PATIENTS // 2))})
    frame["target"] = np.where(age % 3 == 0, "yes", "no")
    path = tmp_path / "patients.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def new_patients(patients: Path, tmp_path: Path) -> Path:
    """The same patients without their target."""
    path = tmp_path / "new.csv"
    frame = pd.read_csv(patients)
    frame[["clinic", "age"]].to_csv(path, index=False)
    return path


def make_model(data: Any) -> Any:
    return Model(**asdict(data.facts))


def first_batch(loader: Any) -> dict:
    return next(iter(loader))


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none."""

    floor = 0.01
    options = ("--model.dropout=0",)


def test_classification_outputs() -> None:
    """A batch gives logits (B, classes), and predictions that are names of classes."""
    data = DataModule(dataset="breast_cancer")
    model = make_model(data).eval()
    batch = first_batch(data.predict_dataloader())
    logits = model(batch["numbers"], batch["categories"])
    assert logits.shape == (BATCH_SIZE, 2)
    columns = model.predict_step(batch, 0)
    assert {len(column) for column in columns.values()} == {BATCH_SIZE}
    assert set(columns["prediction"]) <= {"malignant", "benign"}


def test_regression_outputs() -> None:
    """A batch gives standardised predictions (B, 1), and predictions (B,) in the target's unit."""
    data = DataModule(dataset="diabetes")
    model = make_model(data).eval()
    batch = first_batch(data.predict_dataloader())
    outputs = model(batch["numbers"], batch["categories"])
    assert outputs.shape == (BATCH_SIZE, 1)
    columns = model.predict_step(batch, 0)
    assert {len(column) for column in columns.values()} == {BATCH_SIZE}


def test_untrained_regression_predicts_the_mean() -> None:
    """The network starts at zero, which is the mean of the standardised target."""
    data = DataModule(dataset="diabetes")
    model = make_model(data).eval()
    predictions = model.predict_step(first_batch(data.predict_dataloader()), 0)["prediction"]
    mean = data.rows["train"]["target"].mean()
    torch.testing.assert_close(predictions, torch.full((BATCH_SIZE,), mean))


def test_predictions_hold_the_cells_of_the_rows(patients: Path, new_patients: Path) -> None:
    """Predictions show the row's number and all its cells, in the order of the file."""
    data = DataModule(path=str(patients), predict_path=str(new_patients))
    columns = make_model(data).eval().predict_step(first_batch(data.predict_dataloader()), 0)
    assert list(columns) == ["row", "clinic", "age", "prediction", "confidence"]
    assert columns["row"].tolist() == list(range(2, PATIENTS + 2))
    assert list(columns["clinic"]) == list("ab" * (PATIENTS // 2))


def test_checkpoint_predicts_without_training_rows(patients: Path, new_patients: Path) -> None:
    """With a checkpoint, new rows are predicted in Python and by `predict` without the table."""
    data = DataModule(path=str(patients), predict_path=str(new_patients))
    model = make_model(data).eval()
    expected = model.predict_step(first_batch(data.predict_dataloader()), 0)["prediction"]
    checkpoint = patients.with_suffix(".ckpt")
    save_checkpoint(model, checkpoint)
    patients.unlink()

    loaded = Model.load_from_checkpoint(checkpoint, weights_only=True).eval()
    rows = data_module.encode(read_table(str(new_patients)), loaded.hparams)
    assert loaded.predict_step(rows.columns, 0)["prediction"] == expected

    alone = DataModule(path=str(patients), predict_path=str(new_patients))
    alone.known = dict(loaded.hparams)  # as the harness does
    alone.prepare_data()
    batch = first_batch(alone.predict_dataloader())
    assert loaded.predict_step(batch, 0)["prediction"] == expected


def save_checkpoint(model: Any, path: Path) -> None:
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        max_epochs=1,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path)
