"""Text to train on, embedded or your own. Yours: updates of the template leave this file alone."""

import json
import sysconfig
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from .harness.errors import ErrorCollector, UserError
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.streams import make_stream_loader
from .readers.base_models import read_base_model
from .readers.documents import (
    Document,
    Splits,
    check_vocabulary,
    hold_out,
    join_documents,
    note_documents,
    read_hub_splits,
    read_splits,
)
from .readers.pretrained import Pretrained
from .readers.text import Text, list_files, read_prompts
from .readers.tokens import AnyTokenizer, make_tokenizer
from .readers.window_stream import WindowStream

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
STANDARD_LIBRARY_FILES = "[a-z]*.py"  # the modules at its top
BYTE_VALUES = 256
PROMPTS_FROM_TEST = 32


class DataModule(LightningDataModule):
    """The standard library's source text, text files, a token file, or a Hub dataset.

    A token is a byte of the text in UTF-8, and a zero byte ends each document; with `base`, tokens
    are those of the base model.

    Args:
        path: a folder of text files, or a single one, where `.jsonl` has a document in the `text`
            of each line; or unsigned token ids in `.npy`. The subfolders `val` and `test` are
            these splits, and all other files are `train`. By default the standard library.
        hub: a Hugging Face dataset with a column `text`, by name or local folder.
        predict_path: a text file with a prompt on each line, or `.jsonl`, for `predict`; by
            default the beginnings of test windows.
        base: a causal language model of the Hub to start from, by name or local folder.
        vocab_size: number of different token ids in a `.npy` file; text has 256.
        bytes_per_token: bytes of text per token of a `.npy` file, for bits per byte; text has 1.
        context: tokens that the model sees at once.
        batch_size: windows of `context` tokens per batch, summed over all devices.
        val_fraction: share of `train`'s documents held out for validation if the data has no `val`
            split; of a single document, its end.
        test_fraction: share of `train`'s documents held out for testing if the data has no `test`
            split; it is held out first.
        split_seed: seed of the random splits.
        num_workers: loader processes; by default chosen for the data and the machine.
        stream: read `train` from disk during training, for text larger than memory. The files come
            in another order each time, and `path` must have `val` and `test`.

    Raises:
        UserError: with all errors in the data, when the data is prepared or a fact is read.
    """

    hparams: Any
    known: Any = None  # a checkpoint's hyperparameters, for `predict` with `predict_path`

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = None,
        predict_path: str | None = None,
        base: str | None = None,
        vocab_size: Annotated[int, Range(min=1)] = BYTE_VALUES,
        bytes_per_token: Annotated[float, Range(min=0.01)] = 1.0,
        context: Annotated[int, Range(min=1)] = 128,
        batch_size: Annotated[int, Range(min=1)] = 16,
        val_fraction: Annotated[float, Range(min=0)] = 0.05,
        test_fraction: Annotated[float, Range(min=0)] = 0.05,
        split_seed: Annotated[int, Range(min=0)] = 0,
        num_workers: Annotated[int | None, Range(min=0)] = None,
        stream: bool = False,
    ) -> None:
        super().__init__()
        # Lightning refuses to log two values of a hyperparameter, and with a base model the
        # model's vocab_size is another one.
        self.save_hyperparameters(logger=base is None)

    # Facts: they fill in the Model's parameters of the same names.

    @property
    def base_config(self) -> str:
        return self.base_model.config

    @property
    def tokenizer(self) -> str:
        return self.base_model.tokenizer

    @property
    def context(self) -> int:
        return self.hparams.context

    @property
    def vocab_size(self) -> int:
        if self.base_config:
            return json.loads(self.base_config)["vocab_size"]
        return self.hparams.vocab_size

    @cached_property
    def base_model(self) -> Pretrained:
        """Configuration and tokenizer of the base model, both empty without one."""
        if self.known:
            return Pretrained(self.known["base_config"], self.known["tokenizer"])
        if self.hparams.base:
            return read_base_model(self.hparams.base)
        return Pretrained(config="", tokenizer="")

    @cached_property
    def text_tokenizer(self) -> AnyTokenizer:
        return make_tokenizer(self.base_model, self.hparams.bytes_per_token)

    def prepare_data(self) -> None:
        """Read and check everything, so that errors are reported before training starts.

        Raises:
            UserError: with a line for each error in the data.
        """
        if self.hparams.predict_path:
            _ = self.prompts
            return
        _ = self.windows

    def train_dataloader(self) -> DataLoader:
        if self.hparams.stream:
            return make_stream_loader(self.windows["train"], self)
        return make_loader(self.windows["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.windows["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.windows["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.prompts, self)

    @cached_property
    def windows(self) -> dict[str, Any]:
        """The `Windows` of each split; with `stream`, a `WindowStream` for `train`."""
        own_vocabulary = self.hparams.vocab_size != BYTE_VALUES
        own_token_size = self.hparams.bytes_per_token != 1
        if own_vocabulary != own_token_size:
            raise UserError(
                "data.vocab_size and data.bytes_per_token belong together: set both for .npy,"
                " neither for text"
            )
        if self.hparams.stream:
            return self.read_stream(Path(self.hparams.path or "."))
        documents = self.read_documents()
        for split in ("test", "val"):
            if split not in documents:
                fraction = self.hparams[f"{split}_fraction"]
                remaining, held_out = hold_out(
                    documents["train"], fraction, self.hparams.split_seed
                )
                documents["train"] = remaining
                documents[split] = held_out
        return self.make_windows(documents)

    def read_documents(self) -> Splits:
        """The documents of the splits that the data has, `train` at least."""
        path = self.hparams.path
        errors = ErrorCollector()
        if self.hparams.hub:
            splits = read_hub_splits(self.hparams.hub, self.text_tokenizer)
        elif path:
            splits = read_splits(Path(path), self.text_tokenizer, errors)
        else:
            splits = read_splits(
                STANDARD_LIBRARY, self.text_tokenizer, errors, STANDARD_LIBRARY_FILES
            )
        if self.hparams.hub or path:
            note_documents(splits)
        errors.raise_if_any()
        if "train" not in splits:
            raise UserError(
                f"{path or STANDARD_LIBRARY}: no such file or folder, or no text in it;"
                " set data.path"
            )
        check_vocabulary(splits, self.vocab_size)
        return splits

    def read_stream(self, path: Path) -> dict[str, Any]:
        """Windows of `val` and `test`, and a stream over all other files in a folder."""
        errors = ErrorCollector()
        held_out: Splits = {}
        for split in ("val", "test"):
            found = read_splits(path / split, self.text_tokenizer, errors)
            held_out[split] = found.get("train", [])
        errors.raise_if_any()
        files = []
        for file in list_files(path):
            if path / "val" not in file.parents and path / "test" not in file.parents:
                files.append(file)
        if not files or not held_out["val"] or not held_out["test"]:
            raise UserError(
                "data.stream=true takes a folder with val, test and other files,"
                f" which data.path={path} is not"
            )
        check_vocabulary(held_out, self.vocab_size)
        train = WindowStream(files, self.context, self.text_tokenizer)
        return {"train": train, **self.make_windows(held_out)}

    def make_windows(self, splits: Splits) -> dict[str, "Windows"]:
        """The windows of each split.

        Raises:
            UserError: with a line for each split whose documents make no window.
        """
        errors = ErrorCollector()
        windows = {}
        for split, documents in splits.items():
            with errors:
                windows[split] = Windows(split, documents, self.context, self.text_tokenizer)
        errors.raise_if_any()
        return windows

    @cached_property
    def prompts(self) -> "Prompts":
        """Those of `predict_path`, or the beginnings of test windows."""
        if self.hparams.predict_path:
            texts = read_prompts(Path(self.hparams.predict_path))
            return Prompts(self.encode_prompts(texts))
        return Prompts(self.cut_prompts())

    def encode_prompts(self, texts: list[Text]) -> list[dict]:
        errors = ErrorCollector()
        prompts = []
        for place, text in texts:
            with errors:
                tokens = self.text_tokenizer.encode(text, place)[:-1]  # without the end token
                prompts.append({"input": place, "prompt": text, "tokens": tokens})
        errors.raise_if_any()
        return prompts

    def cut_prompts(self) -> list[dict]:
        """The first halves of the first test windows."""
        windows = self.windows["test"]
        prompts = []
        for i in range(min(PROMPTS_FROM_TEST, len(windows))):
            window = windows[i]
            half = len(window["tokens"]) // 2
            tokens = window["tokens"][:half]
            text = self.text_tokenizer.decode(tokens.tolist())
            prompts.append({"input": window["input"], "prompt": text, "tokens": tokens})
        return prompts


class Windows(Dataset):
    """The documents of a split end to end, in windows that predict each token but the first once.

    Tokens at the end that do not fill a window are left out.

    Each item is a dict with
        tokens: (context + 1,) unsigned integers below the vocabulary's size;
        bytes: int, bytes of text that all tokens but the first stand for;
        input: str, the document in which the window starts, and at which of its tokens.

    A batch has `tokens` (B, context + 1), `bytes` (B,) int64, and `input`, a list of B strings.

    Args:
        split: its name, for error messages.
        documents: of the split.
        context: number of tokens that a window predicts.
        tokenizer: of the documents.

    Raises:
        UserError: if there are too few tokens for a window, or they are of several types.
    """

    in_memory = True

    def __init__(
        self,
        split: str,
        documents: list[Document],
        context: int,
        tokenizer: AnyTokenizer,
    ) -> None:
        tokens = join_documents(documents, split)
        if context >= len(tokens):
            raise UserError(
                f"data.context={context} must be below {split}'s {len(tokens)} tokens;"
                " lower it or add text"
            )
        self.tokens = tokens
        self.context = context
        self.tokenizer = tokenizer
        self.starts = range(0, len(tokens) - context, context)
        self.names = [document.name for document in documents]
        lengths = [len(document.tokens) for document in documents]
        self.document_starts = np.cumsum([0, *lengths])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> dict:
        start = self.starts[index]
        tokens = self.tokens[start : start + self.context + 1]
        document = np.searchsorted(self.document_starts, start, side="right") - 1
        position = start - self.document_starts[document]
        return {
            "tokens": tokens,
            "bytes": self.tokenizer.predicted_bytes(tokens),
            "input": f"{self.names[document]}:{position}",
        }


class Prompts(Dataset):
    """Prompts, each of its own length.

    A batch is a dict of lists, with one entry for each prompt:
        input: str, where the prompt is;
        prompt: str, its text;
        tokens: (T,) unsigned integers, its token ids.
    """

    in_memory = True

    def __init__(self, prompts: list[dict]) -> None:
        self.prompts = prompts

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitems__(self, indices: list[int]) -> dict[str, list]:
        batch = {}
        for key in ("input", "prompt", "tokens"):
            batch[key] = [self.prompts[i][key] for i in indices]
        return batch
