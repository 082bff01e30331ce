"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from harness.model_suite import ModelSuite
from harness.project import ONE_PROCESS, QUICK, command
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
data_module = importlib.import_module(f"{PACKAGE}.data")
DataModule = data_module.DataModule
Texts = data_module.Texts

FACTS = ("class_names", "tokenizer", "encoder_config")


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none."""

    floor = 0.01
    options = (
        "--model.dropout=0",
        "--model.depth=1",
        "--model.dim=32",
        "--data.max_length=64",
        "--data.batch_size=8",
    )


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


def make_model(data: Any) -> Any:
    """A tiny model with random weights, since a fresh one gives equal logits for everything."""
    torch.manual_seed(0)
    facts = {name: getattr(data, name) for name in FACTS}
    model = Model(**facts, depth=1, dim=16, heads=2, buckets=64)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def test_batches_and_predictions_have_a_row_for_each_text(table: Path) -> None:
    """Tokens (B, T) give logits (B, classes), T is a multiple of 8, and each text gets a class."""
    data = make_data(table, batch_size=8, max_length=7)
    batch = next(iter(data.train_dataloader()))
    model = make_model(data)
    assert batch["tokens"].shape == (8, 8)
    assert batch["mask"].shape == (8, 8)
    assert model(batch["tokens"], batch["mask"]).shape == (8, 2)
    columns = model.predict_step(batch, 0)
    for column in columns.values():
        assert len(column) == 8
    assert set(columns["prediction"]) <= {"ham", "spam"}
    assert columns["input"][0].startswith(f"{table}:")


def test_padding_changes_nothing(table: Path) -> None:
    """A text has the same logits alone and beside a longer one."""
    data = make_data(table)
    texts = data.texts["train"]
    texts.tokens[1] = texts.tokens[1].repeat(5)
    alone = texts.__getitems__([0])
    beside = texts.__getitems__([0, 1])
    assert alone["tokens"].shape[1] < beside["tokens"].shape[1]
    model = make_model(data)
    logits_alone = model(alone["tokens"], alone["mask"])
    logits_beside = model(beside["tokens"], beside["mask"])
    torch.testing.assert_close(logits_alone[0], logits_beside[0])


def test_order_of_tokens_counts(table: Path) -> None:
    """Tokens in another order give other logits, and other n-grams."""
    data = make_data(table)
    model = make_model(data)
    batch = data.texts["train"].__getitems__([0])
    tokens = batch["tokens"]
    mask = batch["mask"]
    length = int(mask.sum())
    reversed_tokens = tokens.clone()
    reversed_tokens[:, :length] = tokens[:, :length].flip(1)
    difference = model(reversed_tokens, mask) - model(tokens, mask)
    assert difference.abs().max() > 1e-3
    difference = model.net.sum_ngrams(reversed_tokens, mask) - model.net.sum_ngrams(tokens, mask)
    assert difference.abs().max() > 1e-3


def save_bert(folder: Path, tokenizer: str) -> BertModel:
    """Write a tiny encoder with its tokenizer, as a Hub model has them."""
    fast_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=data_module.Tokenizer.from_str(tokenizer), pad_token="[PAD]"
    )
    fast_tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=300,
        max_position_embeddings=32,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    bert = BertModel(config)
    bert.save_pretrained(folder)
    return bert


def test_checkpoint_contains_the_encoder(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training starts from the weights of `data.encoder`, and the checkpoint loads without them."""
    data = make_data(table)
    folder = tmp_path / "bert"
    bert = save_bert(folder, data.tokenizer)
    monkeypatch.chdir(tmp_path)
    options = [
        f"--data.path={table}",
        f"--data.encoder={folder}",
        "--data.max_length=16",
        "--data.batch_size=8",
        "--model.lr=0",
    ]
    command(monkeypatch, "fit", "--run", "bert", *options, *QUICK, *ONE_PROCESS)
    shutil.rmtree(folder)
    checkpoint = tmp_path / "runs" / "bert" / "checkpoints" / "last.ckpt"
    model = Model.load_from_checkpoint(checkpoint, weights_only=True).eval()
    weights = bert.state_dict()
    for name, weight in model.net.encoder.state_dict().items():
        assert torch.equal(weight, weights[name])
    texts = Texts(data.splits["test"], model.hparams.tokenizer, model.hparams.class_names)
    columns = model.predict_step(texts.__getitems__([0, 1, 2, 3]), 0)
    assert len(columns["prediction"]) == 4


def test_checkpoint_predicts_without_training_texts(table: Path, tmp_path: Path) -> None:
    """With a checkpoint's hyperparameters, new texts are read without the training table."""
    model = make_model(make_data(table))
    table.unlink()
    new = tmp_path / "new.csv"
    new.write_text("text\nham is new\nspam is new\n")
    data = make_data(table, predict_path=str(new))
    data.known = dict(model.hparams)
    data.prepare_data()
    batch = next(iter(data.predict_dataloader()))
    assert batch["input"] == [f"{new}:2", f"{new}:3"]
    assert batch["label"].tolist() == [-1, -1]
    assert set(model.predict_step(batch, 0)["prediction"]) <= {"ham", "spam"}
