# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Ranges of numeric parameters, stated in the signature and checked before anything is built."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """The finite numbers that a parameter accepts: `lr: Annotated[float, Range(min=0)] = 1e-3`.

    Args:
        min: the smallest value.
        max: the largest value.
        above: an exclusive lower bound, instead of `min`.
    """

    min: float | None = None
    max: float | None = None
    above: float | None = None

    def __contains__(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if self.min is not None and value < self.min:
            return False
        if self.above is not None and value <= self.above:
            return False
        return self.max is None or value <= self.max

    def __str__(self) -> str:
        bounds = []
        if self.min is not None:
            bounds.append(f"at least {self.min}")
        if self.above is not None:
            bounds.append(f"above {self.above}")
        if self.max is not None:
            bounds.append(f"at most {self.max}")
        return " and ".join(bounds) or "finite"

    def __repr__(self) -> str:  # appears in `fit --help`
        return str(self)


def range_error(key: str, value: Any, allowed: Range) -> list[str]:
    """A line if the value is a number outside its range; the parser checks the types."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value not in allowed:
        return [f"{key} must be {allowed}, got {value}"]
    return []


def range_errors(
    section: str, function: Callable[..., Any], values: Mapping[str, Any]
) -> list[str]:
    """Check the values of a configuration section against the ranges in a signature.

    Args:
        section: the prefix of its keys, such as `model`.
        function: the constructor whose annotations have the ranges.
        values: by parameter name.

    Returns:
        A line for each number outside its range.
    """
    errors = []
    try:
        annotations = get_type_hints(function, include_extras=True)
    except NameError:  # a name that is imported for type checkers only
        annotations = function.__annotations__
    for name, annotation in annotations.items():
        for allowed in find_ranges(annotation):
            errors += range_error(f"{section}.{name}", values.get(name), allowed)
    return errors


def find_ranges(annotation: Any) -> Iterator[Range]:
    """The ranges in `Annotated[T, Range(...)]`, alone or as a member of a union."""
    origin = get_origin(annotation)
    if origin is Annotated:
        for metadata in get_args(annotation)[1:]:
            if isinstance(metadata, Range):
                yield metadata
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from find_ranges(member)
