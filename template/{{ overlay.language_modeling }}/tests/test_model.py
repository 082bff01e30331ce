"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import tokenizers
import torch
import transformers
from harness.model_suite import ModelSuite
from lightning.pytorch import Trainer
from torch import Tensor

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

FACTS = ("vocab_size", "base_config", "tokenizer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty text files of 60 bytes; each repeats a letter of its own."""
    folder = tmp_path / "text"
    folder.mkdir()
    for i in range(20):
        letter = chr(ord("a") + i)
        (folder / f"{i}.txt").write_text(letter * 60)
    return folder


def make_model(depth: int = 2) -> Any:
    """A tiny model with random weights, since a fresh one gives equal logits for everything."""
    torch.manual_seed(0)
    model = Model(vocab_size=256, depth=depth, dim=16, heads=2)
    randomize(model)
    return model


def randomize(model: Any) -> None:
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)


def facts_of(data: Any) -> dict[str, Any]:
    return {name: getattr(data, name) for name in FACTS}


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none."""

    floor = 0.3
    options = (
        "--model.depth=2",
        "--model.dim=64",
        "--data.batch_size=2",
        "--data.context=32",
    )


def test_logits_have_a_column_for_each_token() -> None:
    """Tokens (B, T) give logits (B, T, vocab_size), for any T."""
    model = make_model()
    assert model(torch.randint(256, (3, 7))).shape == (3, 7, 256)
    assert model(torch.randint(256, (3, 1))).shape == (3, 1, 256)


def test_logits_see_no_later_token() -> None:
    """Another token changes the logits at and after its position, and none before it."""
    model = make_model()
    tokens = torch.randint(256, (1, 12))
    other = tokens.clone()
    other[0, 6] = (other[0, 6] + 1) % 256
    difference = (model(tokens) - model(other)).abs().amax(dim=-1)[0]
    assert difference[:6].max() < 1e-5
    assert difference[6:].min() > 1e-3


def test_attention_depends_on_the_order() -> None:
    """The same earlier tokens in another order give other logits."""
    model = make_model(depth=1)
    tokens = torch.randint(256, (1, 12))
    swapped = tokens[:, [1, 0, *range(2, 12)]]
    difference = model(tokens) - model(swapped)
    assert difference[0, -1].abs().max() > 1e-3


def test_fresh_model_predicts_all_tokens_equally() -> None:
    """Before training the loss is ln(vocab_size)."""
    losses = Model(vocab_size=1000).losses(torch.randint(1000, (2, 33)))
    assert losses.tolist() == pytest.approx([math.log(1000)] * 2)


def test_bits_per_byte_cover_all_tested_text(folder: Path, tmp_path: Path) -> None:
    """They are the bits of all windows over all their bytes, although sizes differ."""
    data = DataModule(path=str(folder), context=9, batch_size=4, test_fraction=0.2)
    windows = data.windows["test"]
    assert len(windows) % 4
    windows.tokenizer.predicted_bytes = lambda tokens: int(tokens[0]) % 7
    model = make_model()
    nats = 0.0
    size = 0
    for window in windows:
        tokens = torch.from_numpy(window["tokens"])[None]
        nats += 9 * model.losses(tokens).item()
        size += window["bytes"]
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
    )
    [metrics] = trainer.test(model, data, verbose=False)
    assert metrics["test/bits_per_byte"] == pytest.approx(nats / math.log(2) / size)


def change_after(model: Any, tokens: Tensor, other: Tensor, start: int) -> float:
    """The largest difference of the logits from a position on."""
    difference = model(tokens) - model(other)
    return difference[:, start:].abs().max().item()


@pytest.mark.parametrize("packed", [False, True])
def test_packed_documents_are_separate(packed: bool) -> None:
    """With `packed`, a token before a zero byte changes nothing after it; without, it does."""
    model = make_model()
    model.hparams.packed = packed
    tokens = torch.randint(1, 256, (1, 12))
    tokens[0, 5] = 0
    other = tokens.clone()
    other[0, 2] = tokens[0, 2] % 255 + 1
    assert (change_after(model, tokens, other, start=6) < 1e-5) == packed


def test_prompts_are_completed(folder: Path) -> None:
    """Each line of a text file is a prompt; without temperature, completions repeat."""
    prompts = folder / "prompts.txt"
    prompts.write_text("abc\n\ndef g():\n")
    data = DataModule(path=str(folder), predict_path=str(prompts))
    batch = next(iter(data.predict_dataloader()))
    model = Model(vocab_size=256, depth=1, dim=16, heads=2, new_tokens=5, temperature=0)
    torch.nn.init.normal_(model.net.head[1].weight)
    first = model.predict_step(batch, 0)["prediction"]
    second = model.predict_step(batch, 0)["prediction"]
    assert batch["prompt"] == ["abc", "def g():"]
    assert batch["input"] == [f"{prompts}:1", f"{prompts}:3"]
    assert first == second
    assert all(first)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a tiny model, written by `save_pretrained`; its tokens are bytes and an end."""
    folder = tmp_path_factory.mktemp("base")
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {letter: i for i, letter in enumerate(["<end>", *sorted(letters)])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    fast_tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>"
    )
    fast_tokenizer.save_pretrained(folder)
    config = transformers.AutoConfig.for_model(
        "llama",
        vocab_size=257,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return str(folder)


def test_base_tokenizer_counts_bytes(base: str, tmp_path: Path) -> None:
    """Windows add up to the text, even if they cut characters; end tokens have no bytes."""
    for i in range(20):
        (tmp_path / f"{i}.txt").write_text("aé" * 10)
    windows = DataModule(path=str(tmp_path), base=base, context=7).windows["train"]
    tokens = np.concatenate([window["tokens"][1:] for window in windows])
    size = sum(window["bytes"] for window in windows)
    assert size == pytest.approx((tokens != 0).sum(), abs=1)


@pytest.mark.parametrize("packed", [False, True])
def test_packed_documents_are_separate_in_a_base_model(base: str, packed: bool) -> None:
    """With `packed`, tokens after an end have the same logits as alone; without, others."""
    model = Model(**facts_of(DataModule(base=base)), packed=packed)
    randomize(model)
    tokens = torch.randint(1, 257, (2, 12))
    tokens[:, 5] = model.net.end
    together = model(tokens)[:, 6:]
    alone = model(tokens[:, 6:])
    difference = (together - alone).abs().max().item()
    assert (difference < 1e-4) == packed


def test_base_model_starts_with_its_weights(base: str, folder: Path) -> None:
    """A base model has its own weights and tokens; asking for its facts does not read the text."""
    data = DataModule(path=str(folder), base=base, context=20)
    model = Model(**facts_of(data), packed=True)
    assert "windows" not in vars(data)
    model.net.load_published_weights()
    published = transformers.AutoModelForCausalLM.from_pretrained(base)
    tokens = next(iter(data.train_dataloader()))["tokens"][:1, :9].long()
    torch.testing.assert_close(model(tokens), published(tokens).logits)
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # peft 0.21 on transformers 5
def test_adapter_is_trained_and_saved_alone(base: str, tmp_path: Path) -> None:
    """With LoRA only the adapter is trained, and peft loads what is saved of it."""
    model = Model(**facts_of(DataModule(base=base)), lora_rank=2)
    model.net.load_published_weights()
    published = transformers.AutoModelForCausalLM.from_pretrained(base)
    tokens = torch.randint(1, 257, (1, 9))
    torch.testing.assert_close(model(tokens), published(tokens).logits)
    trained = []
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            trained.append(name)
            torch.nn.init.normal_(weight)
    assert trained
    assert all("lora" in name for name in trained)
    model.net.save_adapter(tmp_path / "adapter", model.state_dict())
    loaded = peft.PeftModel.from_pretrained(published, tmp_path / "adapter")
    torch.testing.assert_close(loaded(tokens).logits, model(tokens))


def test_base_model_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, a name that is neither cached nor a folder is refused in one line."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    data = DataModule(base="no/where")
    with pytest.raises(UserError, match=r"data\.base=no/where cannot be loaded") as raised:
        data.prepare_data()
    assert len(raised.value.args) == 1


def test_lora_needs_a_base_model() -> None:
    """LoRA without a base model is refused."""
    with pytest.raises(UserError, match=r"model\.lora_rank=4 .* set data\.base"):
        Model(vocab_size=256, lora_rank=4)


def test_checkpoint_knows_the_base_model(base: str, tmp_path: Path) -> None:
    """With a checkpoint's hyperparameters, prompts are read without the base model's files."""
    model = Model(**facts_of(DataModule(base=base)))
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("abc\n")
    data = DataModule(base="no/where", predict_path=str(prompts))
    data.known = dict(model.hparams)
    [tokens] = next(iter(data.predict_dataloader()))["tokens"]
    assert data.text_tokenizer.decode(tokens.tolist()) == "abc"
