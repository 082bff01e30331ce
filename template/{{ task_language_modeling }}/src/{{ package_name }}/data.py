"""Text as bytes: Python's standard library to start with, or your own. Yours: updates leave it alone."""

import json
import sysconfig
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from .harness import UserError, loading

Documents = list[tuple[str, np.ndarray]]  # names and token ids


class DataModule(LightningDataModule):
    """The standard library's source text, text files, a token file, or a Hub dataset.

    A token is a byte of the text in UTF-8; a zero byte ends each document.

    Args:
        path: a folder of text files, or a single one, where `.jsonl` has a document in the `text` of
            each line; or token ids, unsigned, in `.npy`. In the folder, `val` and `test` are these
            splits, and all else is `train`. Neither path nor hub: the standard library.
        hub: a Hugging Face dataset with the column `text`, by name or local folder.
        vocab_size: of an `.npy` file, whose ids are below it; text has 256.
        bytes_per_token: of an `.npy` file, for bits per byte; text has 1.
        context: tokens that the model sees at once.
        batch_size: windows of `context` tokens of a step, over all devices.
        val_fraction: share of the documents that is cut from `train` where there is no `val`; of a
            single document, its end.
        test_fraction: the same for `test`, which comes first.
        split_seed: of the cuts.
        num_workers: loader processes; default: none, since the text is in memory.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = None,
        vocab_size: int = 256,
        bytes_per_token: float = 1.0,
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
        return self.hparams.vocab_size

    @property
    def bytes_per_token(self) -> float:
        return self.hparams.bytes_per_token

    @cached_property
    def windows(self) -> dict[str, "Windows"]:
        hp, stdlib = self.hparams, Path(sysconfig.get_path("stdlib"))
        if (hp.vocab_size == 256) != (hp.bytes_per_token == 1):
            raise UserError("data.vocab_size and data.bytes_per_token go together: set both for .npy, none for text")
        splits = read_hub(hp.hub) if hp.hub else read(Path(hp.path)) if hp.path else read(stdlib, "[a-z]*.py")
        if "train" not in splits:
            raise UserError(f"{hp.hub or hp.path or stdlib}: no such file or folder, or no text in it; set data.path")
        for name in sorted({"val", "test"} - splits.keys()):
            splits["train"], splits[name] = cut(splits["train"], hp[f"{name}_fraction"], hp.split_seed)
        return {name: Windows(name, documents, hp.context, self.vocab_size) for name, documents in splits.items()}

    def prepare_data(self) -> None:
        """Read and check everything, so that a mistake shows before training, not in its midst."""
        self.windows  # noqa: B018

    def train_dataloader(self) -> DataLoader:
        return loading.make_loader(self.windows["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return loading.make_loader(self.windows["val"], self)

    def test_dataloader(self) -> DataLoader:
        return loading.make_loader(self.windows["test"], self)

    predict_dataloader = test_dataloader


class Windows(list):
    """The documents of a split end to end, in windows that predict each token once, but the first.

    A window is a dict of `tokens` (context + 1,), and `input`: the document it starts in, and at which token.
    """

    in_memory = True

    def __init__(self, split: str, documents: Documents, context: int, vocab_size: int) -> None:
        names, texts = zip(*documents)
        if len(kinds := {str(text.dtype) for text in texts}) > 1:
            raise UserError(
                f"{split} mixes token ids of {' and '.join(sorted(kinds))}: one kind alone; convert the others"
            )
        tokens = texts[0] if len(texts) == 1 else np.concatenate(texts, dtype=texts[0].dtype, casting="no")
        if not 0 < context < len(tokens):
            raise UserError(f"set data.context={context} from 1 to below {split}'s {len(tokens)} tokens, or add text")
        if tokens.dtype.kind != "u" or tokens.max() >= vocab_size:
            found = f"{names[0]} has {tokens.dtype} up to {tokens.max()}"
            raise UserError(f"{found}: token ids are unsigned and below data.vocab_size={vocab_size}; correct the two")
        starts = np.cumsum([0, *map(len, texts)])
        for i in range(0, len(tokens) - context, context):
            which = np.searchsorted(starts, i, side="right") - 1
            self.append({"tokens": tokens[i : i + context + 1], "input": f"{names[which]}:{i - starts[which]}"})


def read(path: Path, pattern: str = "**/*") -> dict[str, Documents]:
    """The splits of a file or folder: `.npy` files, lines of `.jsonl` files, other files as text; no hidden ones."""
    splits, line = {}, 0
    for file in filter(Path.is_file, map(path.joinpath, sorted(glob(pattern, root_dir=path, recursive=True)) or [""])):
        documents = splits.setdefault(next((s for s in ("val", "test") if path / s in file.parents), "train"), [])
        try:
            if file.suffix == ".npy":
                documents.append((str(file), np.load(file, mmap_mode="c").ravel()))
            elif file.suffix == ".jsonl":
                for line, row in enumerate(file.read_bytes().decode().rstrip().split("\n"), start=1):
                    documents.append((f"{file}:{line}", encode(json.loads(row)["text"])))
            else:
                documents.append((str(file), encode(file.read_bytes().decode())))
        except UnicodeDecodeError as error:
            raise UserError(f"{file}, byte {error.start}: text is in UTF-8; convert it, or take it out") from error
        except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
            rule = f'line {line} takes {{"text": "..."}}' if file.suffix == ".jsonl" else "it cannot be read"
            raise UserError(f"{file}: {rule}; correct it, or take it out") from error
    return splits


def read_hub(name: str) -> dict[str, Documents]:
    """Needs the extra `hub`, and the network unless the dataset is cached or a local folder."""
    try:
        from datasets import load_dataset

        splits = {str(key).replace("validation", "val"): rows["text"] for key, rows in load_dataset(name).items()}
        return {key: [(f"{key}:{i}", encode(text)) for i, text in enumerate(texts)] for key, texts in splits.items()}
    except Exception as error:  # not installed, offline, misspelt, private, other columns
        raise UserError(f"data.hub={name} cannot be used: {error}".replace("\n", " ")) from error


def encode(text: str) -> np.ndarray:
    return np.frombuffer(bytearray(text.encode() + b"\0"), np.uint8)  # a copy, since torch warns of what is read-only


def cut(documents: Documents, fraction: float, seed: int) -> tuple[Documents, Documents]:
    """What remains of a split, and a share of its documents taken from it; of a single one, the end."""
    if not 0 < fraction < 1:
        raise UserError(f"data.val_fraction and data.test_fraction are between 0 and 1, not {fraction}")
    if len(documents) == 1:
        [(name, tokens)], at = documents, round(len(documents[0][1]) * (1 - fraction))
        return [(name, tokens[:at])], [(f"{name}+{at}", tokens[at:])]
    documents = [documents[i] for i in np.random.default_rng(seed).permutation(len(documents))]
    count = min(max(1, round(fraction * len(documents))), len(documents) - 1)
    return documents[count:], documents[:count]
