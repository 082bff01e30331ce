"""Text as bytes: Python's standard library to start with, or your own. Yours: updates leave it alone."""

import sysconfig
from collections.abc import Iterator
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from .harness import UserError, loaders
from .harness.streams import make_stream_loader
from .harness.texts import Documents, cut, list_files, read, read_file, read_hub


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
        num_workers: loader processes; default: none, since the text is in memory; one for a stream.
        stream: read `train` from disk as it is trained on, for text that memory cannot hold; the files
            are in another order each time, and `path` has `val` and `test`.
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
        stream: bool = False,
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
    def windows(self) -> dict[str, Any]:
        hp, stdlib = self.hparams, Path(sysconfig.get_path("stdlib"))
        if (hp.vocab_size == 256) != (hp.bytes_per_token == 1):
            raise UserError("data.vocab_size and data.bytes_per_token go together: set both for .npy, none for text")
        if hp.stream:
            return self.streamed(Path(hp.path or "."))
        splits = read_hub(hp.hub) if hp.hub else read(Path(hp.path)) if hp.path else read(stdlib, "[a-z]*.py")
        if "train" not in splits:
            raise UserError(f"{hp.hub or hp.path or stdlib}: no such file or folder, or no text in it; set data.path")
        for name in sorted({"val", "test"} - splits.keys()):
            splits["train"], splits[name] = cut(splits["train"], hp[f"{name}_fraction"], hp.split_seed)
        return {name: Windows(name, documents, hp.context, self.vocab_size) for name, documents in splits.items()}

    def streamed(self, path: Path) -> dict[str, Any]:
        found = {name: read(path / name) for name in ("val", "test")}
        files = [file for file in list_files(path) if not {path / "val", path / "test"} & {*file.parents}]
        if not files or not all(found.values()):
            raise UserError(
                f"data.stream=true takes a folder with val, test, and other files; data.path={path} is none"
            )
        held = {
            name: Windows(name, docs["train"], self.hparams.context, self.vocab_size) for name, docs in found.items()
        }
        return {"train": Stream(files, self.hparams.context), **held}

    def prepare_data(self) -> None:
        """Read and check everything, so that a mistake shows before training, not in its midst."""
        self.windows  # noqa: B018

    def train_dataloader(self) -> DataLoader:
        train = self.windows["train"]
        return make_stream_loader(train, self) if self.hparams.stream else loaders.make_loader(train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return loaders.make_loader(self.windows["val"], self)

    def test_dataloader(self) -> DataLoader:
        return loaders.make_loader(self.windows["test"], self)

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


class Stream:
    """Windows like those of `Windows`, over files that are read one at a time, again and again."""

    def __init__(self, files: list[Path], context: int) -> None:
        self.files, self.context = files, context

    def stream(self, seed: int) -> Iterator[dict]:
        for turn in count():
            order, rest = np.random.default_rng([seed, turn]).permutation(len(self.files)), np.zeros(0, np.uint8)
            for name, tokens in (document for i in order for document in read_file(self.files[i])):
                rest = np.concatenate([rest, tokens]) if len(rest) else tokens
                starts = range(0, len(rest) - self.context, self.context)
                for i in starts:
                    yield {"tokens": rest[i : i + self.context + 1], "input": name}
                rest = rest[len(starts) * self.context :]
