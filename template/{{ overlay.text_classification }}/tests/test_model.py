"""The model and the data. Yours: change them as your experiment changes."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from harness.test_harness import ONE_PROCESS, QUICK, ModelSuite, command
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
data_module = importlib.import_module(f"{PACKAGE}.data")
DataModule, Texts = data_module.DataModule, data_module.Texts
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
FACTS = ("class_names", "tokenizer", "encoder_config")


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none."""

    floor = 0.01
    options = ("--model.dropout=0", "--model.depth=1", "--model.dim=32", "--data.max_length=64", "--data.batch_size=8")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Forty texts of two classes, and their label."""
    rows = [{"text": f"{word} is number {i}", "label": word} for i in range(20) for word in ("ham", "spam")]
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def make(path: Path, **changes: Any) -> Any:
    return DataModule(path=str(path), vocab_size=300, **changes)


def build(data: Any, **dials: Any) -> Any:
    """A tiny model with weights all over, since a fresh one gives the same logits for everything."""
    model = Model(**{name: getattr(data, name) for name in FACTS}, depth=1, dim=16, heads=2, buckets=64, **dials).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def batch_of(data: Any, split: str) -> dict:
    data.prepare_data()
    return next(iter(getattr(data, f"{split}_dataloader")()))


def test_batches_and_predictions_have_a_row_for_each_text(table: Path) -> None:
    """Tokens (B, T) give logits (B, classes), T a multiple of 8; a class for each text."""
    data = make(table, batch_size=8, max_length=7)
    batch, model = batch_of(data, "train"), build(data)
    assert batch["tokens"].shape == batch["mask"].shape == (8, 8)
    assert model(batch["tokens"], batch["mask"]).shape == (8, 2)
    columns = model.predict_step(batch, 0)
    assert {len(column) for column in columns.values()} == {8}
    assert set(columns["prediction"]) <= {"ham", "spam"}
    assert columns["input"][0].startswith(f"{table}:")


def test_padding_changes_nothing(table: Path) -> None:
    """A text alone and beside longer ones has the same logits."""
    data = make(table)
    texts, model = data.texts["train"], build(data)
    texts.tokens[1] = texts.tokens[1].repeat(5)
    alone, beside = (texts.__getitems__(indices) for indices in ([0], [0, 1]))
    assert alone["tokens"].shape[1] < beside["tokens"].shape[1]
    torch.testing.assert_close(*(model(batch["tokens"], batch["mask"])[0] for batch in (alone, beside)))


def test_order_counts(table: Path) -> None:
    """The same tokens in another order give other logits: by the encoder, and by the n-grams without it."""
    data = make(table)
    batch = data.texts["train"].__getitems__([0])
    model, length = build(data), int(batch["mask"].sum())
    other = torch.cat([batch["tokens"][:, :length].flip(1), batch["tokens"][:, length:]], dim=1)
    assert (model(other, batch["mask"]) - model(batch["tokens"], batch["mask"])).abs().max() > 1e-3
    counts = [model.net.count(tokens, batch["mask"]) for tokens in (batch["tokens"], other)]
    assert (counts[0] - counts[1]).abs().max() > 1e-3


def test_passages_are_apart_by_file_and_repeat() -> None:
    """No file of the standard library is in two splits, no passage names a package, and a seed repeats the splits."""
    first, again, other = (DataModule(split_seed=seed).splits for seed in (0, 0, 1))
    files = {name: {sample.group for sample in samples} for name, samples in first.items()}
    assert sum(map(len, files.values())) == len(set.union(*files.values())) > 100
    assert first == again
    assert first["test"] != other["test"]
    assert not any("asyncio" in sample.text.lower() for samples in first.values() for sample in samples)
    assert {s.label for s in first["test"]} == {s.label for s in first["train"]} == set(data_module.PACKAGES)


def test_folds_test_every_text_once(table: Path) -> None:
    """Each text is in the test split of one fold, also where it stands in the table twice: then it is both times."""
    table.write_text(table.read_text() + "ham is number 3,ham\n")
    parts = [{sample.place for sample in make(table, folds=4, fold=fold).splits["test"]} for fold in range(4)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 41
    assert any({f"{table}:8", f"{table}:42"} <= part for part in parts)


def test_every_kind_of_table_is_read_alike(table: Path, tmp_path: Path) -> None:
    """CSV, JSONL and Parquet, in a file with a split column or in a folder with a file for each split."""
    frame = pd.read_csv(table).rename(columns={"text": "body"})
    frame["part"] = ["train"] * 30 + ["val"] * 4 + ["test"] * 6
    (tmp_path / "folder").mkdir()
    frame.to_csv(table, index=False)
    frame.to_json(tmp_path / "table.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "table.parquet")
    for part in ("train", "val", "test"):
        frame[frame["part"] == part].to_csv(tmp_path / "folder" / f"{part}.csv", index=False)
    for name in ("table.csv", "table.jsonl", "table.parquet", "folder"):
        splits = make(tmp_path / name, text_column="body", split_column=None if name == "folder" else "part").splits
        assert {split: len(samples) for split, samples in splits.items()} == {"train": 30, "val": 4, "test": 6}
        assert [sample[1:3] for sample in splits["val"]] == list(zip(frame["body"][30:34], frame["label"][30:34]))


def test_hub_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its names of classes are used, `validation` is `val`, and a test without labels is left out."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["ham", "spam"]))
    rows = {"text": [f"text {i}" for i in range(40)]}
    labels = {"train": [0, 1] * 20, "validation": [0, 1] * 20, "test": [-1] * 40}
    hub = {k: datasets.Dataset.from_dict({**rows, "label": v}, features) for k, v in labels.items()}
    monkeypatch.setattr(datasets, "load_dataset", lambda name: hub)
    splits = DataModule(hub="some/texts", folds=4).splits
    assert {name: len(samples) for name, samples in splits.items()} == {"train": 30, "val": 40, "test": 10}
    assert {sample.label for sample in splits["val"]} == {"ham", "spam"}


def test_hub_encoder_travels_in_the_checkpoint(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`data.encoder` starts from its weights, and the checkpoint needs neither these nor its files."""
    data, folder = make(table), tmp_path / "bert"
    tokenizer = data_module.Tokenizer.from_str(data.tokenizer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    bert = BertModel(BertConfig(vocab_size=300, max_position_embeddings=32, **sizes))
    bert.save_pretrained(folder)
    monkeypatch.chdir(tmp_path)
    dials = [f"--data.path={table}", f"--data.encoder={folder}", "--data.max_length=16", "--data.batch_size=8"]
    command(monkeypatch, "fit", "--run", "bert", *dials, "--model.lr=0", *QUICK, *ONE_PROCESS)
    shutil.rmtree(folder)
    model = Model.load_from_checkpoint(tmp_path / "runs/bert/checkpoints/last.ckpt", weights_only=True).eval()
    weights = bert.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in model.net.encoder.state_dict().items())
    texts = Texts(data.splits["test"], model.hparams)
    assert len(model.predict_step(texts.__getitems__(range(4)), 0)["prediction"]) == 4


