"""Any dataset. Yours: updates of the template leave this file alone."""

from functools import cached_property
from typing import Annotated, Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, IterableDataset, default_collate

from .harness.errors import ErrorCollector, UserError
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.splits import SPLITS, cut_splits, note_imbalance, note_leaks
from .readers.objects import Arguments, as_user_error, make_object
from .readers.sample_checks import SplitSummary, check_labels, read_samples
from .readers.samples import Samples

# Parameters of these types are checked before anything is built.
NonNegativeInt = Annotated[int, Range(min=0)]
NonNegativeFloat = Annotated[float, Range(min=0)]

OPTIONAL_SPLITS = ("val", "test", "predict")  # which may be datasets of their own


class DataModule(LightningDataModule):
    """A `torch.utils.data.Dataset` as it is, or any object with `__len__` and `__getitem__`.

    A split with arguments of its own is a dataset of its own; the others are cut from `train`.

    Args:
        dataset: a class or function that makes the dataset, named like `model.network`.
        dataset_args: its arguments.
        train_args: arguments that override these for `train` and the splits cut from it.
        eval_args: arguments that override these for all that is not trained on, such as
            `{augment: false}`.
        val_args: arguments that override these for `val`; by default it is cut from `train`.
        test_args: arguments that override these for `test`; by default it is cut from `train`.
        predict_args: arguments that override these for `predict`; by default it is the test split.
        inputs: indices or keys of a sample's parts, in the order that the network takes them; by
            default all but the target.
        target: index or key of the part that the loss takes; by default the last.
        check: samples per split to read before training, evenly spread; 0 disables.
        batch_size: samples per batch, summed over all devices.
        val_fraction: share of all samples held out for validation if there are no `val_args`.
        test_fraction: share of all samples held out for testing if there are no `test_args`.
        split_seed: seed of the random split.
        folds: number of cross-validation folds; 0 disables.
        fold: index of the fold that is the test split, from 0.
        num_workers: loader processes; by default chosen for the data and the machine.

    Raises:
        UserError: if a dataset cannot be made or read, when it is first needed.
    """

    hparams: Any

    def __init__(
        self,
        dataset: str = ".toy.Moons",
        dataset_args: Arguments | None = None,
        train_args: Arguments | None = None,
        eval_args: Arguments | None = None,
        val_args: Arguments | None = None,
        test_args: Arguments | None = None,
        predict_args: Arguments | None = None,
        inputs: list[int | str] | None = None,
        target: int | str | None = None,
        check: NonNegativeInt = 10_000,
        batch_size: Annotated[int, Range(min=1)] = 64,
        val_fraction: NonNegativeFloat = 0.2,
        test_fraction: NonNegativeFloat = 0.2,
        split_seed: NonNegativeInt = 0,
        folds: NonNegativeInt = 0,
        fold: NonNegativeInt = 0,
        num_workers: NonNegativeInt | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    # Datasets

    @cached_property
    def splits(self) -> dict[str, Samples]:
        """The samples of `train`, `val`, `test` and, if it has arguments, `predict`."""
        given = self.given_splits()
        datasets = self.make_datasets(given)
        self.check_lengths(datasets, given)
        no_classes = [0] * len(datasets["train"])
        indices = cut_splits(no_classes, given, self.hparams)
        samples = {}
        for split, dataset in datasets.items():
            every_index = list(range(len(dataset)))
            split_indices = indices.get(split, every_index)
            samples[split] = Samples(dataset, split_indices, self.hparams)
        return samples

    def given_splits(self) -> list[str]:
        """The splits that are datasets of their own, apart from `train`."""
        return [split for split in OPTIONAL_SPLITS if self.own_arguments(split) is not None]

    def own_arguments(self, split: str) -> Arguments | None:
        """The option that makes a split a dataset of its own."""
        return self.hparams[f"{split}_args"]

    def make_datasets(self, given: list[str]) -> dict[str, Any]:
        """A dataset for each split: those cut from `train` may read its samples differently."""
        splits = list(SPLITS)
        if "predict" in given:
            splits.append("predict")
        name = self.hparams.dataset
        datasets = {}
        errors = ErrorCollector()
        for split in splits:
            arguments = self.dataset_arguments(split, split in given)
            with errors, as_user_error(f"data.dataset={name} cannot be used for {split}"):
                dataset = make_object(name, "data.dataset", arguments)
                check_dataset(dataset, name, split)
                datasets[split] = dataset
        errors.raise_if_any()
        return datasets

    def dataset_arguments(self, split: str, is_given: bool) -> Arguments:
        """The arguments of a split's dataset; later ones override earlier ones."""
        layers = [self.hparams.dataset_args]
        if not is_given:
            layers.append(self.hparams.train_args)
        if split != "train":
            layers.append(self.hparams.eval_args)
        if is_given:
            layers.append(self.own_arguments(split))
        arguments = {}
        for layer in layers:
            arguments.update(layer or {})
        return arguments

    def check_lengths(self, datasets: dict[str, Any], given: list[str]) -> None:
        """Raise a UserError unless splits that are cut from `train` have its samples."""
        errors = ErrorCollector()
        name = self.hparams.dataset
        train_length = len(datasets["train"])
        for split in ("val", "test"):
            length = len(datasets[split])
            if split not in given and length != train_length:
                errors.append(
                    f"data.dataset={name} has {train_length} samples for train and {length} for "
                    f"{split}, so it cannot be cut; set data.{split}_args"
                )
        errors.raise_if_any()

    # Checks

    def prepare_data(self) -> None:
        """Read samples, and run some through the network and the loss.

        Raises:
            UserError: with a line for each error, before training starts.
        """
        limit = self.hparams.check
        if limit == 0:
            return
        errors = ErrorCollector()
        summaries: dict[str, SplitSummary] = {}
        for split, samples in self.splits.items():
            form = ""  # a dataset of its own may have a form of its own
            if split != "train" and self.own_arguments(split) is None:
                form = summaries["train"].form
            summaries[split] = read_samples(split, samples, limit, errors, form)
        with errors, as_user_error("samples of train make no batch"):
            if summaries["train"].samples:
                classes = self.try_samples(summaries["train"])
                check_labels(summaries, classes, errors)
        note_summaries(summaries)
        errors.raise_if_any()

    def try_samples(self, train: SplitSummary) -> int:
        """Run samples of `train` through the network, the loss and the metrics.

        Returns:
            The number of classes of the outputs, or 0.
        """
        # Small labels first: they are classes even if larger ones are out of range.
        labels = train.labels()
        indices = sorted(train.samples, key=lambda index: abs(labels.get(index, 0)))
        classes = self.model.try_batch(self.read_batch(indices[:2]))
        if classes == 0:
            classes = self.model.try_batch(self.read_batch(indices[-2:]))
        return classes

    def read_batch(self, indices: list[int]) -> dict:
        """A batch of samples of `train`, as the loaders would make it."""
        samples = Samples(self.splits["train"].dataset, indices, self.hparams)
        items = [samples[position] for position in range(len(indices))]
        return self.on_before_batch_transfer(default_collate(items), 0)

    # Batches

    @property
    def model(self) -> Any:
        trainer: Any = self.trainer
        return trainer.lightning_module

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Give NumPy's float64 the precision of the weights, as a rule float32."""
        dtype = self.model.dtype

        def convert(leaf: Any) -> Any:
            if isinstance(leaf, Tensor) and leaf.dtype == torch.float64:
                return leaf.to(dtype)
            return leaf

        return tree_map(convert, batch)

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.splits["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.splits["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.splits["test"], self)

    def predict_dataloader(self) -> DataLoader:
        samples = self.splits.get("predict", self.splits["test"])
        return make_loader(samples, self)


def check_dataset(dataset: Any, name: str, split: str) -> None:
    """Raise a UserError for an object that is not a dataset, or is empty."""
    place = f"data.dataset={name}"
    fix = "name a dataset with a length"
    if isinstance(dataset, IterableDataset):
        raise UserError(f"{place} makes a stream, which cannot be cut; {fix}")
    if not hasattr(dataset, "__len__"):
        kind = type(dataset).__name__
        raise UserError(f"{place} makes a {kind}, which has no length; {fix}")
    if len(dataset) == 0:
        raise UserError(f"{place} has no samples for {split}; see data.{split}_args")


def note_summaries(summaries: dict[str, SplitSummary]) -> None:
    """Note uneven classes, and samples that are in two splits."""
    labels = summaries["train"].labels().values()
    note_imbalance([label for label in labels if label >= 0])
    digests = {}
    for split, summary in summaries.items():
        digests[split] = {}
        for index, sample in summary.samples.items():
            name = f"{split}[{index}]"
            digests[split][name] = sample.digest
    note_leaks(digests)
