"""The model and the data. Yours: change them as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
data_module = importlib.import_module(f"{PACKAGE}.data")
DataModule, encode, read_table = data_module.DataModule, data_module.encode, data_module.read_table
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
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


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes"])
def test_one_batch_can_be_learnt(dataset: str) -> None:
    """A hundred steps on one batch bring the loss near zero, and the predictions to what the rows say."""
    torch.manual_seed(0)
    data = DataModule(dataset=dataset)
    batch, model = batch_of(data, "val"), build(data).eval()  # without dropout
    model.log = lambda *args, **kwargs: None
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        loss = model.step(batch, "train")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    truth = data.rows["val"].loc[batch["row"].tolist(), "target"].tolist()
    predicted = model.predict_step(batch, 0)["prediction"]
    assert torch.allclose(predicted, torch.tensor(truth), atol=60) if data.regression else predicted == truth


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes"])
def test_splits_are_apart_and_repeat(dataset: str) -> None:
    """The splits share no row and cover all; a seed gives the same ones again, another seed others."""
    first, again, other = (DataModule(dataset=dataset, split_seed=seed).rows for seed in (0, 0, 1))
    rows = [row for part in first.values() for row in part.index]
    assert sorted(rows) == list(range(2, len(rows) + 2))
    assert first["test"].equals(again["test"])
    assert set(first["test"].index) != set(other["test"].index)


def test_facts_come_from_the_training_rows(table: pd.DataFrame, tmp_path: Path) -> None:
    """Another value in a test row leaves every fact as it is; in a training row, it does not."""
    facts = [getattr(make(table, tmp_path), name) for name in FACTS]
    for split, same in (("test", True), ("train", False)):
        changed = table.copy()
        changed.loc[changed["split"] == split, "age"] *= 2
        data = make(changed, tmp_path)
        assert ([getattr(data, name) for name in FACTS] == facts) == same


def test_missing_values_are_encoded(table: pd.DataFrame, tmp_path: Path) -> None:
    """A missing number is the training mean, which is 0, a missing category is 0; empty rows only count."""
    table.loc[0, ["age", "clinic"]] = None
    table.loc[len(table)] = None
    data, path = make(table, tmp_path), tmp_path / "table.csv"
    path.write_text(path.read_text().replace("\n", "\n\n", 1))  # row 2 is empty, the first is row 3
    columns = data.tables[table["split"][0]].columns
    (index,) = (columns["row"] == 3).nonzero()
    assert columns["numbers"][index].item() == columns["categories"][index].item() == 0
    assert sorted(columns["categories"].unique().tolist()) == [0, 1, 2]
    assert sum(len(part) for part in data.rows.values()) == 40


def test_parquet_is_read_like_csv(table: pd.DataFrame, tmp_path: Path) -> None:
    """The same table gives the same facts and rows from both kinds of file."""
    csv = make(table, tmp_path)
    table.to_parquet(tmp_path / "table.parquet")
    parquet = DataModule(path=str(tmp_path / "table.parquet"), target="ill", split_column="split")
    assert [getattr(csv, name) for name in FACTS] == [getattr(parquet, name) for name in FACTS]
    assert csv.rows["test"].index.equals(parquet.rows["test"].index)


def test_checkpoint_predicts_without_the_training_rows(table: pd.DataFrame, tmp_path: Path) -> None:
    """A checkpoint and new rows are enough, and give what the datamodule gives."""
    data = make(table, tmp_path, predict_path=str(tmp_path / "new.csv"))
    table[["clinic", "age"]].to_csv(tmp_path / "new.csv", index=False)
    trainer = Trainer(
        accelerator="cpu", logger=False, max_epochs=1, enable_progress_bar=False, enable_model_summary=False
    )
    trainer.strategy.connect(build(data))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    expected = build(data).eval().predict_step(batch_of(data, "predict"), 0)
    (tmp_path / "table.csv").unlink()
    model = Model.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True).eval()
    rows = encode(read_table(str(tmp_path / "new.csv")), model.hparams)
    found = model.predict_step(rows.__getitems__(range(len(rows))), 0)
    assert found["row"].tolist() == list(range(2, 42))
    assert found["prediction"] == expected["prediction"]


@pytest.mark.parametrize(
    ("row", "column", "value", "changes", "message"),
    [
        (3, "age", "old", {}, "column 'age', row 5 .*'old' is no finite number"),
        (3, "age", "inf", {}, "column 'age', row 5 .*'inf' is no finite number"),
        (3, "ill", None, {}, "column 'ill', row 5 .*nothing is no target"),
        (3, "split", "dev", {}, "column 'split', row 5 .*'dev' is no split"),
        (3, "ill", "no", {"problem": "regression"}, "column 'ill'.* is no finite number; .*data.problem"),
        (0, "age", 1, {"target": "il"}, r"no column 'il'; did you mean 'ill'\? it has age, clinic, ill, split"),
        (0, "age", 1, {"numeric": ["age", "size"]}, "no column 'size'"),
        (0, "age", 1, {"numeric": ["age", "ill"]}, "'ill' two roles"),
        (0, "age", 1, {"path": "nowhere.csv"}, "nowhere.csv is missing, or no readable"),
        (slice(None), "ill", "no", {}, r"train 32.* 2 values of 'ill'"),
        (slice(None), "split", "val", {}, r"train 0.* a split takes 2"),
        (0, "age", 1, {"split_column": None, "val_fraction": 0.01}, r"val 0.* a split takes 2"),
    ],
)
def test_bad_tables_are_named(
    row: Any, column: str, value: Any, changes: dict, message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """What is wrong is named by file, column and row, before training, in one line."""
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    table.to_csv(tmp_path / "table.csv", index=False)
    roles = {"path": str(tmp_path / "table.csv"), "target": "ill", "split_column": "split"}
    with pytest.raises(UserError, match=message) as refused:
        DataModule(**{**roles, **changes}).prepare_data()
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("split", ["val", "test", "predict"])
def test_unseen_categories_are_refused_or_ignored(split: str, table: pd.DataFrame, tmp_path: Path) -> None:
    """A category that no training row has is refused by column, row and value, or is 0 when ignored."""
    table.loc[table["split"] == split, "clinic"] = "c"
    changes = {}
    if split == "predict":
        table.replace({"clinic": {"b": "c"}}).to_csv(tmp_path / "new.csv", index=False)
        changes = {"predict_path": str(tmp_path / "new.csv")}
    with pytest.raises(UserError, match=r"column 'clinic', row \d+, .*'c' is in no training row.*ignore"):
        make(table, tmp_path, **changes).prepare_data()
    codes = make(table, tmp_path, unseen_categories="ignore", **changes).tables[split].columns["categories"]
    assert set(codes.unique().tolist()) == ({0, 1} if split == "predict" else {0})
