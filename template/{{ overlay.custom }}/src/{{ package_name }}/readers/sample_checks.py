# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Read samples before training, and report what is wrong with them."""

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import keystr, tree_leaves, tree_leaves_with_path, tree_map
from torch.utils.data import default_collate

from ..harness.errors import ErrorCollector, UserError
from .objects import as_user_error
from .samples import Samples, arrange, describe

MAX_INDICES = 5  # that one error names
DIGEST_BYTES = 16
IGNORED_LABEL = -100  # the `ignore_index` of torch's losses


@dataclass(frozen=True)
class SampleSummary:
    """What is kept of a sample that was read.

    Args:
        form: the dtypes and shapes of its parts.
        digest: a hash of its inputs.
        label: its target, if that is a whole number.
    """

    form: str
    digest: bytes
    label: int | None


@dataclass(frozen=True)
class SplitSummary:
    """What is kept of a split: the form of its samples, and a summary of each by its index."""

    form: str
    samples: dict[int, SampleSummary]

    def labels(self) -> dict[int, int]:
        """The labels of the samples that have one, by index."""
        labels = {}
        for index, sample in self.samples.items():
            if sample.label is not None:
                labels[index] = sample.label
        return labels


class Problems:
    """What is wrong with the samples of a split; each kind of problem is reported once."""

    def __init__(self, split: str) -> None:
        self.split = split
        self.by_kind: dict[Hashable, list[tuple[int, str]]] = defaultdict(list)

    def add(self, kind: Hashable, index: int, text: str) -> None:
        self.by_kind[kind].append((index, text))

    def lines(self) -> list[str]:
        """One line for each kind, with the first sample that has it."""
        lines = []
        for found in self.by_kind.values():
            indices = [index for index, _ in found]
            first, text = found[0]
            line = f"{self.split}[{first}]: {text}"
            more = indices[1:]
            if more:
                line += f" (and {len(more)} more: {more[:MAX_INDICES]})"
            lines.append(line)
        return lines


def read_samples(
    split: str, samples: Samples, limit: int, errors: ErrorCollector, form: str = ""
) -> SplitSummary:
    """Read samples of a split, and report those that cannot be used.

    Args:
        split: its name.
        samples: of the split.
        limit: how many to read at most, evenly spread.
        errors: to which a line for each kind of problem is added.
        form: that all samples should have; by default that of most.
    """
    problems = Problems(split)
    readable = {}
    step = ceil(len(samples) / limit)
    for index in samples.indices[::step]:
        try:
            with as_user_error("cannot be read"):
                readable[index] = read_sample(samples, index)
        except UserError as error:
            # Exceptions of one type count as one problem, whatever they say.
            kind = type(error.__cause__) if error.__cause__ else str(error)
            problems.add(kind, index, str(error))
    if readable and not form:
        form = most_common_form(readable)
    usable = {}
    for index, sample in readable.items():
        if sample.form == form:
            usable[index] = sample
        else:
            rule = f"its form is {sample.form}, but that of most is {form}"
            problems.add(sample.form, index, f"{rule}; make them alike")
    errors.extend(problems.lines())
    return SplitSummary(form, usable)


def most_common_form(samples: dict[int, SampleSummary]) -> str:
    """The form that most samples have."""
    forms = Counter(sample.form for sample in samples.values())
    return forms.most_common(1)[0][0]


def read_sample(samples: Samples, index: int) -> SampleSummary:
    """Read one sample, as the loaders will.

    Raises:
        UserError: if its values cannot be trained on, or an input is not there.
    """
    batch = default_collate([samples.dataset[index]])
    check_values(batch)
    parts = arrange(batch, samples.inputs, samples.target)
    sample = tree_map(first_item, batch)
    return SampleSummary(
        form=describe(sample),
        digest=hash_inputs(parts["inputs"]),
        label=label_of(parts.get("target")),
    )


def label_of(target: Any) -> int | None:
    """The target as a class, if it is a whole number."""
    if not isinstance(target, Tensor) or target.numel() != 1 or target.is_floating_point():
        return None
    return int(target)


def check_values(batch: Any) -> None:
    """Raise a UserError for a tensor that is not finite, or that requires a gradient."""
    for path, leaf in tree_leaves_with_path(batch):
        if not isinstance(leaf, Tensor):
            continue
        place = f"part {keystr(path)}" if path else "the sample"
        is_finite = leaf.isfinite()
        if not is_finite.all():
            value = leaf[~is_finite][0].item()
            raise UserError(f"{place} has {value}; correct it or leave the sample out")
        if leaf.requires_grad:
            raise UserError(f"{place} requires a gradient; detach it")


def first_item(leaf: Any) -> Any:
    """The only item of a batch of one."""
    if isinstance(leaf, Tensor):
        return leaf[0]
    return leaf


def hash_inputs(inputs: list[Any]) -> bytes:
    """A hash of tensors, texts and bytes, to find samples that are in two splits."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for leaf in tree_leaves(inputs):
        if isinstance(leaf, Tensor):
            content = leaf.flatten().view(torch.uint8)
            digest.update(bytes(content.numpy()))
        elif isinstance(leaf, bytes):
            digest.update(leaf)
        else:
            digest.update(str(leaf).encode())
    return digest.digest()


def check_labels(summaries: dict[str, SplitSummary], classes: int, errors: ErrorCollector) -> None:
    """Report the first label of each split that is not a class of the outputs.

    Args:
        summaries: of all splits, by name.
        classes: of the outputs; with 0, labels are not checked.
        errors: to which a line for each split is added.
    """
    if classes == 0:
        return
    fix = "correct it, or model.network_args"
    for split, summary in summaries.items():
        problems = Problems(split)
        for index, label in summary.labels().items():
            if label != IGNORED_LABEL and not 0 <= label < classes:
                rule = f"target {label} is not a class of the outputs, 0 to {classes - 1}"
                problems.add("label", index, f"{rule}; {fix}")
        errors.extend(problems.lines())
