"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from transformers import BertConfig, PreTrainedTokenizerFast

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
data_module = importlib.import_module(f"{PACKAGE}.data")
DataModule = data_module.DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A CSV file with forty texts of two classes."""
    rows = []
    for i in range(20):
        for word in ("ham", "spam"):
            rows.append({"text": f"{word} is number {i}", "label": word})
    path = tmp_path / "table.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def make_data(path: Path, **options: Any) -> Any:
    return DataModule(path=str(path), vocab_size=300, **options)


def read_errors(data: Any) -> list[str]:
    """The lines of the error that the data raises."""
    with pytest.raises(UserError) as raised:
        data.prepare_data()
    return list(raised.value.args)


def groups_of(samples: list) -> set[str]:
    return {sample.group for sample in samples}


def places_of(samples: list) -> set[str]:
    return {sample.place for sample in samples}


def labels_of(samples: list) -> set[str]:
    return {sample.label for sample in samples}


def test_files_are_in_one_split() -> None:
    """No file of the standard library is in two splits, and each split has all classes."""
    splits = DataModule().splits
    groups = [groups_of(splits[split]) for split in ("train", "val", "test")]
    files = set.union(*groups)
    assert sum(len(split) for split in groups) == len(files)
    assert len(files) > 100
    assert labels_of(splits["train"]) == set(data_module.PACKAGES)
    assert labels_of(splits["test"]) == set(data_module.PACKAGES)


def test_passages_hide_the_packages() -> None:
    """No passage of the standard library contains the name of a package."""
    for sample in data_module.read_standard_library():
        assert "asyncio" not in sample.text.lower()


def test_splits_depend_on_the_seed_alone(table: Path) -> None:
    """The same seed gives the same splits, another seed gives others."""
    tests = [make_data(table, split_seed=seed).splits["test"] for seed in (0, 0, 1)]
    assert tests[0] == tests[1]
    assert tests[0] != tests[2]


def test_folds_test_every_text_once(table: Path) -> None:
    """Each text is in the test split of one fold, and equal texts are in the same one."""
    table.write_text(table.read_text() + "ham is number 3,ham\n")
    folds = []
    for fold in range(4):
        splits = make_data(table, folds=4, fold=fold).splits
        folds.append(places_of(splits["test"]))
    assert sum(len(places) for places in folds) == 41
    assert len(set.union(*folds)) == 41
    equal_texts = {f"{table}:8", f"{table}:42"}
    assert any(equal_texts <= places for places in folds)


@pytest.fixture
def tables_of_all_kinds(table: Path) -> Path:
    """A folder with the same texts as CSV, JSONL, Parquet and a folder of splits."""
    frame = pd.read_csv(table).rename(columns={"text": "body"})
    frame["part"] = ["train"] * 30 + ["val"] * 4 + ["test"] * 6
    parent = table.parent
    frame.to_csv(table, index=False)
    frame.to_json(parent / "table.jsonl", orient="records", lines=True)
    frame.to_parquet(parent / "table.parquet")
    (parent / "folder").mkdir()
    for split, rows in frame.groupby("part"):
        rows.to_csv(parent / "folder" / f"{split}.csv", index=False)
    return parent


@pytest.mark.parametrize("name", ["table.csv", "table.jsonl", "table.parquet", "folder"])
def test_tables_of_all_kinds_are_equal(tables_of_all_kinds: Path, name: str) -> None:
    """A table with a split column and a folder with a table for each split are read alike."""
    split_column = None if name == "folder" else "part"
    data = make_data(tables_of_all_kinds / name, text_column="body", split_column=split_column)
    sizes = {split: len(samples) for split, samples in data.splits.items()}
    assert sizes == {"train": 30, "val": 4, "test": 6}
    assert [sample.text for sample in data.splits["val"]] == [
        "ham is number 15",
        "spam is number 15",
        "ham is number 16",
        "spam is number 16",
    ]
    assert [sample.label for sample in data.splits["val"]] == ["ham", "spam", "ham", "spam"]


def test_hub_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Class names are labels, `validation` is `val`, and a test without labels is left out."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=["ham", "spam"]),
    )
    texts = [f"text {i}" for i in range(40)]
    labels = {"train": [0, 1] * 20, "validation": [0, 1] * 20, "test": [-1] * 40}
    splits = {}
    for split, numbers in labels.items():
        columns = {"text": texts, "label": numbers}
        splits[split] = datasets.Dataset.from_dict(columns, features)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: splits)
    data = DataModule(hub="some/texts", folds=4)
    sizes = {split: len(samples) for split, samples in data.splits.items()}
    assert sizes == {"train": 30, "val": 40, "test": 10}
    assert labels_of(data.splits["val"]) == {"ham", "spam"}


def test_encoder_that_does_not_exist(table: Path, tmp_path: Path) -> None:
    """A missing folder is refused in one line."""
    [line] = read_errors(make_data(table, encoder=str(tmp_path / "none")))
    assert f"data.encoder={tmp_path / 'none'} cannot be loaded" in line


def test_encoder_that_reads_fewer_tokens(table: Path, tmp_path: Path) -> None:
    """More tokens than the encoder reads are refused in one line."""
    tokenizer = data_module.learn_tokenizer(["some text"], vocab_size=300, max_length=16)
    fast_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=data_module.Tokenizer.from_str(tokenizer), pad_token="[PAD]"
    )
    fast_tokenizer.save_pretrained(tmp_path)
    BertConfig(vocab_size=300, max_position_embeddings=32).save_pretrained(tmp_path)
    [line] = read_errors(make_data(table, encoder=str(tmp_path), max_length=64))
    assert "data.max_length=64 must be at most 32" in line


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,label\n,a\n", "column 'text', row 2 (the header is row 1): the text is missing"),
        ("text,label\n  ,a\n", "column 'text', row 2 (the header is row 1): '  ' is blank"),
        ("text,label\nx\0y,a\n", "'x\\x00y' contains a NUL"),
        ("text,label\nx,\n", "column 'label', row 2 (the header is row 1): the label is missing"),
        ("text,label\nx,a \n", "'a ' has spaces around it"),
        ("text,label\nx,a\ny,a\n", "there must be two classes or more, not 'a' alone"),
        ("text,label\nx,a\nx,b\n", "a.csv:3: one text has the labels 'a' and 'b'"),
        ("text,label\nx,a\ny,b\n", "data.test_fraction=0.2 of 2 samples is 0"),
        ("txt,label\nx,a\n", "there is no column 'text'; did you mean 'txt'?"),
    ],
)
def test_errors_in_csv(tmp_path: Path, content: str, expected: str) -> None:
    """Each error has a line with the column, the row and the value."""
    (tmp_path / "a.csv").write_text(content)
    lines = read_errors(make_data(tmp_path / "a.csv"))
    assert any(expected in line for line in lines)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,label,s\nx,a,dev\n", "'dev' is not a split"),
        ("text,label,s\nx,a,\n", "the split is missing"),
        (
            "text,label,s\nx,a,train\ny,b,train\nz,c,val\n",
            "a.csv:4: val has class 'c', which train lacks",
        ),
    ],
)
def test_errors_in_splits(tmp_path: Path, content: str, expected: str) -> None:
    """Unknown and missing splits, and classes that cannot be learned, are reported."""
    (tmp_path / "a.csv").write_text(content)
    lines = read_errors(make_data(tmp_path / "a.csv", split_column="s"))
    assert any(expected in line for line in lines)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"text,label\nx,a\n\xff,a\n", "a.csv, line 3: byte 1, 0xff, is not UTF-8"),
        ("a.jsonl", b'{"text": 1, "label": "a"}\n', "column 'text', line 1: 1 is not a text"),
        (
            "a.jsonl",
            b'{"text": null, "label": "a"}\n{"text": "y", "label": "b"}',
            "line 1: the text is missing",
        ),
        ("a.jsonl", b'{"text": "x", "label": "a"}\n{"text"\n', "a.jsonl, line 2: "),
        ("a.parquet", b"no table", "a.parquet: cannot be read"),
    ],
)
def test_errors_in_files(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    """Tables that are broken are reported by file and line."""
    (tmp_path / name).write_bytes(content)
    lines = read_errors(make_data(tmp_path / name))
    assert any(expected in line for line in lines)
