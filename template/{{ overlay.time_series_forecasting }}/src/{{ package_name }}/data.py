"""Windows of many time series. Yours: updates of the template leave this file alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from .harness.errors import ErrorCollector, UserError
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.splits import SPLITS
from .readers.frequencies import parse_frequency
from .readers.series import SeriesTable, TimeSeries, read_series
from .readers.series_notes import note_series
from .readers.synthetic_series import SYNTHETIC_FREQUENCY, make_series
from .readers.units import set_own_units, set_training_units

# Parameters of this type are checked before anything is built.
Count = Annotated[int, Range(min=1)]

# For each series, the indices of the values at which a target starts.
Origins = list[np.ndarray]


@dataclass(frozen=True)
class Tables:
    """The series to train, validate and test on, and those of `predict_path`."""

    training: SeriesTable
    new: SeriesTable


class DataModule(LightningDataModule):
    """Synthetic hourly series, or your own, from a table with a row for each series and time.

    The splits are by time: the last windows of each series, of `horizon` steps each, are `test`,
    those before them `val`, and `train` ends where these start. The history of a window may lie in
    an earlier split, since it would be known by then.

    Args:
        path: a .csv, .jsonl or Parquet table; by default synthetic series.
        predict_path: a table of series that `predict` continues; by default `predict` forecasts the
            first window of the test split.
        series_column: column with the name of the series.
        time_column: column with the time, in ISO 8601.
        target_column: column with the value to forecast, empty where it is missing.
        frequency: pandas' name of the step from one time to the next, such as h, 15min, D, B or MS;
            by default the most common step.
        season: steps of the season for MASE; by default the usual one, such as 24 for h, 7 for D or
            12 for MS.
        fill_gaps: treat times that a series lacks as missing values; otherwise they are errors.
        context: steps of history that a forecast is made from.
        horizon: steps to forecast.
        train_stride: steps from one training window to the next.
        val_windows: validation windows per series.
        test_windows: test windows per series.
        predict_plots: number of series that `predict` draws.
        batch_size: windows per batch, summed over all devices.
        num_workers: loader processes; by default chosen for the data and the machine.

    Raises:
        UserError: if a table cannot be used, when its data or facts are first needed.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        predict_path: str | None = None,
        series_column: str = "series",
        time_column: str = "time",
        target_column: str = "target",
        frequency: str | None = None,
        season: Count | None = None,
        fill_gaps: bool = False,
        context: Annotated[int, Range(min=2)] = 168,
        horizon: Count = 24,
        train_stride: Count = 2,
        val_windows: Count = 4,
        test_windows: Count = 4,
        predict_plots: Annotated[int, Range(min=0)] = 24,
        batch_size: Count = 128,
        num_workers: Annotated[int, Range(min=0)] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    # Facts: they fill in the Model's parameters of the same names.

    @property
    def context(self) -> int:
        return self.hparams.context

    @property
    def horizon(self) -> int:
        return self.hparams.horizon

    @property
    def step_length(self) -> str:
        return self.tables.training.frequency

    # Reading

    @cached_property
    def tables(self) -> Tables:
        """All series; the errors of both tables are raised at once."""
        frequency = self.hparams.frequency
        if frequency is not None:
            parse_frequency(frequency)
        errors = ErrorCollector()
        training = SeriesTable([], frequency or SYNTHETIC_FREQUENCY)
        with errors:
            training = self.read_training_series(errors)
        new = SeriesTable([], training.frequency)
        with errors:
            new = self.read_new_series(training.frequency, errors)
        errors.raise_if_any()
        return Tables(training, new)

    def read_training_series(self, errors: ErrorCollector) -> SeriesTable:
        """The series to train, validate and test on."""
        options = self.hparams
        path = options.path
        frequency = options.frequency
        if not path:
            table = SeriesTable(make_series(), frequency or SYNTHETIC_FREQUENCY)
            return set_training_units(table, options, "the synthetic series", errors)
        table = read_series(path, options, frequency, errors)
        table = set_training_units(table, options, path, errors)
        held_out_windows = options.val_windows + options.test_windows
        note_series(table.series, held_out_windows * options.horizon)
        return table

    def read_new_series(self, frequency: str, errors: ErrorCollector) -> SeriesTable:
        """The series of `predict_path`, which have the frequency of the others."""
        path = self.hparams.predict_path
        if not path:
            return SeriesTable([], frequency)
        table = read_series(path, self.hparams, frequency, errors)
        return set_own_units(table, self.hparams.context, path, errors)

    # Windows

    @cached_property
    def windows(self) -> dict[str, "Windows"]:
        """The windows of each split, and of `predict`."""
        options = self.hparams
        training = self.tables.training
        new = self.tables.new
        origins = split_origins(training.series, options)
        windows = {}
        for split in SPLITS:
            windows[split] = Windows(training, origins[split], options)
        if new.series:
            ends = [np.array([len(one.values)]) for one in new.series]
            windows["predict"] = DescribedWindows(new, ends, options)
        else:
            first_of_test = [each[:1] for each in origins["test"]]
            windows["predict"] = DescribedWindows(training, first_of_test, options)
        return windows

    def prepare_data(self) -> None:
        """Read and check all data, so that errors are reported before training.

        Raises:
            UserError: with a line for each error.
        """
        for split in SPLITS:
            if not self.windows[split].has_known_target():
                raise UserError(
                    f"{split} has no value to forecast: fill in some, or lower data.horizon, "
                    "data.val_windows and data.test_windows"
                )

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.windows["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.windows["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.windows["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.windows["predict"], self)


def split_origins(series: list[TimeSeries], options: Any) -> dict[str, Origins]:
    """The origins of all windows, by split."""
    horizon = options.horizon
    train = []
    val = []
    test = []
    for one in series:
        end = len(one.values)
        test_start = end - horizon * options.test_windows
        val_start = test_start - horizon * options.val_windows
        train.append(train_origins(one, val_start, options))
        val.append(np.arange(val_start, test_start, horizon))
        test.append(np.arange(test_start, end, horizon))
    return {"train": train, "val": val, "test": test}


def train_origins(series: TimeSeries, val_start: int, options: Any) -> np.ndarray:
    """The origins of training windows of a series, without those that have nothing to teach."""
    context = options.context
    horizon = options.horizon
    # Backwards from `val`, so that the newest values are used whatever the stride is.
    last = val_start - horizon
    backwards = np.arange(last, context - 1, -options.train_stride)
    origins = np.flip(backwards)
    is_known = np.isfinite(series.values)
    known_before = np.append(0, np.cumsum(is_known))
    starts = origins - context
    ends = origins + horizon
    has_history = known_before[starts] < known_before[origins]
    has_target = known_before[origins] < known_before[ends]
    return origins[has_history & has_target]


class Windows(Dataset):
    """Windows of many series, each with a history and the target that follows it.

    `__getitems__` returns a whole batch of B windows:

    - `history`: (B, context) float32, with the last known value in place of missing ones;
    - `target`: (B, horizon) float32, NaN where it is missing;
    - `level`, `scale`: (B,) float32, the unit of each window: `value = history * scale + level`.

    Args:
        table: the series.
        origins: for each series, the indices of the values at which a target starts.
        options: the hyperparameters of the DataModule.
    """

    in_memory = True

    def __init__(self, table: SeriesTable, origins: Origins, options: Any) -> None:
        self.context = options.context
        self.horizon = options.horizon
        beyond_the_end = np.full(self.horizon, np.nan)
        parts = []
        which = []
        positions = []
        start = 0
        for i, one in enumerate(table.series):
            scaled = (one.values - one.level) / one.scale
            parts.extend([scaled, beyond_the_end])
            which.append(np.full(len(origins[i]), i))
            positions.append(start + origins[i])
            start += len(scaled) + self.horizon
        # The values of all series, end to end.
        values = np.concatenate(parts)
        filled = pd.Series(values).ffill().to_numpy()
        self.values = torch.tensor(values, dtype=torch.float32)
        self.filled = torch.tensor(filled, dtype=torch.float32)
        # For each window, its series, and where its target starts in these values.
        self.which = torch.tensor(np.concatenate(which))
        self.positions = torch.tensor(np.concatenate(positions))
        # For each series, its unit.
        self.levels = torch.tensor([one.level for one in table.series])
        self.scales = torch.tensor([one.scale for one in table.series])

    def __len__(self) -> int:
        return len(self.positions)

    def __getitems__(self, indices: list[int]) -> dict:
        which = self.which[indices]
        positions = self.positions[indices].unsqueeze(dim=1)  # (B, 1)
        history = positions + torch.arange(-self.context, 0)  # (B, context)
        target = positions + torch.arange(self.horizon)  # (B, horizon)
        return {
            "history": self.filled[history],
            "target": self.values[target],
            "level": self.levels[which],
            "scale": self.scales[which],
        }

    def has_known_target(self) -> bool:
        """Whether any target has a value, so that there is something to learn or to measure."""
        known_until = self.values.isfinite().cumsum(dim=0)
        before = self.positions - 1
        last = before + self.horizon
        has_target = known_until[before] < known_until[last]
        return bool(has_target.any())


class DescribedWindows(Windows):
    """Windows whose batches also have, in lists with an item per window, what `predict` reports.

    - `series`: the name of the series;
    - `times`, `values`: of history and target (context + horizon), in ISO 8601 and in the table's
      unit; NaN is a value that is missing or in the future;
    - `exact_level`, `exact_scale`: the unit in double precision;
    - `draw`: whether `predict` draws the series.
    """

    def __init__(self, table: SeriesTable, origins: Origins, options: Any) -> None:
        super().__init__(table, origins, options)
        self.table = table
        self.origins = np.concatenate(origins)
        self.plots = options.predict_plots

    def __getitems__(self, indices: list[int]) -> dict:
        batch = super().__getitems__(indices)
        descriptions = [self.describe(index) for index in indices]
        for name in descriptions[0]:
            batch[name] = [each[name] for each in descriptions]
        return batch

    def describe(self, index: int) -> dict:
        """The items of one window."""
        which = int(self.which[index])
        origin = int(self.origins[index])
        series = self.table.series[which]
        first = origin - self.context
        end = origin + self.horizon
        times = series.times[first:end]
        values = series.values[first:end].tolist()
        steps_ahead = end - first - len(values)
        future = pd.date_range(
            times[-1],
            periods=steps_ahead + 1,
            freq=self.table.frequency,
        )
        times = times.append(future[1:])
        values.extend([float("nan")] * steps_ahead)
        return {
            "series": series.name,
            "times": [time.isoformat() for time in times],
            "values": values,
            "exact_level": series.level,
            "exact_scale": series.scale,
            "draw": which < self.plots,
        }
