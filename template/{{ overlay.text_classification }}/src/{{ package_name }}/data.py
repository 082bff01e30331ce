"""Texts with labels: Python's standard library to start with, or your own. Yours: updates leave it alone."""

import re
import sysconfig
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from .harness import Faults, cut, note_imbalance, note_leaks
from .harness.hub import fetch_encoder
from .harness.loaders import make_loader
from .harness.samples import Sample, check_labels, read_file, read_files, read_hub

PACKAGES = ("asyncio", "email", "http", "importlib", "multiprocessing", "unittest", "urllib", "xml")


class DataModule(LightningDataModule):
    """Passages of the standard library by their package, a table of texts and labels, or a Hub dataset.

    Args:
        path: a table, `.csv`, `.jsonl` or `.parquet`, or a folder with one for each of train, val and test;
            neither path nor hub: the standard library.
        hub: a Hugging Face dataset, by name or local folder.
        predict_path: a table of texts to predict, with labels or without; default: the test split.
        text_column: the column of the texts.
        label_column: the column of their classes.
        split_column: says `train`, `val` or `test`; a split that it lacks is cut from `train`.
        encoder: a Hub model, by name or local folder: its network reads the tokens of its tokenizer.
            None: a small network, and tokens that are learnt from the training texts.
        vocab_size: how many tokens are learnt.
        max_length: tokens of a text, after which it is cut off.
        batch_size: texts of a step, over all devices.
        val_fraction: share of all texts that is cut from `train` where there is no `val`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the classes' shares.
        folds: cut `test` as one of so many equal parts, for cross-validation; 0: by `test_fraction`.
        fold: which of them, from 0.
        num_workers: loader processes; default: none, since the tokens are in memory.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = None,
        predict_path: str | None = None,
        text_column: str = "text",
        label_column: str = "label",
        split_column: str | None = None,
        encoder: str | None = None,
        vocab_size: int = 2048,
        max_length: int = 192,
        batch_size: int = 32,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        folds: int = 0,
        fold: int = 0,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @cached_property
    def splits(self) -> dict[str, list[Sample]]:
        """The samples of each split, and, where `predict_path` is set, of `predict`."""
        hp, faults, splits = self.hparams, Faults(), {}
        with faults:
            splits = (
                read_hub(hp.hub, hp, faults) if hp.hub else read_files(Path(hp.path), hp, faults) if hp.path else {}
            )
        new = read_file(Path(hp.predict_path), hp, faults, "predict") if hp.predict_path else {}
        check_labels(splits, faults)
        note_imbalance([sample.label for sample in splits.get("train", [])])
        note_leaks({name: {sample.place: sample.text for sample in samples} for name, samples in splits.items()})
        faults.refuse()
        splits, groups = splits or read_stdlib(), defaultdict(list)
        for sample in splits["train"]:
            groups[sample.group].append(sample)
        train = list(groups.values())
        parts = cut([group[0].label for group in train], splits, hp)
        splits |= {name: [sample for i in part for sample in train[i]] for name, part in parts.items()}
        return splits | new

    # Facts, for the model to keep.

    @cached_property
    def class_names(self) -> list[str]:
        return sorted({sample.label for sample in self.splits["train"]})

    @property
    def tokenizer(self) -> str:
        return self.coding[0]

    @property
    def encoder_config(self) -> str:
        return self.coding[1]

    @cached_property
    def coding(self) -> tuple[str, str]:
        """Tokenizer and configuration of the encoder, as JSON; for the small one, the model makes the latter."""
        hp = self.hparams
        if hp.encoder:
            return fetch_encoder(hp.encoder, hp.max_length)
        return learn_tokens([sample.text for sample in self.splits["train"]], hp.vocab_size, hp.max_length), ""

    @cached_property
    def texts(self) -> dict[str, "Texts"]:
        return {name: Texts(samples, self) for name, samples in self.splits.items()}

    def prepare_data(self) -> None:
        """Read, check and tokenize everything, so that a mistake shows before training, not in its midst."""
        self.texts  # noqa: B018

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.texts["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.texts["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.texts["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.texts.get("predict", self.texts["test"]), self)


class Texts(Dataset):
    """Batches of `tokens` (B, T), padded to the longest text, `mask` (B, T), true for tokens, `label` (B,),
    -1 for none, `input`, where the text is, and its beginning as `text`.

    Args:
        samples: the texts.
        facts: a DataModule, or a checkpoint's hyperparameters, which need no training texts.
    """

    in_memory = True

    def __init__(self, samples: list[Sample], facts: Any) -> None:
        tokenizer = Tokenizer.from_str(facts.tokenizer)
        index = {name: i for i, name in enumerate(facts.class_names)}
        found = tokenizer.encode_batch([sample.text for sample in samples])
        self.samples, self.tokens = samples, [torch.tensor(one.ids or [0]) for one in found]
        self.labels = torch.tensor([index.get(sample.label, -1) for sample in samples])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, indices: list[int]) -> dict:
        samples, tokens = [self.samples[i] for i in indices], [self.tokens[i] for i in indices]
        length = max(map(len, tokens))
        end = torch.zeros(-length % 8, dtype=torch.long)  # T is a multiple of 8, which GPUs prefer
        longest = torch.cat([torch.ones(length, dtype=torch.long), end])
        lengths = torch.tensor([len(one) for one in tokens])
        return {
            "tokens": pad_sequence([*tokens, longest], batch_first=True)[:-1],
            "mask": torch.arange(len(longest)) < lengths[:, None],
            "label": self.labels[indices],
            "input": [sample.place for sample in samples],
            "text": [" ".join(sample.text[:200].split())[:80] for sample in samples],
        }


def learn_tokens(texts: list[str], size: int, max_length: int) -> str:
    """Byte pair encoding (arXiv 1508.07909) in lower case, as JSON; token 0 is padding, and bytes fit every text."""
    tokenizer, bytes_ = Tokenizer(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), bytes_
    first: Any = {"special_tokens": ["[PAD]"], "initial_alphabet": sorted(bytes_.alphabet())}
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, show_progress=False, **first))
    tokenizer.enable_truncation(max_length)
    return tokenizer.to_str()


def read_stdlib() -> dict[str, list[Sample]]:
    """Passages of some 400 characters, with the packages' own names struck out: a file is a group."""
    samples, names, root = [], re.compile("|".join(PACKAGES), re.IGNORECASE), Path(sysconfig.get_path("stdlib"))
    for file in (file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))):
        name = file.relative_to(root).as_posix()
        if "/test" in name:  # which some installations lack
            continue
        passages, start = [""], [1]
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(keepends=True), start=2):
            passages[-1] += line
            if len(passages[-1]) >= 400:
                passages, start = [*passages, ""], [*start, number]
        for passage, line in list(zip(passages, start))[:-1][:24]:
            text = names.sub("___", passage).strip()
            samples.append(Sample(f"{name}:{line}", text, name.split("/")[0], name))
    return {"train": samples}
