# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What every experiment shares and none edits: mistakes and how they are said, splits, and, beside, the rest."""

import os
import sys
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, Self

# The one process that speaks; SLURM's variables stay those of the job in what is started by hand in it.
FIRST = all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))

# What a number of this name can be, wherever it stands: 1 or more, 0 or more, and at most.
ONE = "accumulate accumulate_grad_batches batch_size buckets context depth dim heads image_size latent max_length "
ONE += "new_tokens patch patch_size sample_every samples sampling_steps stride vocab_size width"
ZERO = "augment blocks check dropout ema_decay fold folds label_dropout lr ngrams num_workers predict_plots "
ZERO += "sample_batches seed_everything split_seed test_fraction val_fraction warmup_steps weight_decay"
LOWEST = {**dict.fromkeys(ZERO.split(), 0), **dict.fromkeys(ONE.split(), 1), "bytes_per_token": 0.01}
HIGHEST = dict.fromkeys(("dropout", "ema_decay", "label_dropout"), 1)


class UserError(ValueError):
    """Mistakes in the configuration or the data; the command line shows them without a traceback.

    Each argument is one of them: a line that says where it is, the rule, the value it got, and the fix.
    """

    def __str__(self) -> str:
        return "\n".join(map(str, self.args))


def check_range(key: str, value: Any) -> None:
    """Refuse a number that none of its name can be, infinity and nan among them."""
    low, high = (bounds.get(key.rpartition(".")[2]) for bounds in (LOWEST, HIGHEST))
    if low is not None and isinstance(value, int | float) and not low <= value <= (high or sys.float_info.max):
        raise UserError(f"{key} is a number from {low}{f' to {high}' if high else ''}, not {value}")


class Preempted(Exception):  # noqa: N818
    """Training was asked to stop, and has saved all; exit code 75, "try again later" of sysexits.h."""


class Faults(list[str]):
    """What is wrong with the data, gathered to be said all at once.

    `with faults:` keeps the UserError that is raised within, and goes on after it; `refuse` raises
    one that has all of them.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        self.extend(map(str, error.args) if isinstance(error, UserError) else ())
        return isinstance(error, UserError)

    def refuse(self) -> None:
        if self:
            raise UserError(*dict.fromkeys(self))


def cut(labels: Sequence[Hashable], given: Collection[str], hp: Any) -> dict[str, list[int]]:
    """Which samples of `train` are cut off for the splits that are not given, and which remain.

    Each split keeps the classes' shares, as exactly as whole samples allow, and a seed gives the same ones again.

    Args:
        labels: the class of each sample of `train`; all the same where there are none.
        given: the splits that the data bring; with `train` alone, the rest is cut.
        hp: has `val_fraction` and `test_fraction`, shares of the samples that are here; `split_seed`; and
            `folds` and `fold`: with these, `test` is that one, counted from 0, of so many equal parts.

    Raises:
        UserError: for shares or folds that cannot be, and a class of which nothing remains to train on.
    """
    import numpy as np

    if (hp.folds or hp.fold) and not (0 <= hp.fold < hp.folds <= len(labels) and hp.folds > 1):
        raise UserError(f"data.fold={hp.fold} of data.folds={hp.folds}: folds are at least 2, and counted from 0")
    if hp.folds and "test" in given:
        raise UserError(f"data.folds={hp.folds} cuts a test split, and the data have one: leave one of them out")
    classes = np.unique(np.array(labels, str), return_inverse=True)[1]
    rest = np.random.default_rng(hp.split_seed).permutation(len(labels))
    rest, splits = rest[np.argsort(classes[rest], kind="stable")], {}
    for name in [name for name in ("test", "val") if name not in given]:
        share, place = hp[f"{name}_fraction"], np.arange(len(rest))
        if not 0 < (count := round(share * len(labels))) < len(rest):
            raise UserError(f"data.{name}_fraction={share} of {len(labels)} is {count}: cut off one or more, not all")
        taken = place * count % len(rest) + count >= len(rest)  # every n-th of what is in the order of the classes
        if hp.folds and name == "test":
            taken = place % hp.folds == hp.fold
        splits[name], rest = rest[taken], rest[~taken]
    few = [f"samples for {name}" for name, part in (*splits.items(), ("train", rest)) if not len(part)]
    few += [f"samples of class {labels[i]!r}" for i in range(len(labels)) if classes[i] not in classes[rest]]
    if few:
        raise UserError(f"too few {few[0]} where {len(labels)} are cut: add some, or bring splits of your own")
    return {"train": sorted(rest.tolist()), **{name: sorted(part.tolist()) for name, part in splits.items()}}


def note(text: str) -> None:
    """Say what a person should know, and need not change."""
    if FIRST:
        print(f"note  {text}", file=sys.stderr)


def note_imbalance(labels: Sequence[Hashable]) -> None:
    """Say it when the largest class of the training split has ten times the samples of the smallest."""
    ranked = Counter(labels).most_common()
    if ranked and ranked[0][1] >= 10 * ranked[-1][1]:
        (most, many), (least, few) = ranked[0], ranked[-1]
        note(f"classes are uneven: train has {many} of {most!r} and {few} of {least!r}; look at more than accuracy")


def note_leaks(splits: Mapping[str, Mapping[str, Hashable]]) -> None:
    """Say it when a sample of one split is in another: what is learnt by heart is not tested.

    Args:
        splits: the content, or a hash of it, by the name of each sample, for each split.
    """
    names = {split: {content: name for name, content in samples.items()} for split, samples in splits.items()}
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        if both := names.get(first, {}).keys() & names.get(second, {}).keys():
            one, other = min((names[second][content], names[first][content]) for content in both)
            note(f"{len(both)} of {second} are in {first} as well: {one} is {other}; take them out of one")
