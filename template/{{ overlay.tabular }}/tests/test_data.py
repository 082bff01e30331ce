"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
import re
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
read_table = importlib.import_module(f"{PACKAGE}.readers.tables").read_table
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

SPLITS = ("train", "val", "test")
FOLDS = 5
EVERY_ROW = slice(None)
UNSEEN = "column 'clinic', rows .*'c' is in no training row.*ignore"


@pytest.fixture
def table() -> pd.DataFrame:
    """Forty patients: `age`, a number, `clinic`, a category, and `ill`, the target; 32 train."""
    age = np.arange(20.0, 60.0)
    frame = pd.DataFrame(
        {
            "age": age,
            "clinic": list("ab" * 20),
            "ill": np.where(age > 40, "yes", "no"),
            "split": ["train"] * 32 + ["val"] * 4 + ["test"] * 4,
        }
    )
    return frame.sample(frac=1, random_state=0, ignore_index=True)


def make_data(frame: pd.DataFrame, folder: Path, **options: Any) -> Any:
    """A datamodule on a CSV file of the table."""
    path = folder / "table.csv"
    frame.to_csv(path, index=False)
    defaults = {"path": str(path), "target": "ill", "split_column": "split"}
    return DataModule(**(defaults | options))


def all_row_numbers(splits: list[pd.DataFrame]) -> list[int]:
    numbers = []
    for rows in splits:
        numbers.extend(rows.index)
    return sorted(numbers)


# Splits


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes"])
def test_splits_are_disjoint_and_cover_all_rows(dataset: str) -> None:
    """Each row is in one split."""
    rows = DataModule(dataset=dataset).rows
    numbers = all_row_numbers(list(rows.values()))
    assert numbers == list(range(2, len(numbers) + 2))


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes"])
def test_splits_depend_on_the_seed_only(dataset: str) -> None:
    """The same seed gives the same test split in the same order, another seed another split."""
    first = DataModule(dataset=dataset, split_seed=0).rows["test"]
    second = DataModule(dataset=dataset, split_seed=0).rows["test"]
    other = DataModule(dataset=dataset, split_seed=1).rows["test"]
    assert first.equals(second)
    assert set(first.index) != set(other.index)


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes"])
def test_folds_divide_the_rows(dataset: str) -> None:
    """Each row is in the test split of one fold, and the splits of a fold share no row."""
    test_splits = []
    for fold in range(FOLDS):
        rows = DataModule(dataset=dataset, folds=FOLDS, fold=fold).rows
        numbers = all_row_numbers(list(rows.values()))
        assert len(numbers) == len(set(numbers))
        test_splits.append(rows["test"])
    numbers = all_row_numbers(test_splits)
    assert numbers == list(range(2, len(numbers) + 2))


def test_folds_keep_the_proportions_of_classes() -> None:
    """All splits of a fold have the same share of a class, but for single rows."""
    for fold in range(FOLDS):
        shares = []
        for rows in DataModule(folds=FOLDS, fold=fold).rows.values():
            is_benign = rows["target"] == "benign"
            shares.append(is_benign.mean())
        assert max(shares) - min(shares) < 0.02


# Encoding


