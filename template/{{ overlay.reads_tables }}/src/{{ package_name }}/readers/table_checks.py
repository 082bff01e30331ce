# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Check columns and values of a table; errors name the file, the column, the rows and the value.

The tables come from `read_table`: their index holds the row numbers, and its name is the file.
"""

from collections import Counter
from difflib import get_close_matches
from reprlib import repr as shortened

import pandas as pd

from ..harness.errors import ErrorCollector

MAX_LINES = 20  # errors of one kind that are shown; the rest is counted
MAX_ROWS = 5  # row numbers in one error
MAX_NAMES = 20  # column names in one error


def require_columns(frame: pd.DataFrame, names: list[str]) -> None:
    """Check that all these columns exist, and that none is named twice.

    Raises:
        UserError: with a line for each column that is missing or named twice.
    """
    errors = ErrorCollector()
    path = frame.index.name
    existing = [str(column) for column in frame]
    for name, count in Counter(names).items():
        if name not in existing:
            hint = suggest_column(name, existing)
            errors.append(f"{path}: there is no column {name!r}; {hint}")
        if count > 1:
            errors.append(f"data: column {name!r} has {count} roles; give it one")
    errors.raise_if_any()


def suggest_column(name: str, existing: list[str]) -> str:
    """The column that was probably meant, if any, and the columns that exist."""
    listed = ", ".join(existing[:MAX_NAMES])
    listed = " ".join(listed.split())  # a name may hold line breaks
    if len(existing) > MAX_NAMES:
        listed += ", ..."
    close = get_close_matches(name, existing, n=1)
    if close:
        return f"did you mean {close[0]!r}? The columns are {listed}"
    return f"the columns are {listed}"


def report_columns(
    frame: pd.DataFrame,
    wrong: pd.DataFrame,
    rule: str,
    errors: ErrorCollector,
) -> None:
    """Report each column that has wrong values, by its first rows and its first value.

    Args:
        frame: the table.
        wrong: booleans, True for a wrong value, with the rows and some of the columns of `frame`.
        rule: what is wrong and how to correct it, with `{value}` for the first wrong value, such as
            "{value} is not a number; correct it".
        errors: to which the lines are added.
    """
    found = ErrorCollector()
    for name in wrong:
        report_column(frame[name], wrong[name], rule, found)
    path = str(frame.index.name)
    errors.extend(first_lines(found, path, "columns"))


def report_column(
    column: pd.Series,
    wrong: pd.Series,
    rule: str,
    errors: ErrorCollector,
) -> None:
    """Report a column if it has wrong values; see `report_columns`."""
    if not wrong.any():
        return
    path = str(column.index.name)
    values = column[wrong].sort_index()
    rows = row_place(path, values.index.tolist())
    place = f"{path}, column {column.name!r}, {rows}"
    first = values.tolist()[0]  # a plain Python value: 3 rather than np.int64(3)
    message = rule.replace("{value}", shortened(first))
    errors.append(f"{place}: {message}")


def row_place(path: str, rows: list[int]) -> str:
    """Where rows are, such as "rows 3, 7 (the header is row 1)" or, in JSONL, "lines 3, 7"."""
    shown = rows[:MAX_ROWS]
    numbers = ", ".join(str(row) for row in shown)
    if len(rows) > MAX_ROWS:
        numbers += ", ..."
    plural = "" if len(rows) == 1 else "s"
    if path.lower().endswith(".jsonl"):
        return f"line{plural} {numbers}"
    return f"row{plural} {numbers} (the header is row 1)"


def first_lines(
    lines: list[str],
    path: str,
    what: str,
) -> list[str]:
    """The first `MAX_LINES` errors of one kind, and a line that counts the others.

    Args:
        lines: the errors.
        path: of the file, or another place, that they are in.
        what: is counted, such as "columns".
    """
    more = len(lines) - MAX_LINES
    if more <= 0:
        return lines
    shown = lines[:MAX_LINES]
    shown.append(f"{path}: {more} more {what} have errors of this kind")
    return shown
