# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Divide the rows of a table into splits, by one of its columns or at random."""

from typing import Any

import pandas as pd

from ..harness.errors import ErrorCollector
from ..harness.splits import SPLITS, cut_splits, note_leaks
from .table_checks import report_column

MIN_ROWS = 2  # in each split
MIN_TARGETS = 2  # different values of the target in `train`
MIN_CLASS_ROWS = 2  # of each class in `train`

NOT_A_SPLIT = "{value} is not a split; write train, val or test"
RARE_CLASS = "class {value} has a single row to train on and needs 2; add rows, or see data.problem"

Splits = dict[str, pd.DataFrame]  # the rows of train, val and test


def split_rows(
    frame: pd.DataFrame,
    options: Any,
    class_column: str | None,
    errors: ErrorCollector,
) -> Splits:
    """Divide the rows, and shuffle them, so that no batch of a sorted table is of one class.

    Args:
        frame: all rows.
        options: has `target`, `split_column`, `val_fraction`, `test_fraction`, `split_seed`,
            `folds` and `fold`.
        class_column: the target of a classification; random splits keep its proportions.
        errors: to which lines are added, on values that are not a split and on splits that are
            too small.
    """
    if options.split_column:
        splits = split_by_column(frame, options.split_column, errors)
    else:
        empty = frame[:0]
        splits = {"train": frame, "val": empty, "test": empty}
    with errors:
        if options.folds:
            splits = cut_folds(splits, options, class_column)
        else:
            splits = cut_fractions(splits, len(frame), options, class_column)
        check_sizes(splits, options.target, class_column, errors)

    shuffled = {}
    for name, rows in splits.items():
        shuffled[name] = rows.sample(frac=1, random_state=options.split_seed)
    return shuffled


def split_by_column(
    frame: pd.DataFrame,
    split_column: str,
    errors: ErrorCollector,
) -> Splits:
    column = frame[split_column]
    wrong = ~column.isin(SPLITS)
    report_column(column, wrong, NOT_A_SPLIT, errors)
    splits = {}
    for name in SPLITS:
        splits[name] = frame[column == name]
    return splits


def cut_folds(splits: Splits, options: Any, class_column: str | None) -> Splits:
    """Cut off `train`: one of several folds for `test`, and rows for `val` if it is empty.

    Raises:
        UserError: if the options do not fit the data.
    """
    train = splits["train"]
    labels = [None] * len(train)
    if class_column:
        labels = train[class_column].tolist()
    given = [name for name in SPLITS if len(splits[name])]
    cut = dict(splits)
    for name, positions in cut_splits(labels, given, options).items():
        cut[name] = train.iloc[positions]
    return cut


def cut_fractions(
    splits: Splits,
    total: int,
    options: Any,
    class_column: str | None,
) -> Splits:
    """Cut rows off `train` for the splits that are empty.

    Args:
        splits: those that the table has.
        total: number of rows, of which `val_fraction` and `test_fraction` are shares.
        options: the fractions, and the seed.
        class_column: keeps its proportions.
    """
    counts = {
        "test": options.test_fraction * total,
        "val": options.val_fraction * total,
    }
    cut = dict(splits)
    for name, count in counts.items():
        if cut[name].empty:
            train = cut["train"]
            rows = sample_rows(train, count, options.split_seed, class_column)
            cut[name] = rows
            cut["train"] = train.drop(rows.index)
    return cut


def sample_rows(
    frame: pd.DataFrame,
    count: float,
    seed: int,
    class_column: str | None,
) -> pd.DataFrame:
    """About `count` random rows, or all if there are fewer; the proportions of classes are kept."""
    share = count / max(1, len(frame))
    share = min(1.0, share)
    groups = frame
    if class_column and frame[class_column].notna().any():
        groups = frame.groupby(class_column)
    return groups.sample(frac=share, random_state=seed)


def check_sizes(
    splits: Splits,
    target: str,
    class_column: str | None,
    errors: ErrorCollector,
) -> None:
    """Report splits that are too small to train or measure on, and classes with a single row."""
    train = splits["train"]
    counts = train[target].value_counts()
    smallest = min(len(rows) for rows in splits.values())
    if smallest < MIN_ROWS or len(counts) < MIN_TARGETS:
        sizes = [f"{name} {len(rows)}" for name, rows in splits.items()]
        errors.append(
            f"data: too few rows ({', '.join(sizes)}), each split needs {MIN_ROWS}, "
            f"and train needs {MIN_TARGETS} values of {target!r}; "
            "add rows, or see data.problem and data.*_fraction"
        )
    elif class_column:
        labels = train[class_column]
        rare = counts.index[counts < MIN_CLASS_ROWS]
        report_column(labels, labels.isin(rare), RARE_CLASS, errors)


def note_shared_rows(splits: Splits) -> None:
    """Print a note if two splits have rows of the same content."""
    contents = {}
    for name, rows in splits.items():
        hashes = pd.util.hash_pandas_object(rows, index=False)
        hashes.index = "row " + hashes.index.astype(str)
        contents[name] = hashes.to_dict()
    note_leaks(contents)
