"""Tables: scikit-learn's to start with, or your own. Yours: updates of the template leave it alone."""

from functools import cached_property
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from sklearn.datasets import load_breast_cancer, load_diabetes
from torch.utils.data import DataLoader

from .harness import UserError
from .harness.loaders import make_loader
from .harness.tables import Rows, assign_roles, find, read_table, refuse, require, scale, split_rows, standardise, typed


class DataModule(LightningDataModule):
    """One of scikit-learn's tables, a CSV file with a header, or a Parquet file.

    A missing number is taken for the training mean, a missing category for index 0, the unknown. A
    column of numbers that are all the same in the training rows is left out. Rows are numbered as a
    spreadsheet does, the header being row 1; empty rows are skipped.

    Args:
        dataset: what is used where there is no path; its target is called `target`.
        path: a table, .csv or Parquet.
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
        num_workers: loader processes; default: none, since the table is in memory.

    Raises:
        UserError: for a table that cannot be used, when a fact is read or data are prepared.
    """

    hparams: Any

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
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.regression = problem == "regression" or (problem is None and not path and dataset == "diabetes")

    @cached_property
    def rows(self) -> dict[str, pd.DataFrame]:
        """The rows of each split, with typed columns: inputs and target."""
        hp = self.hparams
        frame = read_table(hp.path) if hp.path else read_embedded(hp.dataset)
        self.numeric, text = assign_roles(frame, hp, self.regression)
        refuse(frame[[hp.target]].isna(), frame, "is no target; fill it in, or take the row out")
        rows = split_rows(frame, hp, None if self.regression else hp.target)
        return {name: typed(part, self.numeric, text) for name, part in rows.items()}

    # Facts: what the training rows say, for the model to keep.

    @cached_property
    def columns(self) -> list[str]:
        columns = self.rows["train"].drop(columns=self.hparams.target)
        names = [name for name in columns if name not in self.numeric or columns[name].nunique() > 1]
        if not columns[names].notna().any(axis=None):
            raise UserError("no column to learn from: see data.numeric, data.categorical and data.ignore")
        return names

    @cached_property
    def scales(self) -> list[list[float]]:
        return [scale(self.rows["train"][name]) for name in self.columns if name in self.numeric]

    @cached_property
    def categories(self) -> list[list[str]]:
        return [sorted(self.rows["train"][name].dropna().unique()) for name in self.columns[len(self.scales) :]]

    @cached_property
    def class_names(self) -> list[str]:
        return [] if self.regression else sorted(self.rows["train"][self.hparams.target].unique())

    @cached_property
    def target_scale(self) -> list[float]:
        return scale(self.rows["train"][self.hparams.target]) if self.regression else [0.0, 1.0]

    @cached_property
    def tables(self) -> dict[str, Rows]:
        hp = self.hparams
        new = {"predict": encode(read_table(hp.predict_path), self, hp.unseen_categories)} if hp.predict_path else {}
        return new | {name: encode(rows, self, hp.unseen_categories, hp.target) for name, rows in self.rows.items()}

    def prepare_data(self) -> None:
        self.predict_dataloader()  # encodes all rows, so that a bad one shows before training

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.tables["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.tables["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.tables["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.tables.get("predict", self.tables["test"]), self)


def encode(frame: pd.DataFrame, facts: Any, unseen: str = "refuse", target: str | None = None) -> Rows:
    """`row` (B,), its number, `numbers` (B, N), in standard deviations from the mean, `categories` (B, C),
    indices from 1, 0 for unknown, and `target` (B,), an index from 0, or a number like the others.

    Args:
        frame: from `read_table`.
        facts: a DataModule, or a checkpoint's hyperparameters, which need no training rows:
            `encode(read_table("new.csv"), Model.load_from_checkpoint(path).hparams)`.
        unseen: `refuse` categories that no training row has, or `ignore` them.
        target: the column to predict, if it is there.
    """
    require(frame, facts.columns)
    numeric, categorical = facts.columns[: len(facts.scales)], facts.columns[len(facts.scales) :]
    values = typed(frame, numeric, categorical)
    reason = "is in no training row; add some, or set data.unseen_categories: ignore" if unseen == "refuse" else ""
    index = find(values[categorical], facts.categories, reason)
    columns = {"row": frame.index, "categories": index + 1, "numbers": standardise(values[numeric], facts.scales)}
    if target and facts.class_names:
        columns["target"] = find(frame[[target]], [facts.class_names], "is in no training row; add some")[:, 0]
    elif target:
        columns["target"] = standardise(frame[[target]], [facts.target_scale])[:, 0]
    return Rows({name: torch.tensor(column) for name, column in columns.items()})


def read_embedded(name: str) -> pd.DataFrame:
    """569 breast masses (Wolberg et al., UCI, 1995), or 442 diabetes patients (Efron et al., 2004)."""
    data: Any = load_diabetes(as_frame=True, scaled=False) if name == "diabetes" else load_breast_cancer(as_frame=True)
    frame = data.frame if name == "diabetes" else data.frame.assign(target=data.target_names[data.target])
    return frame.set_index(pd.RangeIndex(2, len(frame) + 2, name=name))
