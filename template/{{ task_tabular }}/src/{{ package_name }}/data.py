"""Tables: scikit-learn's to start with, or your own. Yours: updates of the template leave it alone."""

from difflib import get_close_matches
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset

from .harness import UserError
from .harness.loading import make_loader


class DataModule(LightningDataModule):
    """One of scikit-learn's tables, a CSV file with a header, or a Parquet file.

    A missing number is taken for the training mean, a missing category for the category 0. A column
    of numbers that are all the same in the training rows is left out. Rows are numbered as a
    spreadsheet does, the header being row 1; empty ones are skipped.

    Args:
        dataset: what is used when there is no path; its target is called `target`.
        path: a table, .csv or Parquet.
        predict_path: rows to predict, their target unknown; default: the test split.
        problem: default: what the dataset is for; your own table: classification.
        target: the column to predict.
        categorical: columns of categories; default: those with more text than numbers.
        numeric: columns of numbers; default: all that have no other role.
        ignore: columns to leave out, such as identifiers.
        split_column: says `train`, `val` or `test`; a split that it lacks is cut from `train`.
        unseen_categories: `refuse` those that no training row has, or `ignore` them, as if missing.
        batch_size: rows for each process and step.
        val_fraction: share of all rows that is cut from `train`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the classes' shares.
        num_workers: loader processes; default: none, since the table is in memory.
    """

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
        batch_size: int = 32,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.classify = (problem or ("regression" if not path and dataset == "diabetes" else "")) != "regression"

    @cached_property
    def source(self) -> tuple[pd.DataFrame, list[str], list[str]]:
        """The table, and its columns of numbers and of categories."""
        hp = self.hparams
        frame = read_table(hp.path) if hp.path else read_embedded(hp.dataset)
        named = [*(hp.ignore or []), *(hp.categorical or []), *(hp.numeric or []), hp.target]
        named += [hp.split_column] if hp.split_column else []
        require(frame, named)
        if len(set(named)) < len(named):
            raise UserError(f"a column has one role; data gives two to one of {', '.join(named)}")
        rest = [name for name in frame if name not in named]
        text = [name for name in rest if pd.to_numeric(frame[name], errors="coerce").count() < frame[name].count() / 2]
        categorical = text if hp.categorical is None else hp.categorical
        numeric = [name for name in rest if name not in categorical] if hp.numeric is None else hp.numeric
        refuse(frame[[hp.target]], frame[[hp.target]].isna(), "the target is missing: fill it in, or take the row out")
        return frame, numeric, categorical

    @cached_property
    def rows(self) -> dict[str, pd.DataFrame]:
        """The rows of each split."""
        hp, frame = self.hparams, self.source[0]
        split = frame[[hp.split_column]] if hp.split_column else pd.DataFrame({"split": "train"}, frame.index)
        refuse(split, ~split.isin(["train", "val", "test"]), "a split is train, val or test: correct it")
        rows = {name: frame[split.iloc[:, 0] == name] for name in ("train", "val", "test")}
        for name, fraction in (("test", hp.test_fraction), ("val", hp.val_fraction)):
            if rows[name].empty:
                count, labels = round(fraction * len(frame)), rows["train"][hp.target] if self.classify else None
                try:
                    cut = train_test_split(rows["train"], test_size=count, stratify=labels, random_state=hp.split_seed)
                except ValueError as error:
                    fix = "Add rows, or change it, or set data.problem"
                    raise UserError(
                        f"data.{name}_fraction={fraction} fails: {' '.join(str(error).split())} {fix}"
                    ) from error
                rows["train"], rows[name] = (part.sort_index() for part in cut)
        if min(map(len, rows.values())) < 2:
            raise UserError(f"each split takes two rows, out of {len(frame)}: add rows, or change data.*_fraction")
        return rows

    # The facts: known from the training rows alone, they are hyperparameters of the model.

    @cached_property
    def columns(self) -> list[str]:
        _, numeric, categorical = self.source
        columns = [name for name in numeric if self.rows["train"][name].nunique() > 1] + categorical
        if not columns:
            raise UserError("no column to learn from: see data.numeric, data.categorical and data.ignore")
        return columns

    @cached_property
    def scales(self) -> list[list[float]]:
        return scale(self.rows["train"][[name for name in self.columns if name in self.source[1]]])

    @cached_property
    def categories(self) -> list[list[str]]:
        return [known(self.rows["train"][name]) for name in self.source[2]]

    @cached_property
    def class_names(self) -> list[str]:
        """Empty for regression."""
        names = known(self.rows["train"][self.hparams.target])
        if len(names) < 2:
            raise UserError(f"data.target={self.hparams.target} is {names[0]} in all training rows: add others")
        return names if self.classify else []

    @cached_property
    def target_scale(self) -> list[float]:
        return [0.0, 1.0] if self.classify else scale(self.rows["train"][[self.hparams.target]])[0]

    @cached_property
    def tables(self) -> dict[str, "Table"]:
        hp, strict = self.hparams, self.hparams.unseen_categories == "refuse"
        tables = {name: Table(rows, self, strict, hp.target) for name, rows in self.rows.items()}
        return tables | {
            "predict": Table(read_table(hp.predict_path), self, strict) if hp.predict_path else tables["test"]
        }

    def prepare_data(self) -> None:
        self.predict_dataloader()  # encodes every row, so that a bad one shows before training

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.tables["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.tables["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.tables["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.tables["predict"], self)


class Table(Dataset):
    """Whole batches: `row` (B,), numbers; `numbers` (B, N), in standard deviations from the mean;
    `categories` (B, C), indices from 1, 0 if missing; `target` (B,), an index or as the numbers.

    Args:
        frame: rows, from `read_table`.
        facts: the datamodule, or a model's hyperparameters, which need no training rows:
            `Table(read_table("new.csv"), Model.load_from_checkpoint(path).hparams)`.
        strict: refuse unseen categories.
        target: the target's column, if there is one.
    """

    in_memory = True

    def __init__(self, frame: pd.DataFrame, facts: Any, strict: bool = True, target: str | None = None) -> None:
        require(frame, facts.columns)
        numeric, categorical = np.split(facts.columns, [len(facts.scales)])
        fix = "no training row has it: add some, or set data.unseen_categories: ignore" if strict else ""
        index = lookup(frame[categorical], facts.categories, fix)
        self.batch = {"row": torch.tensor(frame.index), "categories": torch.tensor(index + 1)}
        self.batch["numbers"] = standardise(frame[numeric], facts.scales)
        if target and facts.class_names:
            index = lookup(frame[[target]], [facts.class_names], "no training row has this class: add some")
            self.batch["target"] = torch.tensor(index[:, 0])
        elif target:
            self.batch["target"] = standardise(frame[[target]], [facts.target_scale])[:, 0]

    def __len__(self) -> int:
        return len(self.batch["row"])

    def __getitems__(self, indices: list[int]) -> dict[str, torch.Tensor]:
        return {name: column[indices] for name, column in self.batch.items()}


def read_embedded(name: str) -> pd.DataFrame:
    """569 breast masses (Wolberg et al., UCI, 1995), or 442 diabetes patients (Efron et al., 2004)."""
    data = load_diabetes(as_frame=True, scaled=False) if name == "diabetes" else load_breast_cancer(as_frame=True)
    frame = data.frame.replace({"target": dict(enumerate(data.get("target_names", [])))})
    return frame.set_index(pd.RangeIndex(2, len(frame) + 2, name=name))


def read_table(path: str) -> pd.DataFrame:
    """Text and numbers, indexed by row number."""
    try:
        if path.endswith(".csv"):  # all of it text, so that a category stays as it is written
            frame = pd.read_csv(path, dtype=str, skip_blank_lines=False)
        else:
            frame = pd.read_parquet(path, dtype_backend="numpy_nullable").reset_index(drop=True)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no readable .csv or Parquet file: {' '.join(str(error).split())}") from error
    if frame.empty or type(frame.index) is not pd.RangeIndex:
        raise UserError(f"{path} has no rows, or more values in a row than in its header: correct it")
    frame.index = pd.RangeIndex(2, len(frame) + 2, name=path)
    text = {name: "string" for name in frame.select_dtypes(exclude=["number", "bool"])}
    return frame.astype(text).dropna(how="all")


def require(frame: pd.DataFrame, names: list[str]) -> None:
    for name in (name for name in names if name not in frame):
        close = [f" did you mean {other}?" for other in get_close_matches(name, frame, n=1)]
        raise UserError(f"{frame.index.name} has no column {name};{''.join(close)} it has {', '.join(frame)}")


def refuse(frame: pd.DataFrame, wrong: Any, reason: str) -> None:
    """Name the column of the first value that `wrong` marks, and the rows of up to three in it."""
    for name, column in frame[wrong].dropna(how="all").items():
        ...


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    values = frame.apply(pd.to_numeric, errors="coerce").astype("float64")
    refuse(frame, values.isna() & frame.notna(), "is no number: correct it, or see data.categorical and data.problem")
    refuse(frame, np.isinf(values), "is not finite: correct it")
    return values


def scale(frame: pd.DataFrame) -> list[list[float]]:
    """Mean and standard deviation of each column."""
    values = numbers(frame)
    return np.stack([values.mean(), values.std(ddof=0)], axis=1).tolist()


def standardise(frame: pd.DataFrame, scales: list[list[float]]) -> torch.Tensor:
    mean, std = np.array(scales).reshape(-1, 2).T
    return torch.tensor(((numbers(frame) - mean) / std).fillna(0).to_numpy(np.float32))


def known(column: pd.Series) -> list[str]:
    return sorted(column.dropna().astype("string").unique())


def lookup(frame: pd.DataFrame, values: list[list[str]], reason: str) -> np.ndarray:
    """The index of each value among the known ones of its column, -1 for others, which a reason refuses."""
    found = [pd.Index(known).get_indexer(frame[name].astype("string")) for name, known in zip(frame, values)]
    index = np.array(found, np.int64).reshape(-1, len(frame)).T
    if reason:
        refuse(frame, (index < 0) & frame.notna(), reason)
    return index
