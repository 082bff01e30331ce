# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reading tables, and refusing what is wrong in them: the file, the column, the rows, the value."""

from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor
from torch.utils.data import Dataset

from . import UserError


class Rows(Dataset):
    """Rows in memory, as columns of equal length; a batch has the same names."""

    in_memory = True

    def __init__(self, columns: dict[str, Tensor]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        return {name: column[indices] for name, column in self.columns.items()}


def read_table(path: str) -> pd.DataFrame:
    """A CSV or Parquet file as numbers and text, without its empty rows.

    The index is the number of a row as a spreadsheet counts, the header being row 1. What CSV holds
    is text until `typed` makes it numbers, so that a category stays what it is in the file: 007.
    """
    try:
        if path.lower().endswith(".csv"):
            frame = pd.read_csv(path, dtype=str, skip_blank_lines=False)
            header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
            if header.isna().any() or header.duplicated().any():
                raise ValueError(f"each column has a name of its own, not {header.fillna('').tolist()}")
        else:
            frame = pd.read_parquet(path, dtype_backend="numpy_nullable").reset_index(drop=True)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is missing, or no readable .csv or Parquet file: {reason}") from error
    if type(frame.index) is not pd.RangeIndex:
        raise UserError(f"{path}: its rows have more values than its header has names; correct the header")
    frame.index = pd.RangeIndex(2, len(frame) + 2, name=path)
    kinds = {name: dtype.kind for name, dtype in frame.dtypes.items()}
    # Floats get one kind of missing value; what is no number, such as a date, is text.
    casts = {name: "float64" if kind == "f" else "string" for name, kind in kinds.items() if kind not in "iub"}
    frame = frame.astype(casts).dropna(how="all")
    if frame.empty:
        raise UserError(f"{path} has no rows: add some below the header")
    return frame


def assign_roles(frame: pd.DataFrame, hp: Any, regression: bool) -> tuple[list[str], list[str]]:
    """The columns of numbers and those of text, the target among them. Where `hp` does not say, columns
    with more text than numbers are text."""
    others = [name for name in (hp.target, hp.split_column, *(hp.ignore or [])) if name is not None]
    named = [*others, *(hp.numeric or []), *(hp.categorical or [])]
    require(frame, named)
    rest = [name for name in map(str, frame) if name not in named]
    text = [name for name in rest if pd.to_numeric(frame[name], errors="coerce").count() < frame[name].count() / 2]
    text = text if hp.categorical is None else hp.categorical
    numeric = [name for name in rest if name not in text] if hp.numeric is None else hp.numeric
    return ([*numeric, hp.target], text) if regression else (numeric, [*text, hp.target])


def split_rows(frame: pd.DataFrame, hp: Any, classes: str | None) -> dict[str, pd.DataFrame]:
    """The rows of each split, in random order, so that no batch of a sorted table is of one class.

    Args:
        frame: all rows.
        hp: has `target`, and `split_column`, or `test_fraction`, `val_fraction` and `split_seed`.
        classes: the column whose values keep their shares in what is cut off; for a classification.
    """
    rows = {"train": frame, "test": frame[:0], "val": frame[:0]}
    if hp.split_column:
        refuse(~frame[[hp.split_column]].isin(list(rows)), frame, "is no split; write train, val or test")
        rows = {name: frame[frame[hp.split_column] == name] for name in rows}
    for name, fraction in (("test", hp.test_fraction), ("val", hp.val_fraction)):
        if rows[name].empty:
            train = rows["train"]
            share = min(1.0, max(0.0, fraction * len(frame) / max(1, len(train))))
            groups = train.groupby(classes) if classes else train
            rows[name] = groups.sample(frac=share, random_state=hp.split_seed)
            rows["train"] = train.drop(rows[name].index)
    counts = rows["train"][hp.target].value_counts()
    if min(map(len, rows.values())) < 2 or len(counts) < 2 or (classes and counts.min() < 2):
        sizes = ", ".join(f"{name} {len(part)}" for name, part in rows.items())
        needs = f"a split takes 2, and train 2 values of {hp.target!r}" + ", each class of it 2 rows" * bool(classes)
        raise UserError(f"too few rows ({sizes}): {needs}; add some, or see data.problem and data.*_fraction")
    return {name: part.sample(frac=1, random_state=hp.split_seed) for name, part in rows.items()}


def require(frame: pd.DataFrame, names: list[str]) -> None:
    """Refuse a table that lacks one of the columns, and a column that is named twice."""
    for name in names:
        if name not in frame:
            there = list(map(str, frame))
            close = "".join(f"did you mean {other!r}? " for other in get_close_matches(name, there, n=1))
            raise UserError(f"{frame.index.name} has no column {name!r}; {close}it has {', '.join(there)}")
        if names.count(name) > 1:
            raise UserError(f"data gives column {name!r} two roles; leave it one")


def refuse(wrong: pd.DataFrame, frame: pd.DataFrame, reason: str) -> None:
    """Refuse a table with values marked wrong: name the first, its column, and the rows that have such."""
    for name in wrong.columns[wrong.any()]:
        values = frame[name][wrong[name]].sort_index()
        rows = ", ".join(map(str, values.index[:5])) + (", ..." if len(values) > 5 else "")
        value = "nothing" if pd.isna(values.iloc[0]) else repr(values.iloc[0])
        raise UserError(f"{frame.index.name}, column {name!r}, row {rows} (the header is 1): {value} {reason}")


def typed(frame: pd.DataFrame, numbers: list[str], text: list[str]) -> pd.DataFrame:
    """The columns of numbers in float64, the others as text; columns without a role are left out."""
    values: pd.DataFrame = frame[numbers].apply(pd.to_numeric, errors="coerce").astype("float64")
    wrong = (values.isna() & frame[numbers].notna()) | np.isinf(values)
    refuse(wrong, frame, "is no finite number; correct it, or see data.categorical, data.ignore, data.problem")
    return values.join(frame[text].astype("string"))


def find(frame: pd.DataFrame, known: list[list[str]], reason: str = "") -> np.ndarray:
    """Indices (rows, columns) of the values of text columns among those known, -1 for missing and other
    values; a reason refuses the latter."""
    found = [pd.Index(values).get_indexer(pd.Index(frame[name])) for name, values in zip(frame, known)]
    index = np.array(found, np.int64).reshape(-1, len(frame)).T
    if reason:
        refuse(frame.notna() & (index < 0), frame, reason)
    return index


def scale(column: pd.Series) -> list[float]:
    """Mean and standard deviation, in the digits that all machines agree on."""
    return [float(f"{value:.9g}") for value in (column.mean(), column.std())]


def standardise(values: pd.DataFrame, scales: list[list[float]]) -> np.ndarray:
    """In standard deviations from the mean, which stands in for what is missing."""
    mean, std = np.array(scales).reshape(-1, 2).T
    return pd.DataFrame((values - mean) / std).fillna(0).to_numpy(np.float32)
