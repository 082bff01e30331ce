# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Tables in columns and splits, and what is wrong in them: the file, the column, the rows, the value."""

from collections import Counter
from difflib import get_close_matches
from reprlib import repr as shorten
from typing import Any

import numpy as np
import pandas as pd
from torch.utils.data import Dataset

from . import Faults, UserError, cut
from .readers import gather, places, some
from .readers import read_table as read_table  # for whoever uses tables


class Rows(Dataset):
    """Rows in memory, as columns of equal length, tensors or arrays; a batch has the same names."""

    in_memory = True

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        return {name: column[indices] for name, column in self.columns.items()}


def assign_roles(
    frame: pd.DataFrame, hp: Any, regression: bool, faults: Faults | None = None
) -> tuple[list[str], list[str]]:
    """The columns of numbers and those of text, the target among them. Where `hp` does not say, columns
    with more text than numbers are text. `faults` gathers what is wrong; for None it is raised."""
    others = [name for name in (hp.target, hp.split_column, *(hp.ignore or [])) if name is not None]
    named = [*others, *(hp.numeric or []), *(hp.categorical or [])]
    with gather(faults) as found, found:
        require(frame, named)
    rest = [name for name in map(str, frame) if name not in named]
    text = [name for name in rest if pd.to_numeric(frame[name], errors="coerce").count() < frame[name].count() / 2]
    text = text if hp.categorical is None else hp.categorical
    numeric = [name for name in rest if name not in text] if hp.numeric is None else hp.numeric
    numeric, text = ([name for name in names if name in frame and named.count(name) < 2] for names in (numeric, text))
    target = [hp.target] if hp.target in frame else []
    return ([*numeric, *target], text) if regression else (numeric, [*text, *target])


def split_rows(
    frame: pd.DataFrame, hp: Any, classes: str | None, faults: Faults | None = None
) -> dict[str, pd.DataFrame]:
    """The rows of each split, in random order, so that no batch of a sorted table is of one class.

    Args:
        frame: all rows.
        hp: has `target`, and `split_column`, or `test_fraction`, `val_fraction` and `split_seed`; and, for
            cross-validation, `folds` and `fold`.
        classes: the column whose values keep their shares in what is cut off; for a classification.
        faults: gathers what is wrong; for None it is raised.
    """
    rows = {"train": frame, "test": frame[:0], "val": frame[:0]}
    with gather(faults) as found:
        if hp.split_column:
            with found:
                refuse(~frame[[hp.split_column]].isin(list(rows)), frame, "is no split; write train, val or test")
            rows = {name: frame[frame[hp.split_column] == name] for name in rows}
        with found:
            rows = cut_rows(rows, len(frame), hp, classes)
            check_sizes(rows, hp, classes)
    return {name: part.sample(frac=1, random_state=hp.split_seed) for name, part in rows.items()}


def cut_rows(rows: dict[str, pd.DataFrame], total: int, hp: Any, classes: str | None) -> dict[str, pd.DataFrame]:
    """Cut the splits that have no rows off `train`."""
    if getattr(hp, "folds", 0):  # projects from before there were folds do not have it
        train, given = rows["train"], [name for name, part in rows.items() if len(part)]
        cuts = cut(train[classes].tolist() if classes else [0] * len(train), given, hp)
        return rows | {name: train.iloc[index] for name, index in cuts.items()}
    rows = dict(rows)
    for name, fraction in (("test", hp.test_fraction), ("val", hp.val_fraction)):
        if rows[name].empty:
            train = rows["train"]
            share = min(1.0, max(0.0, fraction * total / max(1, len(train))))
            groups = train.groupby(classes) if classes and train[classes].count() else train
            rows[name] = groups.sample(frac=share, random_state=hp.split_seed)
            rows["train"] = train.drop(rows[name].index)
    return rows


def check_sizes(rows: dict[str, pd.DataFrame], hp: Any, classes: str | None) -> None:
    """Refuse splits too small to train and to measure on, and a class with a single row to train on."""
    counts = rows["train"][hp.target].value_counts()
    if min(map(len, rows.values())) < 2 or len(counts) < 2:
        sizes = ", ".join(f"{name} {len(part)}" for name, part in rows.items())
        needs = f"a split takes 2, and train 2 values of {hp.target!r}"
        raise UserError(f"too few rows ({sizes}): {needs}; add some, or see data.problem and data.*_fraction")
    if classes:
        rare = rows["train"][[classes]].isin(counts.index[counts < 2])
        refuse(rare, rows["train"], "is the class of one row to train on, and takes 2: add some, or see data.problem")


def require(frame: pd.DataFrame, names: list[str]) -> None:
    """Refuse a table that lacks some of the columns, and columns that are named twice."""
    faults, there = Faults(), list(map(str, frame))
    has = " ".join(", ".join(there[:20]).split()) + ", ..." * (len(there) > 20)
    for name, count in Counter(names).items():
        if name not in frame:
            close = "".join(f"did you mean {other!r}? " for other in get_close_matches(name, there, n=1))
            faults.append(f"{frame.index.name} has no column {name!r}; {close}it has {has}")
        if count > 1:
            faults.append(f"data gives column {name!r} two roles; leave it one")
    faults.refuse()


def refuse(wrong: pd.DataFrame, frame: pd.DataFrame, reason: str) -> None:
    """Refuse a table with values marked wrong: name each such column, its rows that have one, and the first."""
    path, lines = str(frame.index.name), []
    for name in wrong.columns[wrong.any()]:
        values = frame[name][wrong[name]].sort_index()
        value = "nothing" if pd.isna(values.iloc[0]) else shorten(values.tolist()[0])
        lines.append(f"{path}, column {name!r}, {places(path, values.index.tolist())}: {value} {reason}")
    Faults(some(lines, path, "columns")).refuse()


def typed(frame: pd.DataFrame, numbers: list[str], text: list[str], faults: Faults | None = None) -> pd.DataFrame:
    """The columns of numbers in float64, the others as text; columns without a role are left out. `faults`
    gathers what is no number, and is missing then; for None it is raised."""
    values: pd.DataFrame = frame[numbers].apply(pd.to_numeric, errors="coerce").astype("float64")
    wrong = (values.isna() & frame[numbers].notna()) | np.isinf(values)
    with gather(faults) as found, found:
        refuse(wrong, frame, "is no finite number; correct it, or see data.categorical, data.ignore, data.problem")
    return values.mask(wrong).join(frame[text].astype("string"))


def find(frame: pd.DataFrame, known: list[list[str]], reason: str = "", faults: Faults | None = None) -> np.ndarray:
    """Indices (rows, columns) of the values of text columns among those known, -1 for missing and other
    values; a reason refuses the latter, or adds them to the faults."""
    found = [pd.Index(values).get_indexer(pd.Index(frame[name])) for name, values in zip(frame, known)]
    index = np.array(found, np.int64).reshape(len(found), len(frame)).T
    with gather(faults) as wrong, wrong:
        refuse(frame.notna() & bool(reason) & (index < 0), frame, reason)
    return index


def scale(column: pd.Series) -> list[float]:
    """Mean and standard deviation, in the digits that all machines agree on."""
    return [float(f"{value:.9g}") for value in (column.mean(), column.std())]


def standardise(values: pd.DataFrame, scales: list[list[float]]) -> np.ndarray:
    """In standard deviations from the mean, which stands in for what is missing."""
    mean, std = np.array(scales).reshape(-1, 2).T
    return pd.DataFrame((values - mean) / std).fillna(0).to_numpy(np.float32)
