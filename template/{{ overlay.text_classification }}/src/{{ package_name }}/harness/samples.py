# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Texts with labels, of tables or a Hub dataset, and what is wrong with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from . import Faults
from .hub import fetch_rows
from .tables import read_table, refuse, require, some

KINDS = (".csv", ".jsonl", ".parquet")
SPLITS = ("train", "val", "test")


class Sample(NamedTuple):
    """A text with its label; `place` says where it is, and what is of one group stays in one split."""

    place: str
    text: str
    label: str
    group: str


def read_files(path: Path, hp: Any, faults: Faults) -> dict[str, list[Sample]]:
    """The good samples of each split: of a file, by its split column if it has one; of a folder, by file."""
    if not path.is_dir():
        return read_file(path, hp, faults)
    splits: dict[str, list[Sample]] = {}
    for file in sorted(file for file in path.iterdir() if file.suffix.lower() in KINDS):
        if file.stem not in SPLITS or file.stem in splits:
            faults.append(f"{file}: a folder has one file for each of train, val and test; rename it, or move it away")
        else:
            splits[file.stem] = []
            splits |= read_file(file, hp, faults, file.stem)
    if "train" not in splits:
        faults.append(f"{path} has no train.csv, .jsonl or .parquet: add it, or set another data.path")
    return splits


def read_file(path: Path, hp: Any, faults: Faults, split: str = "") -> dict[str, list[Sample]]:
    """The good samples of a table; see `select`."""
    with faults:
        return select(read_table(str(path), faults), hp, faults, split)
    return {}


def read_hub(name: str, hp: Any, faults: Faults) -> dict[str, list[Sample]]:
    """The good samples of a Hub dataset; a split without a single label, as some tests are, is left out."""
    splits: dict[str, list[Sample]] = {}
    for split, rows in fetch_rows(name).items():
        frame, features = rows.to_pandas(), rows.features
        if names := getattr(features.get(hp.label_column), "names", None):  # -1 stands for none
            frame[hp.label_column] = frame[hp.label_column].map(dict(enumerate(names)))
        frame = frame.convert_dtypes().set_axis(pd.RangeIndex(2, len(frame) + 2, name=f"data.hub={name}, {split}"))
        if split in SPLITS and (hp.label_column not in frame or frame[hp.label_column].notna().any()):
            with faults:
                splits |= select(frame, hp, faults, split)
    if "train" not in splits:
        faults.append(f"data.hub={name} has no train split with labels: choose another")
    return splits


def select(frame: pd.DataFrame, hp: Any, faults: Faults, split: str) -> dict[str, list[Sample]]:
    """The good samples by split: all are of the one given, or of that which the split column says, or of `train`.

    Those of the split `predict` need no label.
    """
    columns = {"text": hp.text_column} | ({} if split == "predict" else {"label": hp.label_column})
    columns |= {"split": hp.split_column} if hp.split_column and not split else {}
    require(frame, list(columns.values()))
    bad = pd.Series(False, frame.index)
    for kind, name in columns.items():
        for wrong, reason in broken_rules(kind, frame[name]):
            with faults:
                refuse(wrong.to_frame(name), frame[[name]].astype("string"), reason)
            bad |= wrong
    splits: dict[str, list[Sample]] = {}
    good = frame.loc[~bad, list(columns.values())].astype("string").set_axis(list(columns), axis=1)
    for row, values in zip(good.index, good.to_dict("records")):
        sample = Sample(f"{frame.index.name}:{row}", values["text"], values.get("label", ""), values["text"])
        splits.setdefault(values.get("split", split or "train"), []).append(sample)
    return splits


def broken_rules(kind: str, column: pd.Series) -> Iterator[tuple[pd.Series, str]]:
    """Which values of a column of texts, labels or splits break which rule."""
    fix, missing = f"write its {kind}, or take the row out", column.isna()
    yield missing, f"is no {kind}: {fix}"
    if kind == "split":
        yield ~missing & ~column.isin(SPLITS), "is no split: write train, val or test"
        return
    if kind == "text" and not isinstance(column.dtype, pd.StringDtype):
        yield ~missing, "is a number, and no text: put it in quotes, or see data.text_column"
        return
    values = column.astype("string").fillna("-")
    stripped = values.str.strip()
    yield stripped == "", f"is blank: {fix}"
    yield values.str.contains("\0", regex=False), "has a NUL, which is no text: take it out"
    if kind == "label":
        yield (stripped != values) & (stripped != ""), "has space around it, and would be another class: take it out"


def check_labels(splits: dict[str, list[Sample]], faults: Faults) -> None:
    """Two classes at least, none that only other splits than `train` have, and one label for a text."""
    classes = {sample.label for sample in splits.get("train", [])}
    if len(classes) == 1:
        faults.append(f"train has one class alone, {min(classes)!r}: add texts of another, or see data.label_column")
    seen: dict[str, Sample] = {}
    unknown: dict[str, str] = {}
    torn = []
    for split, samples in splits.items():
        for sample in samples:
            first = seen.setdefault(sample.text, sample)
            if first.label != sample.label:
                labels = f"the labels {first.label!r} and {sample.label!r}; correct one, or take it out"
                torn.append(f"{first.place} and {sample.place}: one text has {labels}")
            if classes and sample.label not in classes:
                reason = f"{split} has class {sample.label!r}, and train has not; add some there, or correct it"
                unknown.setdefault(sample.label, f"{sample.place}: {reason}")
    faults.extend([*some(torn, "data", "texts"), *unknown.values()])
