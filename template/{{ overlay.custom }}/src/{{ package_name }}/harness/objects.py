# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What a configuration names: classes and functions, found and called, and the samples of a dataset, looked through."""

import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from hashlib import blake2b
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import keystr, tree_leaves, tree_leaves_with_path, tree_map
from torch.utils.data import Dataset, default_collate

from . import Faults, UserError

PACKAGE = str(__package__).rpartition(".")[0]


@contextmanager
def attempt(text: str) -> Iterator[None]:
    """Call another's code: what it raises becomes one line, unless TRACEBACK is set."""
    try:
        with warnings.catch_warnings(action="ignore"):
            warnings.filterwarnings("error", "Using a target size")  # which a loss would stretch to the outputs'
            yield
    except UserError:
        raise
    except Exception as error:
        if "TRACEBACK" in os.environ:
            raise
        known = dir(error.obj) if isinstance(error, AttributeError) else []
        close = "".join(
            f"; did you mean {name}?" for name in get_close_matches(f"{getattr(error, 'name', '')}", known, 1)
        )
        said = " ".join(str(error).split())[:300]
        raise UserError(f"{text}: {said} ({type(error).__name__}; TRACEBACK=1 shows where){close}") from error


def find(name: str, key: str) -> Any:
    """The class or function `package.module.Name`, `.module.Name` of this project, or `path/to/file.py:Name`.

    Packages are also looked for in the working directory, and what a file imports beside it.

    Raises:
        UserError: for a name that leads nowhere.
    """
    file, _, inner = name.rpartition(":")
    dotted = f"{Path(file).stem}.{inner}" if file else PACKAGE + name if name.startswith(".") else name
    module, _, attribute = dotted.rpartition(".")
    if not module or (file and not Path(file).is_file()):
        raise UserError(f"{key}={name}: say package.module.Name, .module.Name, or FILE.py:Name of a file that is there")
    sys.path.append(str(Path(file).resolve().parent if file else Path.cwd()))  # last: it hides nothing installed
    with attempt(f"{key}={name} cannot be imported"):
        try:
            found = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            found = resolve_name(dotted)  # of a class, or misspelt
    if file and not Path(file).samefile(str(sys.modules[Path(file).stem].__file__)):
        raise UserError(f"{key}={name}: Python has another module called {Path(file).stem}; rename the file")
    return found


def make(name: str, key: str, arguments: Mapping[str, Any] | None, first: int = 0) -> Any:
    """What that class or function makes of the arguments, those of the form `{call: NAME, ...}` made before.

    With arguments to come first, it is not called yet, and takes those alone.

    Raises:
        UserError: for a name or arguments that do not fit, and for what it raises.
    """
    found = find(name, key)
    values = {k: called(v, f"{key}_args.{k}") for k, v in (arguments or {}).items()}
    if not callable(found):
        raise UserError(f"{key}={name} is a {type(found).__name__}, not a class or a function")
    try:
        takes: Any = signature(found)
    except ValueError:  # of some that are written in C
        takes = None
    with attempt(f"{key}={name} takes {takes!s:.300}"):
        takes and takes.bind(*[None] * first, **values)
    with attempt(f"{key}={name} refuses {values!s:.300}"):
        return partial(found, **values) if first else found(**values)


def called(value: Any, key: str) -> Any:
    """A plain value as it is, and what `{call: NAME, ...}` makes."""
    if isinstance(value, Mapping) and "call" in value:
        return make(value["call"], key, {k: v for k, v in value.items() if k != "call"})
    return [called(each, key) for each in value] if isinstance(value, list) else value


class Samples(Dataset):
    """Some samples of a dataset, as dicts: `inputs`, a list, `target`, where there is one, and `index`."""

    def __init__(self, dataset: Any, indices: list[int], hp: Any) -> None:
        self.dataset, self.indices, self.parts = dataset, indices, (hp.inputs, hp.target)
        self.in_memory = getattr(dataset, "in_memory", False)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict:
        return arrange(self.dataset[self.indices[index]], *self.parts) | {"index": self.indices[index]}


