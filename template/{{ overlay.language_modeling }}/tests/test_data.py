"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError
hub_reader = importlib.import_module(f"{PACKAGE}.readers.hub")

FILES = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty files of 60 bytes, half of them in a subfolder; each repeats a letter of its own."""
    folder = tmp_path / "text"
    (folder / "sub").mkdir(parents=True)
    for i in range(FILES):
        parent = folder / "sub" if i % 2 else folder
        letter = chr(ord("a") + i)
        (parent / f"{i}.txt").write_text(letter * 60)
    return folder


def document_of(window: dict) -> str:
    return window["input"].rsplit(":", 1)[0]


def documents(windows: Any) -> set[str]:
    """The names of the documents in which windows start."""
    return {document_of(window) for window in windows}


def read_errors(data: Any) -> list[str]:
    """The lines of the error that the data raises."""
    with pytest.raises(UserError) as raised:
        data.prepare_data()
    return list(raised.value.args)


def test_windows_cover_the_text(folder: Path) -> None:
    """A window names its file and position, and ends where the next starts; files end with 0."""
    windows = DataModule(path=str(folder), context=7).windows["train"]
    for window, following in itertools.pairwise(windows):
        position = int(window["input"].rsplit(":", 1)[1])
        content = Path(document_of(window)).read_bytes() + b"\0"
        expected = content[position : position + 8]
        assert expected
        assert bytes(window["tokens"]).startswith(expected)
        assert window["tokens"][7] == following["tokens"][0]


def test_splits_are_disjoint_and_complete() -> None:
    """No file of the standard library is in two splits."""
    windows = DataModule().windows
    splits = [documents(windows[split]) for split in ("train", "val", "test")]
    files = set.union(*splits)
    assert sum(len(split) for split in splits) == len(files)
    assert len(files) > 100


def test_splits_depend_on_the_seed_alone(folder: Path) -> None:
    """The same seed gives the same splits, another seed gives others."""
    tests = []
    for seed in (0, 0, 1):
        data = DataModule(path=str(folder), context=7, split_seed=seed, test_fraction=0.3)
        tests.append(documents(data.windows["test"]))
    assert tests[0] == tests[1]
    assert tests[0] != tests[2]


def test_folder_with_splits(folder: Path) -> None:
    """Subfolders val and test are these splits; other files are train, except hidden ones."""
    for split in ("train", "val", "test"):
        (folder / split).mkdir()
        (folder / split / "0.txt").write_text(split * 20)
    (folder / ".git").mkdir()
    (folder / ".git" / "index").write_bytes(b"\xff")
    windows = DataModule(path=str(folder), context=9).windows
    assert documents(windows["val"]) == {str(folder / "val" / "0.txt")}
    assert documents(windows["test"]) == {str(folder / "test" / "0.txt")}
    assert len(documents(windows["train"])) == FILES + 1


def test_single_file_is_split_by_position(tmp_path: Path) -> None:
    """A single document trains with its beginning and is tested with its end."""
    text = "".join(f"{i:04d}" for i in range(1000))
    (tmp_path / "all.txt").write_text(text)
    windows = DataModule(path=str(tmp_path / "all.txt"), context=9).windows
    first = {split: bytes(windows[split][0]["tokens"][:4]) for split in windows}
    assert first["train"] == b"0000"
    assert first["train"] < first["val"] < first["test"]


def test_jsonl_lines_are_documents(tmp_path: Path) -> None:
    """Each line's `text` is a document, in UTF-8."""
    file = tmp_path / "all.jsonl"
    lines = [json.dumps({"text": "é" * 50, "id": i}) for i in range(20)]
    file.write_text("\n".join(lines) + "\n")
    windows = DataModule(path=str(file), context=10).windows
    names = set()
    for split in windows:
        names |= documents(windows[split])
    assert names == {f"{file}:{number}" for number in range(1, 21)}
    assert bytes(windows["test"][0]["tokens"][:2]).decode() == "é"


def test_hub_rows_are_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row's `text` is a document; `validation` is `val`; empty and other splits are left out."""
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text('{"text": "abcdefghij"}\n' * 4)
    splits = hub_reader.load_hub_splits(str(tmp_path))
    splits["unsupervised"] = splits["test"].rename_column("text", "words")
    splits["test"] = splits["test"].select([])
    monkeypatch.setattr(f"{PACKAGE}.readers.documents.load_hub_splits", lambda name: splits)
    windows = DataModule(hub="some/texts", context=5).windows
    assert windows.keys() == {"train", "val", "test"}
    assert documents(windows["val"]) == {"val:0", "val:1", "val:2", "val:3"}
    assert len(documents(windows["train"]) | documents(windows["test"])) == 4


