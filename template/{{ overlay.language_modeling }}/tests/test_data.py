"""The data. Yours: change this as your experiment changes."""

import importlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty text files of 60 bytes, some in a subfolder, each its own letter again and again."""
    for i in range(20):
        file = tmp_path / "text" / ("sub" if i % 2 else "") / f"{i}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(chr(ord("a") + i) * 60)
    return tmp_path / "text"


def documents(windows: list) -> set[str]:
    return {window["input"].rsplit(":", 1)[0] for window in windows}


def test_windows_cover_the_text(folder: Path) -> None:
    """A window says in which file it starts and where, and ends where the next one starts; a zero byte ends files."""
    for window, after in itertools.pairwise(DataModule(path=str(folder), context=7).windows["train"]):
        name, place = window["input"].rsplit(":", 1)
        rest = (Path(name).read_bytes() + b"\0")[int(place) :][:8]
        assert rest
        assert bytes(window["tokens"]).startswith(rest)
        assert window["tokens"][7] == after["tokens"][0]


def test_splits_are_apart_and_repeat() -> None:
    """No file of the standard library is in two splits, and a seed gives the same ones again."""
    splits = [DataModule(split_seed=seed).windows for seed in (0, 0, 1)]
    first, again, other = ({split: documents(windows) for split, windows in x.items()} for x in splits)
    assert sum(map(len, first.values())) == len(set.union(*first.values())) > 100
    assert first["test"] == again["test"] != other["test"]


def test_folder_with_splits(folder: Path) -> None:
    """The folders val and test are used as they are split; the rest is for training."""
    for split in ("train", "val", "test"):
        (folder / split).mkdir()
        (folder / split / "0.txt").write_text(split * 20)
    (folder / ".git").mkdir()
    (folder / ".git" / "index").write_bytes(b"\xff")
    names = {split: documents(windows) for split, windows in DataModule(path=str(folder), context=9).windows.items()}
    assert [names["val"], names["test"]] == [{str(folder / split / "0.txt")} for split in ("val", "test")]
    assert len(names["train"]) == 21


def test_one_file_is_cut_at_its_end(tmp_path: Path) -> None:
    """A single document trains with its beginning and is tested with its end."""
    (tmp_path / "all.txt").write_text("".join(f"{i:04d}" for i in range(1000)))
    windows = DataModule(path=str(tmp_path / "all.txt"), context=9).windows
    firsts = {split: bytes(windows[split][0]["tokens"][:4]) for split in windows}
    assert firsts["train"] == b"0000" < firsts["val"] < firsts["test"]


def test_jsonl_lines_are_documents(tmp_path: Path) -> None:
    """Each line's `text` is a document, in UTF-8."""
    file = tmp_path / "all.jsonl"
    file.write_text("".join(json.dumps({"text": "é" * 50, "id": i}) + "\n" for i in range(20)))
    windows = DataModule(path=str(file), context=10).windows
    assert len(set.union(*map(documents, windows.values()))) == 20
    assert bytes(windows["test"][0]["tokens"][:2]).decode() == "é"


def test_hub_rows_are_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row's `text` is a document; what the dataset calls `validation` is `val`; splits of other names are none."""
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.jsonl").write_text('{"text": "abcdefghij"}\n' * 4)
    fetched = importlib.import_module(f"{PACKAGE}.harness.hub").fetch_rows(str(tmp_path))
    fetched |= {"test": fetched["test"].select([]), "unsupervised": fetched["test"].rename_column("text", "words")}
    monkeypatch.setattr(f"{PACKAGE}.harness.texts.fetch_rows", lambda name: fetched)
    windows = DataModule(hub=str(tmp_path), context=5).windows
    assert windows.keys() == {"train", "val", "test"}
    assert documents(windows["val"]) == {"val:0", "val:1", "val:2", "val:3"}
    assert len(documents(windows["train"]) | documents(windows["test"])) == 4
    del fetched["train"]
    with pytest.raises(UserError, match="no rows in a split train; it has val, test, uns"):
        DataModule(hub=str(tmp_path)).prepare_data()


def test_token_file(tmp_path: Path) -> None:
    """A .npy file of ids is read as it is, with the tokenizer's facts."""
    np.save(tmp_path / "ids.npy", np.arange(5000, dtype=np.uint16))
    data = DataModule(path=str(tmp_path / "ids.npy"), vocab_size=5000, bytes_per_token=3.5, context=16)
    batch = next(iter(data.val_dataloader()))
    assert batch["tokens"].shape == (14, 17)
    assert batch["bytes"].tolist() == [56] * 14
    assert data.vocab_size == 5000


@pytest.mark.parametrize(
    ("name", "content", "messages"),
    [
        ("a.txt", b"ab\xffcd", ["a.txt, byte 2: text is in UTF-8"]),
        ("a.txt", b"ab\0cd", ["a.txt: a zero byte ends a document"]),
        ("a.txt", b"short", ["below train's 6 tokens", "below val's 0 tokens", "below test's 0 tokens"]),
        (
            "a.jsonl",
            b'{"text": "a"}\n{"txt": "b"}\n[1]\n{"text\n{"text": " "}',
            ["line 2", "line 3", "line 4", "line 5"],
        ),
        ("a.npy", b"no array", ["a.npy: it cannot be read"]),
        (".hidden", b"text", ["no such file or folder, or no text in it"]),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, messages: list[str]) -> None:
    """What is wrong, where and the fix: a line for each fault."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        DataModule(path=str(tmp_path)).prepare_data()
    lines = str(error.value).splitlines()
    assert len(lines) == len(messages)
    assert all(any(message in line for line in lines) for message in messages)


@pytest.mark.parametrize(
    ("tokens", "facts", "message"),
    [
        (np.full(9999, 300, np.uint16), {}, "uint16 up to 300: token ids are unsigned and below data.vocab_size=256"),
        (np.zeros(9999, np.int64), {}, "int64 up to 0: token ids are unsigned"),
        (np.zeros(9999, np.uint16), {"vocab_size": 999}, "go together"),
    ],
)
def test_bad_tokens_are_named(tmp_path: Path, tokens: np.ndarray, facts: dict, message: str) -> None:
    """Ids that the vocabulary lacks, and half of a tokenizer's facts, are refused."""
    np.save(tmp_path / "ids.npy", tokens)
    with pytest.raises(UserError, match=message):
        DataModule(path=str(tmp_path / "ids.npy"), **facts).prepare_data()


def test_bad_settings_are_named() -> None:
    """A missing path, a context of none, an unknown Hub dataset and a width that heads cannot share."""
    with pytest.raises(UserError, match=r"nowhere: no such file or folder"):
        DataModule(path="nowhere").prepare_data()
    with pytest.raises(UserError, match=r"data\.context=0 from 1"):
        DataModule(context=0).prepare_data()
    with pytest.raises(UserError, match=r"between 0 and 1, not 1\.5"):
        DataModule(test_fraction=1.5).prepare_data()
    with pytest.raises(UserError, match=r"data\.hub=no/where/at/all"):
        DataModule(hub="no/where/at/all").prepare_data()
    with pytest.raises(UserError, match=r"model\.dim is a multiple of 2 \* model\.heads = 8, not 100"):
        Model(vocab_size=256, dim=100)
