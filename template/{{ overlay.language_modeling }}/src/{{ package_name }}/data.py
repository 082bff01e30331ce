"""Text: Python's standard library to start with, or your own. Yours: updates leave it alone."""

import json
import sysconfig
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from .harness import Faults, UserError, loaders
from .harness.base import decode, fetch_base, text_size, tokenizer_of
from .harness.streams import make_stream_loader
from .harness.texts import (
    Documents,
    Prompts,
    Stream,
    encode,
    hold_out,
    list_files,
    note_documents,
    read,
    read_hub,
    read_prompts,
)


class DataModule(LightningDataModule):
    """The standard library's source text, text files, a token file, or a Hub dataset.

    A token is a byte of the text in UTF-8, and a zero byte ends each document; or it is a base model's.

    Args:
        path: a folder of text files, or a single one, where `.jsonl` has a document in the `text` of
            each line; or token ids, unsigned, in `.npy`. In the folder, `val` and `test` are these
            splits, and all else is `train`. Neither path nor hub: the standard library.
        hub: a Hugging Face dataset with the column `text`, by name or local folder.
        predict_path: prompts to complete: the lines of a text file, or `.jsonl`; default: beginnings of test windows.
        base: a causal language model of the Hub, by name or local folder, to go on from, with its tokenizer.
        vocab_size: of an `.npy` file, whose ids are below it; text has 256.
        bytes_per_token: of an `.npy` file, for bits per byte; text has 1.
        context: tokens that the model sees at once.
        batch_size: windows of `context` tokens of a step, over all devices.
        val_fraction: share of the documents that is cut from `train` where there is no `val`; of a
            single document, its end.
        test_fraction: the same for `test`, which comes first.
        split_seed: of the cuts.
        num_workers: loader processes; default: none, since the text is in memory; one for a stream.
        stream: read `train` from disk as it is trained on, for text that memory cannot hold; the files
            are in another order each time, and `path` has `val` and `test`.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = None,
        predict_path: str | None = None,
        base: str | None = None,
        vocab_size: int = 256,
        bytes_per_token: float = 1.0,
        context: int = 128,
        batch_size: int = 16,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        split_seed: int = 0,
        num_workers: int | None = None,
        stream: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=base is None)  # else the model's facts differ, which Lightning refuses to log

    # Facts, for the model to keep.

    @cached_property
    def coding(self) -> tuple[str, str]:
        """Configuration and tokenizer of the base model, as JSON."""
        return fetch_base(self.hparams.base) if self.hparams.base else ("", "")

    @property
    def base_config(self) -> str:
        return self.coding[0]

    @property
    def tokenizer(self) -> str:
        return self.coding[1]

    @property
    def context(self) -> int:
        return self.hparams.context

    @property
    def vocab_size(self) -> int:
        return json.loads(self.base_config)["vocab_size"] if self.hparams.base else self.hparams.vocab_size

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a document, the one that ends it last."""
        if not self.hparams.base:
            return encode(text)
        ids = tokenizer_of(self.tokenizer).encode(text, add_special_tokens=False).ids
        return np.array([*ids, json.loads(self.base_config)["eos_token_id"]], np.uint32)

    def count_bytes(self, tokens: np.ndarray) -> int:
        """How much text the tokens of a window stand for after its first, which is not predicted."""
        if not self.hparams.base:
            return round((len(tokens) - 1) * self.hparams.bytes_per_token)
        return text_size(tokens, self.tokenizer) - text_size(tokens[:1], self.tokenizer)

    @cached_property
    def windows(self) -> dict[str, Any]:
        hp, stdlib, faults = self.hparams, Path(sysconfig.get_path("stdlib")), Faults()
        if (hp.vocab_size == 256) != (hp.bytes_per_token == 1):
            raise UserError("data.vocab_size and data.bytes_per_token go together: set both for .npy, none for text")
        if hp.stream:
            return self.streamed(Path(hp.path or "."))
        if hp.hub:
            splits = read_hub(hp.hub, self.encode)
        else:
            where = (Path(hp.path), "**/*") if hp.path else (stdlib, "[a-z]*.py")
            splits = read(*where, self.encode, faults)
        if hp.path or hp.hub:
            note_documents(splits)
        faults.refuse()
        if "train" not in splits:
            raise UserError(f"{hp.hub or hp.path or stdlib}: no such file or folder, or no text in it; set data.path")
        for name in sorted({"val", "test"} - splits.keys()):
            splits["train"], splits[name] = hold_out(splits["train"], hp[f"{name}_fraction"], hp.split_seed)
        windows = {}
        for name, documents in splits.items():
            with faults:
                windows[name] = Windows(name, documents, self)
        faults.refuse()
        return windows

    def streamed(self, path: Path) -> dict[str, Any]:
        found = {name: read(path / name, encode=self.encode) for name in ("val", "test")}
        files = [file for file in list_files(path) if not {path / "val", path / "test"} & {*file.parents}]
        if not files or not all(found.values()):
            raise UserError(
                f"data.stream=true takes a folder with val, test, and other files; data.path={path} is none"
            )
        held = {name: Windows(name, documents["train"], self) for name, documents in found.items()}
        return {"train": Stream(files, self.hparams.context, self.encode, self.count_bytes), **held}

    def prepare_data(self) -> None:
        """Read and check everything, so that a mistake shows before training, not in its midst."""
        self.prompts if self.hparams.predict_path else self.windows  # noqa: B018

    def train_dataloader(self) -> DataLoader:
        train = self.windows["train"]
        return make_stream_loader(train, self) if self.hparams.stream else loaders.make_loader(train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return loaders.make_loader(self.windows["val"], self)

    def test_dataloader(self) -> DataLoader:
        return loaders.make_loader(self.windows["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return loaders.make_loader(self.prompts, self)

    @cached_property
    def prompts(self) -> Prompts:
        if path := self.hparams.predict_path:
            return Prompts(read_prompts(Path(path), self.encode))
        halves = [(w["input"], w["tokens"][: len(w["tokens"]) // 2]) for w in self.windows["test"][:32]]
        return Prompts({"input": i, "prompt": decode(t.tolist(), -1, self.tokenizer), "tokens": t} for i, t in halves)


class Windows(list):
    """The documents of a split end to end, in windows that predict each token once, but the first.

    What fills no last window is left out. A window is a dict of `tokens` (context + 1,); `bytes`, of the text that all
    but its first stand for; and `input`: the document it starts in, and at which token.
    """

    in_memory = True

    def __init__(self, split: str, documents: Documents, data: DataModule) -> None:
        (names, texts), context = zip(*documents), data.context
        if len(kinds := {str(text.dtype) for text in texts}) > 1:
            raise UserError(
                f"{split} mixes token ids of {' and '.join(sorted(kinds))}: one kind alone; convert the others"
            )
        tokens = texts[0] if len(texts) == 1 else np.concatenate(texts, dtype=texts[0].dtype, casting="no")
        if not 0 < context < len(tokens):
            raise UserError(f"set data.context={context} from 1 to below {split}'s {len(tokens)} tokens, or add text")
        if tokens.dtype.kind != "u" or tokens.max() >= data.vocab_size:
            found = f"{names[0]} has {tokens.dtype} up to {tokens.max()}"
            raise UserError(
                f"{found}: token ids are unsigned and below data.vocab_size={data.vocab_size}; correct the two"
            )
        starts = np.cumsum([0, *map(len, texts)])
        for i in range(0, len(tokens) - context, context):
            which = np.searchsorted(starts, i, side="right") - 1
            window, place = tokens[i : i + context + 1], f"{names[which]}:{i - starts[which]}"
            self.append({"tokens": window, "bytes": data.count_bytes(window), "input": place})
