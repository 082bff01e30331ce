"""The model. Yours: change this as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from harness.test_harness import ModelSuite
from lightning.pytorch import Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
data_module = importlib.import_module(f"{PACKAGE}.data")
DataModule, encode, read_table = data_module.DataModule, data_module.encode, data_module.read_table
FACTS = ("columns", "scales", "categories", "class_names", "target_scale")


@pytest.fixture
def table() -> pd.DataFrame:
    """Forty patients: `age`, a number, `clinic`, a category, and `ill`, the target; 32 of them train."""
    frame = pd.DataFrame({"age": [20.0 + i for i in range(40)], "clinic": list("ab" * 20)})
    frame["ill"] = ["yes" if age > 40 else "no" for age in frame["age"]]
    frame["split"] = ["train"] * 32 + ["val"] * 4 + ["test"] * 4
    return frame.sample(frac=1, random_state=0, ignore_index=True)


def make(frame: pd.DataFrame, folder: Path, **changes: Any) -> Any:
    """A datamodule on a CSV file of the table."""
    frame.to_csv(folder / "table.csv", index=False)
    return DataModule(path=str(folder / "table.csv"), **{"target": "ill", "split_column": "split", **changes})


def build(data: Any) -> Any:
    return Model(**{name: getattr(data, name) for name in FACTS})


def batch_of(data: Any, split: str) -> dict:
    data.prepare_data()
    return next(iter(getattr(data, f"{split}_dataloader")()))


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none."""

    floor = 0.01
    options = ("--model.dropout=0",)


@pytest.mark.parametrize(("dataset", "shape"), [("breast_cancer", (64, 2)), ("diabetes", (64, 1))])
def test_outputs_and_predictions_have_a_row_each(dataset: str, shape: tuple) -> None:
    """A batch gives logits (B, classes), or numbers (B, 1), and equally long columns of predictions."""
    data = DataModule(dataset=dataset)
    batch, model = batch_of(data, "train"), build(data).eval()
    assert model(batch["numbers"], batch["categories"]).shape == shape
    columns = model.predict_step(batch, 0)
    assert {len(column) for column in columns.values()} == {64}
    assert set(columns["prediction"]) <= {"malignant", "benign"} or data.regression


def test_training_starts_from_the_mean() -> None:
    """An untrained regression predicts the mean of the training rows, in the target's unit."""
    data = DataModule(dataset="diabetes")
    predictions = build(data).eval().predict_step(batch_of(data, "test"), 0)["prediction"]
    torch.testing.assert_close(predictions, torch.full((64,), data.rows["train"]["target"].mean()))


def test_checkpoint_predicts_without_the_training_rows(table: pd.DataFrame, tmp_path: Path) -> None:
    """A checkpoint and new rows are enough, and give what the datamodule gives, beside what the rows hold."""
    data = make(table, tmp_path, predict_path=str(tmp_path / "new.csv"))
    table[["clinic", "age"]].to_csv(tmp_path / "new.csv", index=False)
    trainer = Trainer(
        accelerator="cpu", logger=False, max_epochs=1, enable_progress_bar=False, enable_model_summary=False
    )
    trainer.strategy.connect(build(data))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    expected = build(data).eval().predict_step(batch_of(data, "predict"), 0)
    assert list(expected) == ["row", "clinic", "age", "prediction", "confidence"]
    assert list(expected["clinic"]) == table["clinic"].tolist()
    (tmp_path / "table.csv").unlink()
    model = Model.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True).eval()
    rows = encode(read_table(str(tmp_path / "new.csv")), model.hparams)
    found = model.predict_step(rows.__getitems__(range(len(rows))), 0)
    assert found["row"].tolist() == list(range(2, 42))
    assert found["prediction"] == expected["prediction"]
    alone = DataModule(path="gone.csv", predict_path=str(tmp_path / "new.csv"))
    alone.known = dict(model.hparams)
    assert model.predict_step(batch_of(alone, "predict"), 0)["prediction"] == expected["prediction"]