def test_hub_dataset_needs_training_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset without rows in `train` is refused, with the splits that it has."""
    splits = {"val": ["row"], "unsupervised": ["row"]}
    monkeypatch.setattr(f"{PACKAGE}.readers.documents.load_hub_splits", lambda name: splits)
    [line] = read_errors(DataModule(hub="some/texts"))
    assert "no rows in a split train; it has val, unsupervised" in line


def test_token_file(tmp_path: Path) -> None:
    """A .npy file of ids is read as it is, with the tokenizer's facts."""
    np.save(tmp_path / "ids.npy", np.arange(5000, dtype=np.uint16))
    data = DataModule(
        path=str(tmp_path / "ids.npy"),
        vocab_size=5000,
        bytes_per_token=3.5,
        context=16,
    )
    batch = next(iter(data.val_dataloader()))
    assert batch["tokens"].shape == (14, 17)
    assert batch["bytes"].tolist() == [56] * 14
    assert data.vocab_size == 5000


def test_stream_has_the_windows_of_all_files(folder: Path) -> None:
    """A stream reads every file of `train` before it reads one again."""
    for split in ("val", "test"):
        (folder / split).mkdir()
        (folder / split / "0.txt").write_text(split * 20)
    stream = DataModule(path=str(folder), context=60, stream=True).windows["train"]
    windows = list(itertools.islice(stream.stream(seed=0), FILES))
    tokens = np.concatenate([window["tokens"] for window in windows])
    letters = set(bytes(tokens).decode()) - {"\0"}
    assert len(letters) == FILES
    assert {window["bytes"] for window in windows} == {60}


def read_to_the_end(loader: Any) -> None:
    for _ in loader:
        pass


@pytest.mark.parametrize("num_workers", [0, 1])
def test_stream_names_a_bad_file(folder: Path, num_workers: int) -> None:
    """A file that cannot be read ends a stream with the same lines, with and without workers."""
    for split in ("val", "test"):
        (folder / split).mkdir()
        (folder / split / "0.txt").write_text(split * 20)
    (folder / "bad.txt").write_bytes(b"\xff\xfe")
    data = DataModule(
        path=str(folder),
        context=7,
        batch_size=2,
        stream=True,
        num_workers=num_workers,
    )
    with pytest.raises(UserError) as raised:
        read_to_the_end(data.train_dataloader())
    assert raised.value.args == (
        f"{folder / 'bad.txt'}, byte 0: text must be UTF-8; convert or remove the file",
    )


BAD_LINES = b'{"text": "a"}\n{"txt": "b"}\n[1]\n{"text\n{"text": " "}\n{"text": "\\ud800"}'
NO_TEXT = "no such file or folder, or no text in it"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", b"ab\xffcd", ["a.txt, byte 2: text must be UTF-8"]),
        ("a.txt", b"ab\0cd", ["a.txt: contains a zero byte"]),
        ("a.txt", b"short", ["train's 6 tokens", "val's 0 tokens", "test's 0 tokens"]),
        (
            "a.jsonl",
            BAD_LINES,
            ["a.jsonl:2:", "a.jsonl:3:", "a.jsonl:4:", "a.jsonl:5:", "a.jsonl:6:"],
        ),
        ("a.npy", b"no array", ["a.npy: cannot be read"]),
        (".hidden", b"text", [NO_TEXT]),
    ],
)
def test_errors_in_files(tmp_path: Path, name: str, content: bytes, expected: list[str]) -> None:
    """Each error has a line with its place."""
    (tmp_path / name).write_bytes(content)
    lines = read_errors(DataModule(path=str(tmp_path)))
    assert len(lines) == len(expected)
    for part in expected:
        assert any(part in line for line in lines)


@pytest.mark.parametrize(
    ("tokens", "options", "expected"),
    [
        (np.full(9999, 300, np.uint16), {}, "must be below data.vocab_size=256, got 300"),
        (np.zeros(9999, np.int64), {}, "must be unsigned integers in one dimension, not int64"),
        (np.zeros(9999, np.uint16), {"vocab_size": 999}, "belong together"),
    ],
)
def test_errors_in_token_files(
    tmp_path: Path, tokens: np.ndarray, options: dict, expected: str
) -> None:
    """Ids outside the vocabulary, and half of a tokenizer's facts, are refused."""
    np.save(tmp_path / "ids.npy", tokens)
    [line] = read_errors(DataModule(path=str(tmp_path / "ids.npy"), **options))
    assert expected in line


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"path": "nowhere"}, f"nowhere: {NO_TEXT}"),
        ({"test_fraction": 1.5}, "between 0 and 1, got 1.5"),
        ({"hub": "no/where/at/all"}, "data.hub=no/where/at/all"),
    ],
)
def test_errors_in_options(options: dict, expected: str) -> None:
    """A missing path, an impossible share and an unknown Hub dataset are refused."""
    [line] = read_errors(DataModule(**options))
    assert expected in line


def test_width_must_fit_the_heads() -> None:
    """A width that the heads cannot share is refused."""
    with pytest.raises(UserError, match=r"multiple of 2 \* model\.heads = 8, got 100"):
        Model(vocab_size=256, dim=100)
