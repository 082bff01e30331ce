# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Rules for the columns of a table of labelled texts.

Each function reports the values that break a rule, and returns which rows have one.
"""

from pandas import Series, StringDtype

from ..harness.errors import ErrorCollector
from ..harness.splits import SPLITS
from .table_checks import report_column

NO_VALUE = "-"  # in place of a missing value, which has a rule of its own; it breaks no other rule


def check_texts(column: Series, errors: ErrorCollector) -> Series:
    missing = report_missing(column, "text", errors)
    if not isinstance(column.dtype, StringDtype):
        rule = "{value} is not a text; put it in quotes, or set another data.text_column"
        report_column(column, ~missing, rule, errors)
        return Series(True, column.index)
    values = column.fillna(NO_VALUE)
    blank = report_blank(column, values, "text", errors)
    nul = report_nul(column, values, errors)
    return missing | blank | nul


def check_labels(column: Series, errors: ErrorCollector) -> Series:
    missing = report_missing(column, "label", errors)
    values = column.astype("string").fillna(NO_VALUE)
    blank = report_blank(column, values, "label", errors)
    nul = report_nul(column, values, errors)
    stripped = values.str.strip()
    padded = (stripped != values) & ~blank
    rule = "{value} has spaces around it, which would make it another class; remove them"
    report_column(column, padded, rule, errors)
    return missing | blank | nul | padded


def check_splits(column: Series, errors: ErrorCollector) -> Series:
    missing = report_missing(column, "split", errors)
    known = column.isin(SPLITS)
    unknown = ~known & ~missing
    rule = "{value} is not a split; write train, val or test"
    report_column(column, unknown, rule, errors)
    return missing | unknown


def report_missing(column: Series, noun: str, errors: ErrorCollector) -> Series:
    missing = column.isna()
    report_column(column, missing, f"the {noun} is missing; write it or remove the row", errors)
    return missing


def report_blank(column: Series, values: Series, noun: str, errors: ErrorCollector) -> Series:
    blank = values.str.strip() == ""
    rule = f"{{value}} is blank; write a {noun} or remove the row"
    report_column(column, blank, rule, errors)
    return blank


def report_nul(column: Series, values: Series, errors: ErrorCollector) -> Series:
    contains_nul = values.str.contains("\0", regex=False)
    report_column(column, contains_nul, "{value} contains a NUL character; remove it", errors)
    return contains_nul
