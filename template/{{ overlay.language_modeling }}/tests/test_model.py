"""The model. Yours: change this as your experiment changes."""

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.test_harness import ModelSuite
from lightning.pytorch import Trainer

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


def make_model(depth: int = 2) -> Any:
    """A tiny model with weights all over, since a fresh one gives the same logits for everything."""
    torch.manual_seed(0)
    model = Model(vocab_size=256, depth=depth, dim=16, heads=2)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model


def test_logits_have_a_column_for_each_token() -> None:
    """Tokens (B, T) give logits (B, T, vocab_size), for any T."""
    model = make_model()
    assert model(torch.randint(256, (3, 7))).shape == (3, 7, 256)
    assert model(torch.randint(256, (3, 1))).shape == (3, 1, 256)


def test_logits_see_no_later_token() -> None:
    """Another token changes the logits from its place on, and none before; the same tokens elsewhere give others."""
    model, tokens = make_model(), torch.randint(256, (1, 12))
    other = tokens.clone()
    other[0, 6] = (other[0, 6] + 1) % 256
    changed = (model(tokens) - model(other)).abs().amax(dim=-1)[0]
    assert changed[:6].max() < 1e-5 < 1e-3 < changed[6:].min()


def test_attention_knows_the_order() -> None:
    """The same earlier tokens in another order give other logits."""
    model, tokens = make_model(depth=1), torch.randint(256, (1, 12))
    swapped = tokens[:, [1, 0, *range(2, 12)]]
    assert (model(tokens) - model(swapped))[0, -1].abs().max() > 1e-3


def test_fresh_model_guesses_evenly() -> None:
    """Before training the loss is ln(vocab_size)."""
    nats = Model(vocab_size=1000).losses(torch.randint(1000, (2, 33)))
    assert nats.tolist() == pytest.approx([math.log(1000)] * 2)


def test_bits_per_byte_are_of_all_that_is_tested(folder: Path, tmp_path: Path) -> None:
    """They are the bits of all test windows over all their bytes, though neither batches nor windows are alike."""
    data, model = DataModule(path=str(folder), context=9, batch_size=4, test_fraction=0.2), make_model()
    windows = data.windows["test"]
    assert len(windows) % 4
    assert {window["bytes"] for window in windows} == {9}
    for number, window in enumerate(windows):
        window["bytes"] = number
    nats = sum(9 * model.losses(torch.from_numpy(window["tokens"])[None]).item() for window in windows)
    quiet: Any = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "logger"), False)
    [metrics] = Trainer(default_root_dir=tmp_path, accelerator="cpu", **quiet).test(model, data, verbose=False)
    assert metrics["test/bits_per_byte"] == pytest.approx(nats / math.log(2) / sum(range(len(windows))))


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none."""

    floor = 0.3
    options = ("--model.depth=2", "--model.dim=64", "--data.batch_size=2", "--data.context=32")


def test_packed_documents_are_apart() -> None:
    """With `packed`, what stands before a zero byte changes nothing after it; without, it does."""
    model, tokens = make_model(), torch.randint(1, 256, (1, 12))
    tokens[0, 5] = 0
    other = tokens.clone()
    other[0, 2] = tokens[0, 2] % 255 + 1
    for packed in (True, False):
        model.hparams.packed = packed
        changed = (model(tokens) - model(other)).abs().amax(dim=-1)[0, 6:].max()
        assert (changed < 1e-5) == packed


def test_prompts_are_completed(folder: Path) -> None:
    """Each line of a text file is a prompt; the likeliest tokens are the same each time, and as many as asked for."""
    (folder / "0.txt").write_text("abc\n\ndef g():\n")
    data = DataModule(path=str(folder), predict_path=str(folder / "0.txt"))
    batch = next(iter(data.predict_dataloader()))
    model = Model(vocab_size=256, depth=1, dim=16, heads=2, new_tokens=5, temperature=0)
    torch.nn.init.normal_(model.net.head[1].weight)
    first, again = (model.predict_step(batch, 0)["prediction"] for _ in range(2))
    assert batch["prompt"] == ["abc", "def g():"]
    assert first == again
    assert all(len(text.encode(errors="replace")) >= 1 for text in first)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model in a folder, as `save_pretrained` writes it, whose tokens are bytes and an end."""
    folder = tmp_path_factory.mktemp("base")
    transformers, tokenizers = importlib.import_module("transformers"), importlib.import_module("tokenizers")
    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {letter: i for i, letter in enumerate(["<end>", *sorted(letters)])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.AutoConfig.for_model("llama", vocab_size=257, **sizes, bos_token_id=0, eos_token_id=0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return str(folder)


def test_base_counts_the_bytes_of_its_tokens(base: str, tmp_path: Path) -> None:
    """Windows add up to the text, also where one ends within a character; a document's end stands for none of it."""
    for i in range(20):
        (tmp_path / f"{i}.txt").write_text("aé" * 10)
    windows = DataModule(path=str(tmp_path), base=base, context=7).windows["train"]
    tokens = np.concatenate([window["tokens"][1:] for window in windows])
    assert sum(window["bytes"] for window in windows) == pytest.approx((tokens != 0).sum(), abs=1)


@pytest.mark.parametrize("packed", [False, True])
def test_packed_documents_are_apart_in_a_base_model(base: str, packed: bool) -> None:
    """With `packed`, what follows a document's end has the logits that it has alone; without, others."""
    data, tokens = DataModule(base=base), torch.randint(1, 257, (2, 12))
    model = Model(data.vocab_size, base_config=data.base_config, tokenizer=data.tokenizer, packed=packed)
    tokens[:, 5] = model.end
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    changed = (model(tokens)[:, 6:] - model(tokens[:, 6:])).abs().max()
    assert (changed < 1e-4) == packed


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # peft 0.21 calls what transformers 5 deprecates
@pytest.mark.parametrize("rank", [0, 2])
def test_base_model_goes_on(base: str, rank: int, folder: Path, tmp_path: Path) -> None:
    """A base model starts with its own weights and tokens; with LoRA only the adapter changes, and saves alone."""
    peft, transformers = importlib.import_module("peft"), importlib.import_module("transformers")
    data = DataModule(path=str(folder), base=base, context=20)
    facts = {name: getattr(data, name) for name in ("vocab_size", "base_config", "tokenizer")}
    assert "windows" not in vars(data)  # what the model is told takes no reading of the text
    model = Model(**facts, lora_rank=rank, packed=True)
    model.net.fetch()
    plain = transformers.AutoModelForCausalLM.from_pretrained(base)
    tokens = next(iter(data.train_dataloader()))["tokens"][:, :-1].long()
    torch.testing.assert_close(model(tokens[:1, :9]), plain(tokens[:1, :9]).logits)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all("lora" in name for name in trained) == (rank > 0)
    if rank:
        for weight in (w for w in model.parameters() if w.requires_grad):
            torch.nn.init.normal_(weight)
        model.net.save_adapter(tmp_path / "adapter", model.state_dict())
        again = peft.PeftModel.from_pretrained(plain, tmp_path / "adapter")
        torch.testing.assert_close(again(tokens[:1, :9]).logits, model(tokens[:1, :9]))


def test_unknown_base_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, a name that is neither cached nor a folder, and LoRA without a base, are one line each."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"data\.base=no/where cannot be used"):
        DataModule(base="no/where").base_config  # noqa: B018
    with pytest.raises(UserError, match=r"model\.lora_rank=4 .* set data\.base"):
        Model(vocab_size=256, lora_rank=4)
