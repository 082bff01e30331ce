"""Rows of a table. Yours: updates of the template leave this file alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from sklearn.datasets import load_breast_cancer, load_diabetes
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .harness.errors import ErrorCollector
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.splits import note_imbalance
from .readers.columns import (
    Roles,
    assign_roles,
    convert_columns,
    find_categories,
    mean_and_std,
    standardise,
)
from .readers.row_splits import note_shared_rows, split_rows
from .readers.table_checks import report_column, report_columns, require_columns
from .readers.tables import FIRST_ROW, read_table

MISSING_TARGET = "the target is missing; fill it in or remove the row"
UNSEEN_CLASS = "class {value} is in no training row; add such rows or correct it"
UNSEEN_CATEGORY = (
    "{value} is in no training row; "
    "add such rows, correct it, or set data.unseen_categories to ignore"
)


Columns = dict[str, Tensor | np.ndarray]


@dataclass(frozen=True)
class Facts:
    """Learned from the training rows; the model keeps it, to encode other rows in the same way."""

    columns: list[str]  # inputs, numbers first
    scales: list[list[float]]  # mean and standard deviation of each numeric column
    categories: list[list[str]]  # the values of each other column
    class_names: list[str]  # empty for regression
    target_scale: list[float]  # mean and standard deviation of the target, for regression


class Rows(Dataset):
    """Encoded rows in memory.

    A batch is a dict of columns; B is the number of rows in it:

        row (B,): int64, number of the row in its file.
        numbers (B, N): float32, in standard deviations from the mean of the training rows.
        categories (B, C): int64, index in the column's categories plus 1; 0 if missing or unknown.
        target (B,): int64, index of the class, or float32, standardised; not in rows to predict.
        "input NAME" (B,): cells of column NAME as in the file; in rows to predict only.
    """

    in_memory = True

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["row"])

    def __getitems__(self, indices: list[int]) -> Columns:
        return {name: column[indices] for name, column in self.columns.items()}


@dataclass(frozen=True)
class LoadedTable:
    """The training table; `rows` and `datasets` hold the same rows for each split."""

    rows: dict[str, pd.DataFrame]  # numbers, and text in categorical columns
    datasets: dict[str, Rows]
    facts: Facts


class DataModule(LightningDataModule):
    """A table: one of scikit-learn's, or a CSV file with a header, a JSONL file or a Parquet file.

    A missing number is replaced by the training mean, a missing category by index 0, which stands
    for unknown. A numeric column with one value in all training rows is left out. Rows are
    numbered as in a spreadsheet (the header is row 1), or by lines in JSONL; empty rows are
    skipped. Batches are described in `Rows`.

    Args:
        dataset: table to use if there is no `path`; its target is called `target`.
        path: a .csv, .jsonl or Parquet file.
        predict_path: rows for `predict`, with a target or without; by default the test split.
        problem: by default that of `dataset`, and classification for your own table.
        target: the column to predict.
        categorical: columns of categories; by default those with more text than numbers.
        numeric: columns of numbers; by default those without another role.
        ignore: columns to leave out, such as identifiers.
        split_column: column that says `train`, `val` or `test`; a split without rows is held out
            from `train`.
        unseen_categories: `refuse` categories that no training row has, or `ignore` them, which
            treats them as missing.
        batch_size: rows per batch, summed over all devices.
        val_fraction: share of all rows held out for validation if the data has no `val` split.
        test_fraction: share of all rows held out for testing if the data has no `test` split.
        split_seed: seed of the random split, which keeps the proportions of the classes.
        folds: number of cross-validation folds; 0 disables.
        fold: index of the fold that is the test split, from 0.
        num_workers: loader processes; by default chosen for the data and the machine.

    Raises:
        UserError: if the table cannot be used, when the data is prepared or a fact is read.
    """

    hparams: Any
    # The harness sets this to a checkpoint's hyperparameters for `predict` with `predict_path`.
    known: dict[str, Any] | None = None

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
        batch_size: Annotated[int, Range(min=1)] = 64,
        val_fraction: Annotated[float, Range(min=0)] = 0.2,
        test_fraction: Annotated[float, Range(min=0)] = 0.2,
        split_seed: Annotated[int, Range(min=0)] = 0,
        folds: Annotated[int, Range(min=0)] = 0,
        fold: Annotated[int, Range(min=0)] = 0,
        num_workers: Annotated[int | None, Range(min=0)] = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if problem is None:
            self.regression = not path and dataset == "diabetes"
        else:
            self.regression = problem == "regression"

    # Facts: they fill in the Model's parameters of the same names.

    @property
    def columns(self) -> list[str]:
        return self.facts.columns

    @property
    def scales(self) -> list[list[float]]:
        return self.facts.scales

    @property
    def categories(self) -> list[list[str]]:
        return self.facts.categories

    @property
    def class_names(self) -> list[str]:
        return self.facts.class_names

    @property
    def target_scale(self) -> list[float]:
        return self.facts.target_scale

    @property
    def facts(self) -> Facts:
        if self.known is None:
            return self.table.facts
        return Facts(
            columns=self.known["columns"],
            scales=self.known["scales"],
            categories=self.known["categories"],
            class_names=self.known["class_names"],
            target_scale=self.known["target_scale"],
        )

    # Loaders

    def prepare_data(self) -> None:
        """Read and check all rows, so that errors are reported before training."""
        if self.known:
            _ = self.predict_dataset  # takes no training rows
            return
        _ = self.table

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.table.datasets["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.table.datasets["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.table.datasets["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.predict_dataset, self)

    # Reading

    @property
    def rows(self) -> dict[str, pd.DataFrame]:
        """The rows of each split."""
        return self.table.rows

    @cached_property
    def predict_dataset(self) -> Rows:
        """The encoded rows of `predict_path`, or of the test split, and their cells."""
        facts = self.facts
        if not self.hparams.predict_path:
            return encode_with_cells(self.rows["test"], facts, self.hparams.unseen_categories)
        errors = ErrorCollector()
        dataset = self.read_rows_to_predict(facts, errors)
        errors.raise_if_any()
        return dataset

    @cached_property
    def table(self) -> LoadedTable:
        """The training table, read and checked; `predict_path` is checked along with it.

        Raises:
            UserError: with a line for each error.
        """
        options = self.hparams
        errors = ErrorCollector()
        rows, roles = self.read_splits(errors)
        train = rows["train"]
        facts = learn_facts(train, roles, options.target, self.regression, errors)
        if train[options.target].isna().all():
            errors.raise_if_any()  # without training rows, every category would be unseen
        datasets = {}
        for name, part in rows.items():
            datasets[name] = encode(
                part,
                facts,
                unseen=options.unseen_categories,
                target=options.target,
                errors=errors,
            )
        if options.predict_path:
            with errors:
                self.read_rows_to_predict(facts, errors)
        if options.path:
            if not self.regression:
                note_imbalance(train[options.target].dropna().tolist())
            note_shared_rows(rows)
        errors.raise_if_any()
        return LoadedTable(rows, datasets, facts)

    def read_splits(self, errors: ErrorCollector) -> tuple[dict[str, pd.DataFrame], Roles]:
        """The rows of each split with typed columns, and the roles of the columns.

        Raises:
            UserError: if the file cannot be read, or lacks the target or the split column.
        """
        options = self.hparams
        frame = self.read_frame(errors)
        roles = assign_roles(frame, options, self.regression, errors)
        typed = convert_columns(frame, roles, errors)
        for name in (options.target, options.split_column):
            if name and name not in frame:
                errors.raise_if_any()  # `assign_roles` has reported it
        target = frame[options.target]
        report_column(target, target.isna(), MISSING_TARGET, errors)
        class_column = None if self.regression else options.target
        splits = split_rows(frame, options, class_column, errors)
        return {name: typed.loc[part.index] for name, part in splits.items()}, roles

    def read_frame(self, errors: ErrorCollector) -> pd.DataFrame:
        if self.hparams.path:
            return read_table(self.hparams.path, errors)
        return read_embedded(self.hparams.dataset)

    def read_rows_to_predict(self, facts: Facts, errors: ErrorCollector) -> Rows:
        frame = read_table(self.hparams.predict_path, errors)
        return encode_with_cells(frame, facts, self.hparams.unseen_categories, errors)


def learn_facts(
    train: pd.DataFrame,
    roles: Roles,
    target: str,
    regression: bool,
    errors: ErrorCollector,
) -> Facts:
    """Learn from the training rows; a table without any input is reported."""
    numeric = []
    for name in roles.numeric:
        if name != target and train[name].nunique() > 1:
            numeric.append(name)
    text = [name for name in roles.text if name != target]
    columns = [*numeric, *text]
    if len(train) and train[columns].isna().all(axis=None):
        errors.append(
            "data: there is no column to learn from; "
            "see data.numeric, data.categorical and data.ignore"
        )
    class_names = []
    target_scale = [0.0, 1.0]
    if regression:
        target_scale = mean_and_std(train[target])
    else:
        class_names = sorted(train[target].dropna().unique())
    return Facts(
        columns=columns,
        scales=[mean_and_std(train[name]) for name in numeric],
        categories=[sorted(train[name].dropna().unique()) for name in text],
        class_names=class_names,
        target_scale=target_scale,
    )


def encode(
    frame: pd.DataFrame,
    facts: Any,
    unseen: str = "refuse",
    target: str | None = None,
    errors: ErrorCollector | None = None,
) -> Rows:
    """Encode rows for the model.

    A checkpoint is enough to encode new rows:
    `encode(read_table("new.csv"), Model.load_from_checkpoint(path).hparams)`.

    Args:
        frame: from `read_table`.
        facts: `Facts`, or anything with these attributes, such as a checkpoint's hyperparameters.
        unseen: `refuse` categories that no training row has, or `ignore` them.
        target: the column to predict, if `frame` has it.
        errors: to which lines on columns and values are added. By default they are raised.

    Raises:
        UserError: without `errors`, if a column is missing or a value cannot be used.
    """
    collected = ErrorCollector() if errors is None else errors
    with collected:
        require_columns(frame, facts.columns)
    roles = Roles(
        numeric=facts.columns[: len(facts.scales)],
        text=facts.columns[len(facts.scales) :],
    )
    # A missing column becomes missing values, so that the other columns are checked as well.
    inputs = convert_columns(frame.reindex(columns=facts.columns), roles, collected)
    text = inputs[roles.text]
    categories = find_categories(text, facts.categories)
    if unseen == "refuse":
        report_columns(text, text.notna() & (categories < 0), UNSEEN_CATEGORY, collected)
    columns: Columns = {
        "row": torch.tensor(frame.index.to_numpy()),
        "numbers": torch.tensor(standardise(inputs[roles.numeric], facts.scales)),
        "categories": torch.tensor(categories + 1),
    }
    if target is not None:
        columns["target"] = encode_target(frame[target], facts, collected)
    if errors is None:
        collected.raise_if_any()
    return Rows(columns)


def encode_target(column: pd.Series, facts: Any, errors: ErrorCollector) -> Tensor:
    """Indices of classes (rows,), int64, or standardised numbers (rows,), float32."""
    if not facts.class_names:
        return torch.tensor(standardise(column.to_frame(), [facts.target_scale])[:, 0])
    indices = find_categories(column.to_frame(), [facts.class_names])[:, 0]
    report_column(column, column.notna() & (indices < 0), UNSEEN_CLASS, errors)
    return torch.tensor(indices)


def encode_with_cells(
    frame: pd.DataFrame,
    facts: Facts,
    unseen: str,
    errors: ErrorCollector | None = None,
) -> Rows:
    """Encode rows to predict, and keep all their cells, which predictions.csv shows."""
    columns = encode(frame, facts, unseen, errors=errors).columns
    for name in frame:
        cells = frame[name].astype(object)
        columns[f"input {name}"] = cells.where(cells.notna(), "").to_numpy()
    return Rows(columns)


def read_embedded(name: str) -> pd.DataFrame:
    """Read 569 breast masses (Wolberg, UCI, 1995) or 442 diabetes patients (Efron, 2004)."""
    if name == "diabetes":
        patients: Any = load_diabetes(as_frame=True, scaled=False)
        frame = patients.frame
    else:
        masses: Any = load_breast_cancer(as_frame=True)
        frame = masses.frame.assign(target=masses.target_names[masses.target])
    index = pd.RangeIndex(FIRST_ROW, FIRST_ROW + len(frame), name=name)
    return frame.set_index(index)
