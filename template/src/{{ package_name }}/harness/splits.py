# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Cuts the splits of the data, and reports what is suspicious about them."""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from .errors import UserError
from .messages import note

SPLITS = ("train", "val", "test")
CUT_ORDER = ("test", "val")  # what is left is train
SPLIT_PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))
IMBALANCE_RATIO = 10  # between the largest and the smallest class
MIN_FOLDS = 2


def cut_splits(
    labels: Sequence[Hashable], given: Collection[str], options: Any
) -> dict[str, list[int]]:
    """Cut the splits that the data does not bring from `train`.

    Each split keeps the proportions of the classes, as exactly as whole samples allow. The same
    seed gives the same splits.

    Args:
        labels: the class of each sample of `train`; all equal if there are no classes.
        given: the splits that the data brings.
        options: the DataModule's `hparams`, with `val_fraction` and `test_fraction`, shares of the
            samples; `split_seed`; `folds`, the number of cross-validation folds, 0 to disable; and
            `fold`, the test fold.

    Returns:
        Indices into `labels`, ascending, for `train` and for each split that was cut.

    Raises:
        UserError: if fractions or folds are impossible, or a class has no sample left for train.
    """
    check_folds(len(labels), given, options)
    _, classes = np.unique(np.array(labels, str), return_inverse=True)
    shuffled = np.random.default_rng(options.split_seed).permutation(len(labels))
    # Sorted by class and shuffled within each, so that evenly spaced samples keep the proportions.
    remaining = shuffled[np.argsort(classes[shuffled], kind="stable")]
    splits = {}
    for name in CUT_ORDER:
        if name in given:
            continue
        if options.folds and name == "test":
            is_taken = np.arange(len(remaining)) % options.folds == options.fold
        else:
            count = number_to_cut(name, len(labels), len(remaining), options)
            is_taken = evenly_spaced(count, len(remaining))
        splits[name] = remaining[is_taken]
        remaining = remaining[~is_taken]
    splits["train"] = remaining
    check_nothing_is_empty(splits, labels, classes)
    return {name: sorted(splits[name].tolist()) for name in SPLITS if name in splits}


def check_folds(sample_count: int, given: Collection[str], options: Any) -> None:
    """Refuse folds that are impossible."""
    if not options.folds and not options.fold:
        return
    enough = MIN_FOLDS <= options.folds <= sample_count
    if not enough or not 0 <= options.fold < options.folds:
        raise UserError(
            f"data.fold={options.fold} of data.folds={options.folds}:"
            " use at least 2 folds, and count them from 0"
        )
    if "test" in given:
        raise UserError(
            f"data.folds={options.folds} cuts a test split, and the data has one;"
            " leave one of them out"
        )


def number_to_cut(name: str, sample_count: int, remaining_count: int, options: Any) -> int:
    """The number of samples of a split that is cut as a fraction."""
    fraction = options[f"{name}_fraction"]
    count = round(fraction * sample_count)
    if not 0 < count < remaining_count:
        raise UserError(
            f"data.{name}_fraction={fraction} of {sample_count} samples is {count};"
            " a split has at least one sample and leaves some to train on"
        )
    return count


def evenly_spaced(count: int, total: int) -> np.ndarray:
    """A boolean mask (total,) that is true `count` times, at even distances."""
    due = np.arange(total + 1) * count // total  # how many are true before each position
    return np.diff(due) == 1


def check_nothing_is_empty(
    splits: Mapping[str, np.ndarray], labels: Sequence[Hashable], classes: np.ndarray
) -> None:
    """Refuse an empty split, and a class without training samples."""
    for name, indices in splits.items():
        if not len(indices):
            raise too_few(f"samples for {name}", len(labels))
    has_training_sample = np.isin(classes, classes[splits["train"]])
    if not has_training_sample.all():
        first = int(np.argmin(has_training_sample))
        raise too_few(f"samples of class {labels[first]!r}", len(labels))


def too_few(lacking: str, sample_count: int) -> UserError:
    return UserError(
        f"too few {lacking} to cut splits from {sample_count};"
        " add some, or bring splits of your own"
    )


def note_imbalance(labels: Sequence[Hashable]) -> None:
    """Report if the largest class of the training split is ten times as large as the smallest."""
    ranked = Counter(labels).most_common()
    if not ranked:
        return
    largest, largest_count = ranked[0]
    smallest, smallest_count = ranked[-1]
    if largest_count >= IMBALANCE_RATIO * smallest_count:
        note(
            f"classes are uneven: train has {largest_count} of {largest!r} and"
            f" {smallest_count} of {smallest!r}; look at more than accuracy"
        )


def note_leaks(splits: Mapping[str, Mapping[str, Hashable]]) -> None:
    """Report samples that are in two splits: what was memorized is not tested.

    Args:
        splits: for each split, the content of each sample, or a hash of it, by the sample's name.
    """
    names_by_content = {}
    for split, samples in splits.items():
        names_by_content[split] = {content: name for name, content in samples.items()}
    for first, second in SPLIT_PAIRS:
        first_names = names_by_content.get(first, {})
        second_names = names_by_content.get(second, {})
        shared = first_names.keys() & second_names.keys()
        if not shared:
            continue
        examples = [(second_names[content], first_names[content]) for content in shared]
        example, original = min(examples)
        note(
            f"{len(shared)} of {second} are in {first} as well: {example} is {original};"
            " remove them from one split"
        )
