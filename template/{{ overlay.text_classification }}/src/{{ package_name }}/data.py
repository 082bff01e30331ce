"""Labelled texts, embedded or your own. Yours: updates of the template leave this file alone."""

import math
import re
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import torch
from lightning.pytorch import LightningDataModule
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .harness.errors import ErrorCollector
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.splits import cut_splits, note_imbalance, note_leaks
from .readers.class_checks import check_classes
from .readers.encoders import read_encoder
from .readers.labelled_texts import Columns, Sample, Splits, read_file, read_hub, read_path

# The embedded data: passages of these packages of the standard library, which are the classes.
PACKAGES = ("asyncio", "email", "http", "importlib", "multiprocessing", "unittest", "urllib", "xml")
PASSAGE_CHARACTERS = 400
PASSAGES_PER_FILE = 24

PADDING = 0  # the token id
LENGTH_MULTIPLE = 8  # of padded batches, which GPUs prefer
NO_LABEL = -1
SCANNED_CHARACTERS = 200  # of a text, of which predictions.csv shows fewer, on one line
SHOWN_CHARACTERS = 80


class DataModule(LightningDataModule):
    """Passages of the standard library by package, a table of labelled texts, or a Hub dataset.

    Args:
        path: a table, `.csv`, `.jsonl` or `.parquet`, or a folder with one for each of train, val
            and test. Without path and hub, the standard library.
        hub: a Hugging Face dataset, by name or local folder.
        predict_path: a table of texts, with labels or without, for `predict`; by default the test
            split.
        text_column: name of the column of texts.
        label_column: name of the column of classes.
        split_column: name of a column with `train`, `val` or `test` in it, if there is one.
        encoder: a Hub model, by name or local folder, whose network and tokenizer are used. By
            default a small network, and a tokenizer that is learned from the training texts.
        vocab_size: number of tokens of a tokenizer that is learned.
        max_length: number of tokens after which a text is truncated.
        batch_size: texts per batch, summed over all devices.
        val_fraction: share of all texts held out for validation if the data has no `val` split.
        test_fraction: share of all texts held out for testing if the data has no `test` split.
        split_seed: seed of the random split, which keeps the proportions of the classes.
        folds: number of cross-validation folds; 0 disables.
        fold: index of the fold that is the test split, from 0.
        num_workers: loader processes; by default chosen for the data and the machine.

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
        text_column: str = "text",
        label_column: str = "label",
        split_column: str | None = None,
        encoder: str | None = None,
        vocab_size: Annotated[int, Range(min=1)] = 2048,
        max_length: Annotated[int, Range(min=1)] = 192,
        batch_size: Annotated[int, Range(min=1)] = 32,
        val_fraction: Annotated[float, Range(min=0)] = 0.1,
        test_fraction: Annotated[float, Range(min=0)] = 0.2,
        split_seed: Annotated[int, Range(min=0)] = 0,
        folds: Annotated[int, Range(min=0)] = 0,
        fold: Annotated[int, Range(min=0)] = 0,
        num_workers: Annotated[int | None, Range(min=0)] = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    # Facts: they fill in the Model's parameters of the same names.

    @property
    def class_names(self) -> list[str]:
        return self.facts.class_names

    @property
    def tokenizer(self) -> str:
        return self.facts.tokenizer

    @property
    def encoder_config(self) -> str:
        return self.facts.encoder_config

    @cached_property
    def facts(self) -> "Facts":
        if self.known:
            return Facts(
                self.known["class_names"], self.known["tokenizer"], self.known["encoder_config"]
            )
        texts = []
        labels = set()
        for sample in self.splits["train"]:
            texts.append(sample.text)
            labels.add(sample.label)
        class_names = sorted(labels)
        max_length = self.hparams.max_length
        if self.hparams.encoder:
            encoder = read_encoder(self.hparams.encoder, max_length)
            return Facts(class_names, encoder.tokenizer, encoder.config)
        tokenizer = learn_tokenizer(texts, self.hparams.vocab_size, max_length)
        return Facts(class_names, tokenizer, encoder_config="")

    def prepare_data(self) -> None:
        """Read, check and tokenize everything, so that errors are reported before training starts.

        Raises:
            UserError: with a line for each error in the data.
        """
        _ = self.texts

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.texts["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.texts["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.texts["test"], self)

    def predict_dataloader(self) -> DataLoader:
        split = "predict" if self.hparams.predict_path else "test"
        return make_loader(self.texts[split], self)

    @cached_property
    def texts(self) -> dict[str, "Texts"]:
        """A dataset for each split."""
        texts = {}
        for split, samples in self.splits.items():
            texts[split] = Texts(samples, self.tokenizer, self.class_names)
        return texts

    @cached_property
    def splits(self) -> Splits:
        """The samples of each split, and of `predict` if `predict_path` is set."""
        errors = ErrorCollector()
        splits: Splits = {}
        if self.hparams.predict_path:
            columns = Columns(self.hparams.text_column)
            table = read_file(Path(self.hparams.predict_path), columns, errors)
            splits["predict"] = table.get("train", [])  # a table without splits is all train
        if self.known:
            errors.raise_if_any()
            return splits
        if self.hparams.path or self.hparams.hub:
            labelled = self.read_labelled(errors)
        else:
            labelled = {"train": read_standard_library()}
        errors.raise_if_any()
        return hold_out(labelled, self.hparams) | splits

    def read_labelled(self, errors: ErrorCollector) -> Splits:
        """The samples of your own data, checked."""
        columns = Columns(
            self.hparams.text_column, self.hparams.label_column, self.hparams.split_column
        )
        splits: Splits = {}
        with errors:
            if self.hparams.hub:
                splits = read_hub(self.hparams.hub, columns, errors)
            else:
                splits = read_path(Path(self.hparams.path), columns, errors)
        check_classes(splits, errors)
        note_imbalance([sample.label for sample in splits.get("train", [])])
        texts_by_place = {}
        for split, samples in splits.items():
            texts_by_place[split] = {sample.place: sample.text for sample in samples}
        note_leaks(texts_by_place)
        return splits


@dataclass(frozen=True)
class Facts:
    """What the data determines about the model.

    Args:
        class_names: in the order of their numbers.
        tokenizer: as the JSON of the `tokenizers` library.
        encoder_config: configuration of a Hub model, as JSON; "" for a small encoder.
    """

    class_names: list[str]
    tokenizer: str
    encoder_config: str


class Texts(Dataset):
    """Tokenized texts.

    A batch is a dict with
        tokens: (B, T) int64, padded with 0; T is the longest text's, rounded up to a multiple of 8;
        mask: (B, T) bool, true for tokens, false for padding;
        label: (B,) int64, from 0 to the number of classes - 1, or -1 without a label;
        input: list of str, where each text is;
        text: list of str, the beginning of each.

    Args:
        samples: the texts.
        tokenizer: as the JSON of the `tokenizers` library.
        class_names: in the order of their numbers.
    """

    in_memory = True

    def __init__(self, samples: list[Sample], tokenizer: str, class_names: list[str]) -> None:
        texts = [sample.text for sample in samples]
        encodings = Tokenizer.from_str(tokenizer).encode_batch(texts)
        numbers = {name: number for number, name in enumerate(class_names)}
        self.samples = samples
        self.tokens = []
        labels = []
        for sample, encoding in zip(samples, encodings):
            self.tokens.append(torch.tensor(encoding.ids or [PADDING]))
            labels.append(numbers.get(sample.label, NO_LABEL))
        self.labels = torch.tensor(labels)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, indices: list[int]) -> dict:
        tokens, mask = pad([self.tokens[i] for i in indices])
        places = []
        beginnings = []
        for i in indices:
            places.append(self.samples[i].place)
            beginnings.append(shorten(self.samples[i].text))
        return {
            "tokens": tokens,
            "mask": mask,
            "label": self.labels[indices],
            "input": places,
            "text": beginnings,
        }


def pad(sequences: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) with a sequence in each row, and their mask (B, T), false for padding."""
    longest = max(len(sequence) for sequence in sequences)
    width = math.ceil(longest / LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    tokens = torch.full((len(sequences), width), PADDING)
    mask = torch.zeros(len(sequences), width, dtype=torch.bool)
    for i, sequence in enumerate(sequences):
        tokens[i, : len(sequence)] = sequence
        mask[i, : len(sequence)] = True
    return tokens, mask


def shorten(text: str) -> str:
    """The beginning of a text, on one line."""
    words = text[:SCANNED_CHARACTERS].split()
    return " ".join(words)[:SHOWN_CHARACTERS]


def hold_out(splits: Splits, options: Any) -> Splits:
    """All three splits: those that are missing are held out from `train`, by whole groups."""
    groups = defaultdict(list)
    for sample in splits["train"]:
        groups[sample.group].append(sample)
    members = list(groups.values())
    labels = [samples[0].label for samples in members]
    parts = dict(splits)
    for split, indices in cut_splits(labels, splits, options).items():
        parts[split] = []
        for i in indices:
            parts[split].extend(members[i])
    return parts


def learn_tokenizer(texts: list[str], vocab_size: int, max_length: int) -> str:
    """Byte pair encoding (arXiv 1508.07909) of lower-case text, as JSON."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = byte_level
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["[PAD]"],  # the first one is token 0, which is PADDING
        initial_alphabet=sorted(byte_level.alphabet()),  # all bytes, so that it reads any text
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(max_length)
    return tokenizer.to_str()


def read_standard_library() -> list[Sample]:
    """Passages of its source, labelled by package. Each file is a group."""
    root = Path(sysconfig.get_path("stdlib"))
    package_name = re.compile("|".join(PACKAGES), re.IGNORECASE)
    samples = []
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            name = file.relative_to(root).as_posix()
            if "/test" in name:  # some installations lack the tests
                continue
            source = file.read_text(encoding="utf-8")
            for line, passage in islice(split_passages(source), PASSAGES_PER_FILE):
                text = package_name.sub("___", passage).strip()  # else the name gives it away
                samples.append(Sample(f"{name}:{line}", text, label=package, group=name))
    return samples


def split_passages(source: str) -> Iterator[tuple[int, str]]:
    """The first line's number and the text of each passage, without an incomplete last one."""
    passage = ""
    first_line = 1
    for number, line in enumerate(source.splitlines(keepends=True), start=1):
        passage += line
        if len(passage) >= PASSAGE_CHARACTERS:
            yield first_line, passage
            passage = ""
            first_line = number + 1
