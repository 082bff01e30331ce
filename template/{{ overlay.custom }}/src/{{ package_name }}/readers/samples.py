# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Samples of any dataset, sorted into inputs and target."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._pytree import keystr, tree_leaves_with_path
from torch.utils.data import Dataset

from ..harness.errors import UserError

Key = int | str  # of a part of a sample: its index or key


class Samples(Dataset):
    """Some samples of a dataset.

    Each item is a dict with `inputs`, a list of the parts that the network takes; `target`, if the
    sample has that part; and `index`, its position in the dataset. The parts are as the dataset
    returns them.

    Args:
        dataset: any object with `__len__` and `__getitem__`.
        indices: of the samples.
        options: the hyperparameters of the DataModule, which name the parts.
    """

    def __init__(self, dataset: Any, indices: list[int], options: Any) -> None:
        self.dataset = dataset
        self.indices = indices
        self.inputs = options.inputs
        self.target = options.target
        self.in_memory = getattr(dataset, "in_memory", False)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict[str, Any]:
        index_in_dataset = self.indices[index]
        item = arrange(self.dataset[index_in_dataset], self.inputs, self.target)
        item["index"] = index_in_dataset
        return item


def arrange(sample: Any, inputs: list[Key] | None, target: Key | None) -> dict[str, Any]:
    """Sort the parts of a sample, or of a batch, into `inputs` and `target`.

    Args:
        sample: a tuple, list or mapping of parts; anything else is a single part.
        inputs: indices or keys of the inputs; by default all but the target, or the only part.
        target: index or key of the target; by default the last.

    Raises:
        UserError: if an input is not there.
    """
    parts: dict[Any, Any]
    if isinstance(sample, Mapping):
        parts = dict(sample)
    elif isinstance(sample, tuple | list):
        parts = dict(enumerate(sample))
    else:
        parts = {0: sample}
    keys = list(parts)
    if target is None and keys:
        target = keys[-1]
    chosen: list[Any] = [key for key in keys if key != target] if inputs is None else inputs
    if inputs is None and not chosen:
        chosen = [target]  # a single part is both
    for key in chosen:
        if key not in parts:
            fix = "see data.inputs and data.target"
            raise UserError(f"there is no part {key!r} among {keys}; {fix}")
    arranged = {"inputs": [parts[key] for key in chosen]}
    if target in parts:
        arranged["target"] = parts[target]
    return arranged


def describe(value: Any) -> str:
    """The dtype and shape of each tensor in a value, and the type of each other part."""
    kinds = []
    for path, leaf in tree_leaves_with_path(value):
        kind = type(leaf).__name__
        if isinstance(leaf, Tensor):
            dtype = str(leaf.dtype).removeprefix("torch.")
            kind = f"{dtype} {tuple(leaf.shape)}"
        kinds.append(f"{keystr(path)} {kind}".strip())
    return ", ".join(kinds)
