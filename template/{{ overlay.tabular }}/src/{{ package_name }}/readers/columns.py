# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The roles of a table's columns, their types, and their values as numbers for a network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..harness.errors import ErrorCollector
from .table_checks import report_columns, require_columns

SIGNIFICANT_DIGITS = 9  # of a statistic; the digits after them differ between machines
NOT_A_NUMBER = (
    "{value} is not a finite number; correct it, "
    "or see data.categorical, data.ignore and data.problem"
)


@dataclass(frozen=True)
class Roles:
    """Names of the numeric and of the text columns; the target is among them, if it exists."""

    numeric: list[str]
    text: list[str]


def assign_roles(
    frame: pd.DataFrame,
    options: Any,
    regression: bool,
    errors: ErrorCollector,
) -> Roles:
    """Decide which columns are numbers and which are text.

    If `options.categorical` is None, the columns without a role that have mostly text are text; if
    `options.numeric` is None, the others are numbers. A column that does not exist, or has two
    roles, is reported and left out.

    Args:
        frame: the table.
        options: has `target`, `split_column`, `ignore`, `numeric` and `categorical`.
        regression: the target is a number.
        errors: to which lines are added.
    """
    target = options.target
    named = [target]
    if options.split_column:
        named.append(options.split_column)
    named += options.ignore or []
    named += options.numeric or []
    named += options.categorical or []
    with errors:
        require_columns(frame, named)

    numeric = usable_names(options.numeric, frame, named)
    text = usable_names(options.categorical, frame, named)
    for name in map(str, frame):
        if name in named:
            continue
        if options.categorical is None and is_mostly_text(frame[name]):
            text.append(name)
        elif options.numeric is None:
            numeric.append(name)
    if target in frame:
        if regression:
            numeric.append(target)
        else:
            text.append(target)
    return Roles(numeric, text)


def usable_names(
    names: list[str] | None,
    frame: pd.DataFrame,
    named: list[str],
) -> list[str]:
    """Those of the names that are columns, and that have a single role.

    Args:
        names: given by an option.
        frame: the table.
        named: the names that all options give.
    """
    usable = []
    for name in names or []:
        if name in frame and named.count(name) == 1:
            usable.append(name)
    return usable


def is_mostly_text(column: pd.Series) -> bool:
    """True if fewer than half of the values, without missing ones, can be read as numbers."""
    numbers = pd.to_numeric(column, errors="coerce")
    half = column.count() / 2
    return bool(numbers.count() < half)


def convert_columns(
    frame: pd.DataFrame,
    roles: Roles,
    errors: ErrorCollector,
) -> pd.DataFrame:
    """Make numeric columns float64 and the others text; columns without a role are left out.

    Values that are not finite numbers are reported, and are missing in the result.
    """
    given = frame[roles.numeric]
    numbers = given.apply(pd.to_numeric, errors="coerce")
    numbers = numbers.astype("float64")
    unreadable = numbers.isna() & given.notna()
    wrong = unreadable | np.isinf(numbers)
    report_columns(given, wrong, NOT_A_NUMBER, errors)
    text = frame[roles.text].astype("string")
    return numbers.mask(wrong).join(text)


def mean_and_std(column: pd.Series) -> list[float]:
    """Mean and standard deviation, rounded so that all machines agree."""
    mean = round_digits(column.mean())
    std = round_digits(column.std())
    return [mean, std]


def round_digits(number: float) -> float:
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")


def standardise(
    values: pd.DataFrame,
    scales: list[list[float]],
) -> np.ndarray:
    """Values (rows, columns), float32, in standard deviations from the mean; missing ones are 0.

    Args:
        values: numeric columns.
        scales: mean and standard deviation of each column.
    """
    scale_matrix = np.array(scales).reshape(-1, 2)  # (columns, 2), also without columns
    means = scale_matrix[:, 0]
    deviations = scale_matrix[:, 1]
    standardised = values.sub(means).div(deviations)
    return standardised.fillna(0).to_numpy(np.float32)


def find_categories(
    values: pd.DataFrame,
    known: list[list[str]],
) -> np.ndarray:
    """Indices (rows, columns), int64, of values among the known ones of their column.

    Missing and unknown values have the index -1.

    Args:
        values: text columns.
        known: the known values of each column.
    """
    indices = np.empty(values.shape, np.int64)
    for position, name in enumerate(values):
        categories = pd.Index(known[position])
        column = pd.Index(values[name])
        indices[:, position] = categories.get_indexer(column)
    return indices
