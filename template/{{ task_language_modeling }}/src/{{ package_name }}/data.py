"""Text as bytes: Python's standard library to start with, or your own. Yours: updates leave it alone."""

import json
import random
import sysconfig
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from .harness import UserError
from .harness.loading import make_loader

Documents = list[tuple[str, bytes | np.ndarray]]  # names, and the text in UTF-8 or token ids (T,)
# Beside the standard library, or no text that is worth learning.
SKIP = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "encodings", "pydoc_data"}


class DataModule(LightningDataModule):
    """The standard library's source text, text files, a token file, or a Hub dataset.

    A token is a byte of the text in UTF-8; a zero byte ends each document.

    Args:
        path: a folder of text files or a single one, where `.jsonl` has a document in the `text` of
            each line; or an `.npy` file of unsigned token ids. Folders `train`, `val` and `test` in
            the folder are the splits. Neither path nor hub: the standard library.
        hub: a Hugging Face dataset with the column `text`, by name or local folder.
        vocab_size: of an `.npy` file, whose ids are below it; text has 256.
        bytes_per_token: of an `.npy` file, for bits per byte; text has 1.
        context: tokens that the model sees at once.
        batch_size: windows of `context` tokens for each process and step.
        val_fraction: share of the documents that is cut from `train` where there is no `val`; the
            end of it, if there is one document.
        test_fraction: the same for `test`.
        split_seed: of the cuts.
        num_workers: loader processes; default: none, since the text is in memory.
    """

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = None,
        vocab_size: int | None = None,
        bytes_per_token: float | None = None,
        context: int = 128,
        batch_size: int = 16,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        split_seed: int = 0,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @property
    def vocab_size(self) -> int:
        return self.hparams.vocab_size or 256

    @property
    def bytes_per_token(self) -> float:
        return self.hparams.bytes_per_token or 1.0

    @cached_property
    def windows(self) -> dict[str, "Windows"]:
        hp = self.hparams
        splits = read_hub(hp.hub) if hp.hub else read_path(Path(hp.path), hp) if hp.path else read_stdlib()
        for name, fraction in (("test", hp.test_fraction), ("val", hp.val_fraction)):
            if name not in splits:
                splits["train"], splits[name] = cut(splits["train"], fraction, hp.split_seed)
        return {name: Windows(documents, hp.context, name) for name, documents in splits.items()}

    def prepare_data(self) -> None:
        self.windows  # noqa: B018 # read and check everything, so that a mistake shows before training

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.windows["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.windows["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.windows["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.windows["test"], self)


class Windows(list):
    """The documents of a split end to end, in windows that predict each token once, but the first.

    Batches are dicts of `tokens` (B, context + 1), and of `input`, B strings: the document in which a
    window starts, and at which of its tokens.
    """

    in_memory = True  # or mapped from a file, which the operating system reads ahead

    def __init__(self, split: str, documents: Documents, hp: Any) -> None:
        starts = [0, *accumulate(len(tokens) for _, tokens in documents)]
        if not 0 < hp.context < starts[-1]:
            found = f"{split} has {starts[-1]} tokens in {len(documents)} documents"
            raise UserError(f"{found}, and takes more than data.context={hp.context}, which is from 1: add text")
        tokens = np.concatenate([x for _, x in documents]) if len(documents) > 1 else documents[0][1]
        if tokens.dtype.kind != "u" or tokens.max() >= (hp.vocab_size or 256):
            found = f"{split} has {tokens.dtype} up to {tokens.max()}"
            raise UserError(f"{found}, token ids are unsigned and below data.vocab_size={hp.vocab_size}: set ")
        for i in range(0, len(tokens) - hp.context, hp.context):
            document = bisect(starts, i) - 1
            place = f"{documents[document][0]}:{i - starts[document]}"
            self.append({"tokens": tokens[i : i + hp.context + 1], "input": place})


def read_folder(root: Path) -> dict[str, Documents]:
    folders = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    return {name: read(path) for name, path in (folders if "train" in folders else {"train": root}).items()}


def read(path: Path, pattern: str = "**/[!.]*") -> Documents:
    """A text file is a document, and so is each line of a `.jsonl` file, and an `.npy` file."""
    documents, line = [], 0
    for file in [path] if path.is_file() else filter(Path.is_file, sorted(path.glob(pattern))):
        if file.suffix == ".npy":
            documents.append((str(file), np.load(file, mmap_mode="c").ravel()))
            continue
        try:
            text = file.read_bytes().decode()
            if file.suffix != ".jsonl":
                documents.append((str(file), encode(text)))
                continue
            for line, item in enumerate(text.rstrip().split("\n"), start=1):
                documents.append((f"{file}:{line}", encode(json.loads(item)["text"])))
        except UnicodeDecodeError as error:
            raise UserError(f"{file}, byte {error.start}: text is in UTF-8; convert it, or take it out") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f'{file}, line {line}: each is {{"text": "..."}}; correct it, or take it out') from error
    return documents


def read_hub(name: str) -> dict[str, Documents]:
    """Needs the extra `hub`, and the network unless the dataset is cached or a local folder."""
    try:
        from datasets import load_dataset

        splits = {key.replace("validation", "val"): rows["text"] for key, rows in load_dataset(name).items()}
        return {key: [(f"{key}:{i}", encode(text)) for i, text in enumerate(texts)] for key, texts in splits.items()}
    except Exception as error:  # not installed, offline, misspelt, private, other columns
        raise UserError(f"data.hub={name} cannot be used: {error}".replace("\n", " ")) from error


def encode(text: str) -> np.ndarray:
    return np.frombuffer(bytearray(text.encode() + b"\0"), np.uint8)  # writable, as torch likes it


def cut(documents: Documents, fraction: float, seed: int) -> tuple[Documents, Documents]:
    """What remains of a split, and a share of its documents taken from it; of a single one, the end."""
    if len(documents) == 1:
        [(name, tokens)], at = documents, round(len(documents[0][1]) * (1 - fraction))
        return [(name, tokens[:at])], [(f"{name}+{at}", tokens[at:])]
    documents = random.Random(seed).sample(documents, len(documents))
    count = max(1, round(fraction * len(documents)))
    return documents[count:], documents[:count]