def arrange(sample: Any, inputs: list | None, target: Any) -> dict:
    """The parts of a sample that are inputs, in order, and the one that is the target."""
    if not isinstance(sample, Mapping):
        sample = dict(enumerate(sample if isinstance(sample, tuple | list) else [sample]))
    target = next(reversed(sample), None) if target is None else target
    inputs = [key for key in sample if key != target] or [target] if inputs is None else inputs
    if lacking := [key for key in inputs if key not in sample]:
        raise UserError(
            f" has no part {lacking[0]!r} in {', '.join(map(repr, sample))}; see data.inputs and data.target"
        )
    return {"inputs": [sample[key] for key in inputs]} | ({"target": sample[target]} if target in sample else {})


def describe(value: Any) -> str:
    """The dtype and shape of each tensor in a value, or its type, after the index that leads to it."""
    found = [(keystr(path), leaf) for path, leaf in tree_leaves_with_path(value)]
    kinds = [f"{x.dtype} {tuple(x.shape)}"[6:] if isinstance(x, Tensor) else type(x).__name__ for _, x in found]
    return ", ".join(f"{name} {kind}".strip() for (name, _), kind in zip(found, kinds))


def read_samples(
    split: str, samples: Samples, limit: int, faults: Faults, usual: str = ""
) -> tuple[str, dict[int, bytes], dict[int, int]]:
    """Read samples, evenly spread where they are more than the limit, and gather what is wrong, a line for a rule.

    Args:
        usual: the form of a sample; default: that of most.

    Returns:
        The form; a hash of the inputs of each sample that is fine; and its class, if it has one.
    """
    broken: dict[Any, list[tuple[int, str]]] = defaultdict(list)
    forms, contents, labels = {}, {}, {}
    for index in samples.indices[:: -(-len(samples) // limit)]:
        try:
            with attempt(" cannot be read"):
                whole = default_collate([samples.dataset[index]])
                forms[index], contents[index], label = examine(whole, *samples.parts)
        except UserError as error:
            broken[type(error.__cause__) if error.__cause__ else str(error)].append((index, str(error)))
        else:
            labels |= {index: label} if label is not None else {}
    usual = usual or Counter(forms.values()).most_common(1)[0][0] if forms else ""
    for index in [index for index, form in forms.items() if form != usual]:
        broken[forms[index]].append((index, f" is {forms[index]}, most are {usual}; make them alike"))
        del contents[index]
    for (first, text), *more in broken.values():
        faults.append(f"{split}[{first}]{text}" + f" (and {len(more)} more: {[i for i, _ in more[:5]]})" * bool(more))
    return usual, contents, labels


def examine(whole: Any, inputs: list | None, target: Any) -> tuple[str, bytes, int | None]:
    """The form, a hash of the inputs, and the class of a sample, from a batch of it alone."""
    parts, content = arrange(whole, inputs, target), blake2b(digest_size=16)
    for path, leaf in tree_leaves_with_path(whole):
        if isinstance(leaf, Tensor) and not leaf.isfinite().all():
            value = leaf[~leaf.isfinite()][0].item()
            raise UserError(f"{keystr(path)} has {value}; correct it, or leave the sample out")
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            raise UserError(f"{keystr(path)} requires a gradient; detach it")
    for leaf in tree_leaves(parts["inputs"]):
        content.update(bytes(leaf.flatten().view(torch.uint8).numpy()) if isinstance(leaf, Tensor) else leaf.encode())
    label = parts.get("target")
    whole_number = isinstance(label, Tensor) and label.numel() == 1 and not label.is_floating_point()
    form = describe(tree_map(lambda leaf: leaf[0] if isinstance(leaf, Tensor) else leaf, whole))
    return form, content.digest(), int(label) if whole_number else None
