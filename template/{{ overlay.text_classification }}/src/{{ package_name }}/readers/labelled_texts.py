# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Labelled texts, read from tables or from a Hub dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ..harness.errors import ErrorCollector
from ..harness.splits import SPLITS
from .hub import load_hub_splits
from .table_checks import require_columns
from .tables import FIRST_ROW, read_table
from .text_checks import check_labels, check_splits, check_texts

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")


class Sample(NamedTuple):
    """A text with its label.

    `place` is where it is, as FILE:ROW. Samples of one `group` stay in one split.
    """

    place: str
    text: str
    label: str = ""
    group: str = ""


Splits = dict[str, list[Sample]]


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns; None for those that are not read."""

    text: str
    label: str | None = None
    split: str | None = None

    def names(self) -> list[str]:
        names = [self.text]
        if self.label is not None:
            names.append(self.label)
        if self.split is not None:
            names.append(self.split)
        return names

    def without_split(self) -> "Columns":
        return Columns(self.text, self.label)


def read_path(path: Path, columns: Columns, errors: ErrorCollector) -> Splits:
    """The samples of a table, or of a folder with one table for each split."""
    if path.is_dir():
        return read_folder(path, columns.without_split(), errors)
    return read_file(path, columns, errors)


def read_folder(folder: Path, columns: Columns, errors: ErrorCollector) -> Splits:
    """The samples of `train.csv`, `val.csv` and `test.csv`, or tables of the other kinds."""
    splits: Splits = {}
    for file in sorted(folder.iterdir()):
        split = file.stem
        if file.suffix.lower() not in TABLE_SUFFIXES:
            continue
        if split not in SPLITS or split in splits:
            errors.append(
                f"{file}: a folder must have one table for each of train, val and test;"
                " rename or remove it"
            )
        else:
            samples = read_file(file, columns, errors)
            splits[split] = samples.get("train", [])
    if "train" not in splits:
        errors.append(
            f"{folder}: there is no train.csv, train.jsonl or train.parquet;"
            " add it, or set another data.path"
        )
    return splits


def read_file(file: Path, columns: Columns, errors: ErrorCollector) -> Splits:
    """The samples of a table by its split column, or all of them as `train`."""
    with errors:
        frame = read_table(str(file), errors)
        return select_samples(frame, columns, errors)
    return {}


def read_hub(name: str, columns: Columns, errors: ErrorCollector) -> Splits:
    """The samples of a Hub dataset; a split without labels, as some tests are, is left out.

    Raises:
        UserError: if the dataset cannot be loaded.
    """
    splits: Splits = {}
    for split, rows in load_hub_splits(name).items():
        if split not in SPLITS:
            continue
        frame = make_frame(rows, columns.label, place=f"data.hub={name}, {split}")
        if columns.label in frame and frame[columns.label].isna().all():
            continue
        with errors:
            samples = select_samples(frame, columns.without_split(), errors)
            splits[split] = samples.get("train", [])
    if "train" not in splits:
        errors.append(f"data.hub={name}: there is no train split with labels; choose another")
    return splits


def make_frame(rows: Any, label_column: str | None, place: str) -> pd.DataFrame:
    """The rows of a Hub dataset as `read_table` would give them, with class names as labels."""
    frame = rows.to_pandas()
    label_feature = rows.features.get(label_column)
    class_names = getattr(label_feature, "names", None)
    if class_names:
        # -1, which stands for no label, has no name, and so becomes a missing value.
        names_by_number = dict(enumerate(class_names))
        frame[label_column] = frame[label_column].map(names_by_number)
    end_row = FIRST_ROW + len(frame)
    frame.index = pd.RangeIndex(FIRST_ROW, end_row, name=place)
    return frame.convert_dtypes()


def select_samples(frame: pd.DataFrame, columns: Columns, errors: ErrorCollector) -> Splits:
    """The rows without errors, by the split that their row names, or all of them as `train`.

    Raises:
        UserError: if a column does not exist.
    """
    names = columns.names()
    require_columns(frame, names)
    is_wrong = check_texts(frame[columns.text], errors)
    if columns.label is not None:
        is_wrong |= check_labels(frame[columns.label], errors)
    if columns.split is not None:
        is_wrong |= check_splits(frame[columns.split], errors)
    good = frame.loc[~is_wrong, names].astype("string")
    records = good.to_dict("records")
    splits: Splits = {}
    for row, values in zip(good.index, records):
        text = values[columns.text]
        label = values[columns.label] if columns.label else ""
        split = values[columns.split] if columns.split else "train"
        place = f"{frame.index.name}:{row}"
        sample = Sample(place, text, label, group=text)
        splits.setdefault(split, []).append(sample)
    return splits