def test_encoders_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing folder, and more tokens than an encoder takes, are each refused in one line."""
    tokenizer = data_module.Tokenizer.from_str(data_module.learn_tokens(["some text"], 300, 16))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(tmp_path)
    BertConfig(vocab_size=300, max_position_embeddings=32).save_pretrained(tmp_path)
    for encoder, message in ((tmp_path / "none", "none cannot be used: "), (tmp_path, "reads 32 tokens at most")):
        with pytest.raises(UserError, match=message) as refused:
            DataModule(encoder=str(encoder), max_length=64).prepare_data()
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "changes", "message"),
    [
        ("a.csv", "text,label\n,a\n", {}, r"column 'text', row 2 .*: nothing is no text"),
        ("a.csv", "text,label\n  ,a\n", {}, r"column 'text', row 2 .*: '  ' is blank"),
        ("a.csv", "text,label\nx\0y,a\n", {}, r"column 'text', row 2 .* has a NUL"),
        ("a.csv", "text,label\nx,\n", {}, r"column 'label', row 2 .*: nothing is no label"),
        ("a.csv", "text,label\nx,a \n", {}, r"column 'label', row 2 .* 'a ' has space around it"),
        ("a.csv", "text,label\nx,a\ny,a\n", {}, "train has one class alone, 'a'"),
        ("a.csv", "text,label\nx,a\nx,b\n", {}, "a.csv:2 and .*a.csv:3: one text has the labels 'a' and 'b'"),
        ("a.csv", "text,label\nx,a\ny,b\n", {}, "of 2 is 0: cut off one or more"),
        ("a.csv", "text,label,s\nx,a,dev\n", {"split_column": "s"}, "'dev' is no split"),
        ("a.csv", "text,label,s\nx,a,train\ny,b,train\nz,c,val\n", {"split_column": "s"}, "a.csv:4: val has class 'c'"),
        ("a.csv", "txt,label\nx,a\n", {}, "has no column 'text'; did you mean 'txt'?"),
        ("a.csv", b"text,label\nx,a\n\xff,a\n", {}, "a.csv, line 3: byte 1, 0xff, is no UTF-8"),
        ("a.jsonl", '{"text": 1, "label": "a"}\n', {}, "column 'text', line 1: '1' is a number, and no text"),
        ("a.jsonl", '{"text": null, "label": "a"}\n{"text": "y", "label": "b"}', {}, "line 1: nothing is no text"),
        ("a.jsonl", '{"text": "x", "label": "a"}\n{"text"\n', {}, "a.jsonl, line 2: a line holds a JSON object"),
        ("a.parquet", "no table", {}, "a.parquet is missing, or no readable"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, name: str, content: Any, changes: dict, message: str) -> None:
    """What is wrong is named by file, column and row, before training, in a line of its own."""
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        make(tmp_path / name, **changes).prepare_data()
