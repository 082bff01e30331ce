"""The model and the data. Yours: change them as your experiment changes."""

import importlib
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.test_harness import ModelSuite

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
    model = Model(vocab_size=256, bytes_per_token=1.0, depth=depth, dim=16, heads=2)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    return model


def documents(windows: list) -> set[str]:
    return {window["input"].rsplit(":", 1)[0] for window in windows}


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
    """Before training the loss is ln(vocab_size), and bits per byte are log2 of it over bytes per token."""
    model = Model(vocab_size=1000, bytes_per_token=4.0)
    nats, bits = model.losses(torch.randint(1000, (2, 33)))
    assert nats.tolist() == pytest.approx([math.log(1000)] * 2)
    assert bits.tolist() == pytest.approx([math.log2(1000) / 4] * 2)


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
    model = Model(vocab_size=256, bytes_per_token=1.0, depth=1, dim=16, heads=2, new_tokens=5, temperature=0)
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


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # peft 0.21 calls what transformers 5 deprecates
@pytest.mark.parametrize("rank", [0, 2])
def test_base_model_goes_on(base: str, rank: int, folder: Path, tmp_path: Path) -> None:
    """A base model starts with its own weights and tokens; with LoRA only the adapter changes, and saves alone."""
    peft, transformers = importlib.import_module("peft"), importlib.import_module("transformers")
    data = DataModule(path=str(folder), base=base, context=20)
    facts = {name: getattr(data, name) for name in ("vocab_size", "bytes_per_token", "base_config", "tokenizer")}
    assert facts["bytes_per_token"] == pytest.approx(60 / 61, abs=0.05)  # an end for each document
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
        Model(vocab_size=256, bytes_per_token=1.0, lora_rank=4)


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
    """Each row's `text` is a document; what the dataset calls `validation` is `val`."""
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text('{"text": "abcdefghij"}\n' * 4)
    windows = DataModule(hub=str(tmp_path), context=5).windows
    assert documents(windows["val"]) == {"val:0", "val:1", "val:2", "val:3"}
    assert len(documents(windows["train"]) | documents(windows["test"])) == 4


def test_token_file(tmp_path: Path) -> None:
    """A .npy file of ids is read as it is, with the tokenizer's facts."""
    np.save(tmp_path / "ids.npy", np.arange(5000, dtype=np.uint16))
    data = DataModule(path=str(tmp_path / "ids.npy"), vocab_size=5000, bytes_per_token=3.5, context=16)
    assert next(iter(data.val_dataloader()))["tokens"].shape == (14, 17)
    assert (data.vocab_size, data.bytes_per_token) == (5000, 3.5)


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
        (np.zeros(9999, np.int64), {}, "one row of unsigned integers, not int64"),
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
        Model(vocab_size=256, bytes_per_token=1.0, dim=100)