@pytest.mark.parametrize(("split", "changes_facts"), [("train", True), ("test", False)])
def test_facts_come_from_training_rows(
    split: str, changes_facts: bool, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Other values in training rows change the facts; in test rows they change none."""
    before = make_data(table, tmp_path).facts
    table.loc[table["split"] == split, "age"] *= 2
    after = make_data(table, tmp_path).facts
    assert (before != after) == changes_facts


def test_missing_values_are_encoded_as_zero(table: pd.DataFrame, tmp_path: Path) -> None:
    """A missing number becomes the training mean, which is 0, and a missing category index 0."""
    table.loc[0, ["age", "clinic"]] = None
    data = make_data(table, tmp_path)
    split = table.loc[0, "split"]
    columns = data.table.datasets[split].columns
    (index,) = (columns["row"] == 2).nonzero()
    assert columns["numbers"][index].item() == 0
    assert columns["categories"][index].item() == 0
    assert sorted(columns["categories"].unique().tolist()) == [0, 1, 2]


def test_empty_rows_are_skipped_and_counted(table: pd.DataFrame, tmp_path: Path) -> None:
    """Blank lines and rows without values are left out; the rows below keep their numbers."""
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    header, rows = path.read_text().split("\n", maxsplit=1)
    path.write_text(f"{header}\n\n,,,\n{rows}")
    frame = read_table(str(path))
    assert frame.index.tolist() == list(range(4, 44))


def test_file_formats_give_the_same_data(table: pd.DataFrame, tmp_path: Path) -> None:
    """CSV, Parquet and JSONL give the same facts and rows; lines of JSONL have no header."""
    table.loc[3, ["age", "clinic"]] = None
    csv = make_data(table, tmp_path)
    table.to_parquet(tmp_path / "table.parquet")
    table.to_json(tmp_path / "table.jsonl", orient="records", lines=True)
    parquet = make_data(table, tmp_path, path=str(tmp_path / "table.parquet"))
    jsonl = make_data(table, tmp_path, path=str(tmp_path / "table.jsonl"))
    assert astuple(csv.facts) == astuple(parquet.facts) == astuple(jsonl.facts)
    csv_rows = csv.rows["test"].index
    assert csv_rows.equals(parquet.rows["test"].index)
    assert csv_rows.equals(jsonl.rows["test"].index + 1)


# Errors


@pytest.mark.parametrize(
    ("row", "column", "value", "options", "message"),
    [
        (3, "age", "old", {}, "'age', row 5 .*'old' is not a finite number"),
        (3, "age", "inf", {}, "'age', row 5 .*'inf' is not a finite number"),
        (3, "ill", None, {}, "'ill', row 5 .* the target is missing"),
        (3, "split", "dev", {}, "'split', row 5 .*'dev' is not a split"),
        (3, "ill", "no", {"problem": "regression"}, "'ill'.* is not a finite .*data.problem"),
        (EVERY_ROW, "ill", "no", {}, "train 32.* 2 values of 'ill'"),
        (EVERY_ROW, "split", "val", {}, "train 0.* each split needs 2"),
        (EVERY_ROW, "age", 1, {"ignore": ["clinic"]}, "there is no column to learn from"),
    ],
)
def test_bad_values_are_one_line(
    row: Any,
    column: str,
    value: Any,
    options: dict,
    message: str,
    table: pd.DataFrame,
    tmp_path: Path,
) -> None:
    """A bad value is reported before training, by file, column and row."""
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    with pytest.raises(UserError, match=message) as raised:
        make_data(table, tmp_path, **options).prepare_data()
    assert len(raised.value.args) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "il"}, r"no column 'il'; did you mean 'ill'\? .* are age, clinic, ill, split"),
        ({"numeric": ["age", "size"]}, "there is no column 'size'"),
        ({"numeric": ["age", "ill"]}, "column 'ill' has 2 roles"),
        ({"categorical": []}, "'clinic'.* is not a finite number"),
        ({"path": "nowhere.csv"}, "nowhere.csv: the file does not exist"),
        ({"split_column": None, "val_fraction": 0.01}, "val 0.* each split needs 2"),
        ({"split_column": None, "folds": 5, "fold": 5}, "data.fold=5 of data.folds=5"),
        ({"folds": 5}, "data.folds=5 cuts a test split, and the data has one"),
    ],
)
def test_bad_options_are_one_line(
    options: dict, message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Options that do not fit the table are reported before training."""
    with pytest.raises(UserError, match=message) as raised:
        make_data(table, tmp_path, **options).prepare_data()
    assert len(raised.value.args) == 1


@pytest.mark.parametrize(
    ("name", "content", "messages"),
    [
        ("empty.csv", b"", ["the file is empty"]),
        ("header.csv", b"age,ill\n", ["the table has no rows"]),
        ("semicolons.csv", b"age;ill\n1;yes\n", ["names are separated by ';'"]),
        ("twice.csv", b"age,age,ill\n1,2,yes\n", ["2 columns are named 'age'"]),
        ("quote.csv", b'age,ill\n1,no\n2,"yes\n', ["row 3: a quote is opened and never closed"]),
        (
            "ragged.csv",
            b"age,ill\n1,yes,2\n3,no\n4\n",
            ["row 2 .*expected 2 values .*got 3", "row 4 .*expected 2 values .*got 1"],
        ),
        ("latin.csv", b"age,ill\n1,\xe9\n2,no\n", ["line 2: byte 3, 0xe9, is not UTF-8"]),
        ("table.parquet", b"PAR1", ["cannot be read as"]),
        (
            "lines.jsonl",
            b'{"age": 1}\n[2]\n{"age"\n{"age": [4]}\n',
            ["line 2.* is not an object", "line 3: Expecting", "line 4.* is a list"],
        ),
        ("half.jsonl", b'{"age": "\\ud800"}\n', ["line 1: .*surrogates"]),
    ],
)
def test_broken_files_are_reported_by_row(
    name: str, content: bytes, messages: list[str], tmp_path: Path
) -> None:
    """Every broken row of a file is reported at once, by its number."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_table(str(tmp_path / name))
    for line, message in zip(raised.value.args, messages, strict=True):
        assert re.search(f"{name}.*{message}", line), line


def test_all_errors_are_reported_at_once(table: pd.DataFrame, tmp_path: Path) -> None:
    """Errors in several columns, splits and files are lines of one error."""
    rows = {name: table.index[table["split"] == name] for name in SPLITS}
    table["age"] = table["age"].astype(object)
    table.loc[rows["train"][0], "split"] = "dev"
    table.loc[rows["test"][0], ["age", "clinic"]] = ["old", "c"]
    new = tmp_path / "new.jsonl"
    new.write_text('{"age": "ten", "clinic": "a"}\n[]\n')
    with pytest.raises(UserError) as raised:
        make_data(table, tmp_path, predict_path=str(new)).prepare_data()
    for part in (
        "'old' is not a finite number",
        "'dev' is not a split",
        "'c' is in no training row",
        "line 2: '[]' is not an object",
        "'ten' is not a finite number",
    ):
        lines = [line for line in raised.value.args if part in line]
        assert len(lines) == 1, part


def test_notes_name_uneven_classes_and_shared_rows(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """What is suspicious, but may be intended, is a note and not an error."""
    rows = {name: table.index[table["split"] == name] for name in SPLITS}
    table.loc[rows["train"], "ill"] = ["no"] * 30 + ["yes"] * 2
    table.loc[rows["val"][0]] = table.loc[rows["train"][0]].replace("train", "val")
    make_data(table, tmp_path).prepare_data()
    notes = capsys.readouterr().err
    assert "train has 30 of 'no' and 2 of 'yes'" in notes
    assert "1 of val are in train as well" in notes


@pytest.mark.parametrize("split", ["val", "test"])
def test_unseen_categories_are_refused_or_ignored(
    split: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A category that no training row has is an error or, if ignored, becomes index 0."""
    table.loc[table["split"] == split, "clinic"] = "c"
    with pytest.raises(UserError, match=UNSEEN):
        make_data(table, tmp_path).prepare_data()
    data = make_data(table, tmp_path, unseen_categories="ignore")
    categories = data.table.datasets[split].columns["categories"]
    assert categories.unique().tolist() == [0]


def test_unseen_categories_to_predict_are_refused_or_ignored(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    """The same holds for rows to predict."""
    new = tmp_path / "new.csv"
    table.replace({"clinic": {"b": "c"}}).to_csv(new, index=False)
    with pytest.raises(UserError, match=UNSEEN):
        make_data(table, tmp_path, predict_path=str(new)).prepare_data()
    data = make_data(table, tmp_path, predict_path=str(new), unseen_categories="ignore")
    categories = data.predict_dataset.columns["categories"]
    assert categories.unique().sort().values.tolist() == [0, 1]
