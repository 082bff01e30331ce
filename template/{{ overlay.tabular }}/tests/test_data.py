"""The data. Yours: change this as your experiment changes."""

import importlib
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
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


def batch_of(data: Any, split: str) -> dict:
    data.prepare_data()
    return next(iter(getattr(data, f"{split}_dataloader")()))


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes"])
def test_splits_are_apart_and_repeat(dataset: str) -> None:
    """The splits share no row and cover all; a seed gives the same ones again, another seed others."""
    first, again, other = (DataModule(dataset=dataset, split_seed=seed).rows for seed in (0, 0, 1))
    rows = [row for part in first.values() for row in part.index]
    assert sorted(rows) == list(range(2, len(rows) + 2))
    assert first["test"].equals(again["test"])
    assert set(first["test"].index) != set(other["test"].index)


@pytest.mark.parametrize("dataset", ["breast_cancer", "diabetes"])
def test_folds_share_out_the_rows(dataset: str) -> None:
    """Each row is in the test split of one fold; no split shares a row, and classes keep their shares."""
    folds = [DataModule(dataset=dataset, folds=5, fold=fold).rows for fold in range(5)]
    rows = [row for fold in folds for row in fold["test"].index]
    assert sorted(rows) == list(range(2, len(rows) + 2))
    for fold in folds:
        assert sum(len(part) for part in fold.values()) == len(set().union(*(part.index for part in fold.values())))
        shares = [(part["target"] == "benign").mean() for part in fold.values()]
        assert max(shares) - min(shares) < 0.02


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


def test_files_of_all_kinds_are_read_alike(table: pd.DataFrame, tmp_path: Path) -> None:
    """The same table gives the same facts and rows from CSV, Parquet and JSONL, whose lines have no header."""
    table.loc[3, ["age", "clinic"]] = None
    csv = make(table, tmp_path)
    table.to_parquet(tmp_path / "table.parquet")
    table.to_json(tmp_path / "table.jsonl", orient="records", lines=True)
    for name, shift in (("table.parquet", 0), ("table.jsonl", 1)):
        other = DataModule(path=str(tmp_path / name), target="ill", split_column="split")
        assert [getattr(csv, fact) for fact in FACTS] == [getattr(other, fact) for fact in FACTS]
        assert csv.rows["test"].index.equals(other.rows["test"].index + shift)


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
        (0, "age", 1, {"split_column": None, "folds": 5, "fold": 5}, "data.fold=5 of data.folds=5"),
        (0, "age", 1, {"folds": 5}, "data.folds=5 cuts a test split, and the data have one"),
        (0, "age", 1, {"categorical": []}, "'clinic'.* is no finite number"),
        (slice(None), "age", 1, {"ignore": ["clinic"]}, "no column to learn from"),
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


@pytest.mark.parametrize(
    ("name", "content", "messages"),
    [
        ("empty.csv", b"", ["it is empty"]),
        ("header.csv", b"age,ill\n", ["has no rows"]),
        ("semicolons.csv", b"age;ill\n1;yes\n", ["';' is between the names"]),
        ("twice.csv", b"age,age,ill\n1,2,yes\n", ["'age' names 2 columns"]),
        ("ragged.csv", b"age,ill\n1,yes,2\n3,no\n4\n", ["row 2 .* 3 values", "row 4 .* 1 value,"]),
        ("latin.csv", b"age,ill\n1,\xe9\n2,no\n", ["line 2: byte 3, 0xe9, is no UTF-8"]),
        ("table.parquet", b"PAR1", ["no readable"]),
        ("lines.jsonl", b'{"age": 1}\n[2]\n{"age"\n{"age": [4]}\n', ["line 2.* no object", "line 3", "line 4.* list"]),
        ("half.jsonl", b'{"age": "\\ud800"}\n', ["line 1: .*surrogates"]),
    ],
)
def test_broken_files_are_named(name: str, content: bytes, messages: list[str], tmp_path: Path) -> None:
    """What is broken in a file is named by its row or line, all of it at once."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_table(str(tmp_path / name))
    assert len(refused.value.args) == len(messages)
    for said, message in zip(refused.value.args, messages, strict=True):
        assert re.search(f"{name}.*{message}", said), said


def test_all_faults_and_notes_are_said_at_once(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Faults of several columns, splits and files are in one error, after the notes on classes and twins."""
    table["age"] = table["age"].astype(object)
    split = {name: table.index[table["split"] == name] for name in ("train", "val", "test")}
    table.loc[split["train"], "ill"] = ["no"] * 30 + ["yes"] * 2
    table.loc[split["val"][0]] = table.loc[split["train"][0]].replace("train", "val")
    table.loc[split["train"][1], "split"] = "dev"
    table.loc[split["test"][0], ["age", "clinic"]] = ["old", "c"]
    (tmp_path / "new.jsonl").write_text('{"age": "ten", "clinic": "a"}\n[]\n')
    with pytest.raises(UserError) as refused:
        make(table, tmp_path, predict_path=str(tmp_path / "new.jsonl")).prepare_data()
    pieces = ("'old' is no finite", "'dev' is no split", "'c' is in no training", "line 2", "'ten' is no finite")
    assert [sum(piece in said for said in refused.value.args) for piece in pieces] == [1] * len(pieces)
    said = capsys.readouterr().err
    assert "classes are uneven" in said
    assert "of val are in train as well" in said


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
    codes = batch_of(make(table, tmp_path, unseen_categories="ignore", **changes), split)["categories"]
    assert set(codes.unique().tolist()) == ({0, 1} if split == "predict" else {0})
