"""Tables: scikit-learn's to start with, or your own. Yours: updates of the template leave it alone."""

from functools import cached_property
from types import SimpleNamespace
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from sklearn.datasets import load_breast_cancer, load_diabetes
from torch.utils.data import DataLoader

from .harness import Faults, note_imbalance, note_leaks
from .harness.loaders import make_loader
from .harness.tables import Rows, assign_roles, find, read_table, refuse, require, scale, split_rows, standardise, typed


class DataModule(LightningDataModule):
    """One of scikit-learn's tables, a CSV file with a header, a Parquet file, or JSONL, an object in each line.

    A missing number is taken for the training mean, a missing category for index 0, the unknown. A
    column of numbers that are all the same in the training rows is left out. Rows are numbered as a
    spreadsheet does, the header being row 1, or by their lines in JSONL; empty rows are skipped.

    Args:
        dataset: what is used where there is no path; its target is called `target`.
        path: a table, .csv, .jsonl or Parquet.
        predict_path: rows to predict, with a target or without; default: the test split.
        problem: default: the dataset's, and classification for your own table.
        target: the column to predict.
        categorical: columns of categories; default: those with more text than numbers.
        numeric: columns of numbers; default: those that have no other role.
        ignore: columns to leave out, such as identifiers.
        split_column: says `train`, `val` or `test`; a split that it lacks is cut from `train`.
        unseen_categories: `refuse` those that no training row has, or `ignore` them: take them for missing.
        batch_size: rows of a step, over all devices.
        val_fraction: share of all rows that is cut from `train`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the classes' shares.
        folds: for cross-validation, so many equal parts of `train`, of which one is `test`; 0: none.
        fold: which one, from 0.
        num_workers: loader processes; default: none, since the table is in memory.

    Raises:
        UserError: for a table that cannot be used, when a fact is read or data are prepared.
    """

    hparams: Any
    known: Any = None  # a checkpoint's facts, with which to predict takes no training rows

    def __init__(
        self,
        dataset: Literal["breast_cancer", "diabetes"] = "breast_cancer",
        path: str | None = None,
        predict_path: str | None = None,
        problem: Literal["classification", "regression"] | None = None,
        target: str = "target",
        categorical: list[str] | None = None,
        numeric: list[str] | None = None,
        ignore: list[str] | None = None,
        split_column: str | None = None,
        unseen_categories: Literal["refuse", "ignore"] = "refuse",
        batch_size: int = 64,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        folds: int = 0,
        fold: int = 0,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.regression = problem == "regression" or (problem is None and not path and dataset == "diabetes")

    @cached_property
    def table(self) -> tuple[dict[str, pd.DataFrame], SimpleNamespace]:
        """The rows of each split, with typed columns, and what `train` says, when nothing is wrong with any row."""
        hp, faults = self.hparams, Faults()
        frame = read_table(hp.path, faults) if hp.path else read_embedded(hp.dataset)
        self.numeric, text = assign_roles(frame, hp, self.regression, faults)
        values = typed(frame, self.numeric, text, faults)
        if not {hp.target, hp.split_column or hp.target} <= {*frame}:
            faults.refuse()  # these, by now
        with faults:
            refuse(frame[[hp.target]].isna(), frame, "is no target; fill it in, or take the row out")
        parts = split_rows(frame, hp, None if self.regression else hp.target, faults)
        rows = {name: values.loc[part.index] for name, part in parts.items()}
        facts = learn(rows["train"], self.numeric, hp.target, self.regression, faults)
        for name in ("val", "test") if rows["train"][hp.target].count() else ():
            encode(rows[name], facts, hp.unseen_categories, hp.target, faults)
        if hp.predict_path:
            with faults:
                encode(read_table(hp.predict_path, faults), facts, hp.unseen_categories, None, faults)
        if hp.path:
            note_imbalance([] if self.regression else rows["train"][hp.target].dropna().tolist())
            note_leaks({name: contents(part) for name, part in rows.items()})
        faults.refuse()
        return rows, facts

    @property
    def rows(self) -> dict[str, pd.DataFrame]:
        return self.table[0]

    @property
    def facts(self) -> SimpleNamespace:
        return SimpleNamespace(**self.known) if self.known else self.table[1]

    # What the training rows say, for the model to keep.
    columns = property(lambda self: self.facts.columns)
    scales = property(lambda self: self.facts.scales)
    categories = property(lambda self: self.facts.categories)
    class_names = property(lambda self: self.facts.class_names)
    target_scale = property(lambda self: self.facts.target_scale)

    @cached_property
    def tables(self) -> dict[str, Rows]:
        hp = self.hparams
        return {name: encode(part, self, hp.unseen_categories, hp.target) for name, part in self.rows.items()}

    def prepare_data(self) -> None:
        self.predict_dataloader() if self.known else self.tables

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.tables["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.tables["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.tables["test"], self)

    def predict_dataloader(self) -> DataLoader:
        """All columns of what is predicted go with it, for people to read."""
        hp, faults = self.hparams, Faults()
        new = read_table(hp.predict_path, faults) if hp.predict_path else self.rows["test"]
        encoded = encode(new, self, hp.unseen_categories, None, faults)
        faults.refuse()
        cells = new.astype(object).where(new.notna(), "")
        encoded.columns |= {f"input {name}": cells[name].to_numpy() for name in cells}
        return make_loader(encoded, self)


def learn(train: pd.DataFrame, numeric: list[str], target: str, regression: bool, faults: Faults) -> SimpleNamespace:
    """What the training rows say; a table without a column that says anything is a fault."""
    inputs = train.drop(columns=target)
    names = [str(name) for name in inputs if name not in numeric or inputs[name].nunique() > 1]
    if len(train) and not inputs[names].notna().any(axis=None):
        faults.append("no column to learn from: see data.numeric, data.categorical and data.ignore")
    return SimpleNamespace(
        columns=names,
        scales=[scale(train[name]) for name in names if name in numeric],
        categories=[sorted(train[name].dropna().unique()) for name in names if name not in numeric],
        class_names=[] if regression else sorted(train[target].dropna().unique()),
        target_scale=scale(train[target]) if regression else [0.0, 1.0],
    )


def contents(rows: pd.DataFrame) -> dict[str, int]:
    """A hash of each row's inputs and target."""
    hashes = pd.util.hash_pandas_object(rows, index=False)
    return {f"row {row}": value for row, value in hashes.items()}


def encode(
    frame: pd.DataFrame, facts: Any, unseen: str = "refuse", target: str | None = None, faults: Faults | None = None
) -> Rows:
    """`row` (B,), its number, `numbers` (B, N), in standard deviations from the mean, `categories` (B, C),
    indices from 1, 0 for unknown, and `target` (B,), an index from 0, or a number like the others.

    Args:
        frame: from `read_table`.
        facts: a DataModule, or a checkpoint's hyperparameters, which need no training rows:
            `encode(read_table("new.csv"), Model.load_from_checkpoint(path).hparams)`.
        unseen: `refuse` categories that no training row has, or `ignore` them.
        target: the column to predict, if it is there.
        faults: gathers what is wrong; for None it is raised.
    """
    columns, count, found = facts.columns, len(facts.scales), Faults() if faults is None else faults
    with found:
        require(frame, columns)
    frame = frame.reindex(columns=[*columns, *([target] if target else [])])
    values = typed(frame, columns[:count], columns[count:], found)
    reason = "is in no training row; add some"
    refused = f"{reason}, or set data.unseen_categories: ignore" if unseen == "refuse" else ""
    encoded: dict[str, Any] = {"row": frame.index, "numbers": standardise(values[columns[:count]], facts.scales)}
    encoded["categories"] = find(values[columns[count:]], facts.categories, refused, found) + 1
    if target and facts.class_names:
        encoded["target"] = find(frame[[target]], [facts.class_names], reason, found)[:, 0]
    elif target:
        encoded["target"] = standardise(frame[[target]], [facts.target_scale])[:, 0]
    if faults is None:
        found.refuse()
    return Rows({name: torch.tensor(column) for name, column in encoded.items()})


def read_embedded(name: str) -> pd.DataFrame:
    """569 breast masses (Wolberg et al., UCI, 1995), or 442 diabetes patients (Efron et al., 2004)."""
    data: Any = load_diabetes(as_frame=True, scaled=False) if name == "diabetes" else load_breast_cancer(as_frame=True)
    frame = data.frame if name == "diabetes" else data.frame.assign(target=data.target_names[data.target])
    return frame.set_index(pd.RangeIndex(2, len(frame) + 2, name=name))
