"""Many series: synthetic ones to start with, or your own. Yours: updates of the template leave it alone."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from .harness import Faults
from .harness.loaders import make_loader
from .harness.series import Series, check_dials, measure, note_likeness, read_series, refuse_unknown


class DataModule(LightningDataModule):
    """Synthetic hourly series, or your own, from a table with a row for each series and time.

    Splits are by time: the last windows of each series, of `horizon` steps each, are `test`, those
    before are `val`, and `train` ends where these start. What a window is forecast from may lie in an
    earlier split, as it would be known by then.

    Args:
        path: a table, .csv, .jsonl or Parquet; default: synthetic series.
        predict_path: a table whose series are forecast from their ends; default: `test` from its start.
        series_column: names the series of a row.
        time_column: its time, in ISO 8601.
        target_column: its value, empty where that is missing.
        frequency: of the steps, by pandas' names, such as h, 15min, D, B, MS; default: the most common step.
        season: steps of the season of MASE; default: by custom, such as 24 for h, 7 for D, 12 for MS.
        fill_gaps: take times that a series lacks for missing values; without, they are refused.
        context: steps that a forecast is made from.
        horizon: steps that are forecast.
        train_stride: steps from one training window to the next.
        val_windows: windows of each series for `val`.
        test_windows: the same for `test`.
        predict_plots: series that `predict` draws.
        batch_size: windows of a step, over all devices.
        num_workers: loader processes; default: none, since the series are in memory.

    Raises:
        UserError: for a table that cannot be used, when a fact is read or data are prepared.
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
        season: int | None = None,
        fill_gaps: bool = False,
        context: int = 168,
        horizon: int = 24,
        train_stride: int = 2,
        val_windows: int = 4,
        test_windows: int = 4,
        predict_plots: int = 24,
        batch_size: int = 128,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @cached_property
    def tables(self) -> tuple[list[Series], list[Series], str]:
        """The series to learn from, those of `predict_path`, and their frequency; all faults are raised at once."""
        hp, faults, new = self.hparams, Faults(), []
        check_dials(hp)
        series, frequency = [] if hp.path else [measure(one, hp, "h") for one in make_series()], hp.frequency or "h"
        with faults:
            if hp.path:
                series, frequency = read_series(hp.path, hp, hp.frequency, faults)
                note_likeness(series, hp.horizon * (hp.val_windows + hp.test_windows))
        with faults:
            if hp.predict_path:
                new, _ = read_series(hp.predict_path, hp, frequency, faults, new=True)
        faults.refuse()
        return series, new, frequency

    # Facts, which the model keeps.

    @property
    def context(self) -> int:
        return self.hparams.context

    @property
    def horizon(self) -> int:
        return self.hparams.horizon

    @property
    def step_length(self) -> str:
        return self.tables[2]

    @cached_property
    def windows(self) -> dict[str, "Windows"]:
        (series, new, frequency), hp, splits = self.tables, self.hparams, []
        for one in series:
            end, test = len(one.values), len(one.values) - hp.horizon * hp.test_windows
            val = test - hp.horizon * hp.val_windows
            train = np.arange(val - hp.horizon, hp.context - 1, -hp.train_stride)[::-1]
            seen = np.cumsum([0, *~np.isnan(one.values)])  # where all is missing, before or after, nothing is learnt
            train = train[(seen[train] > seen[train - hp.context]) & (seen[train + hp.horizon] > seen[train])]
            splits.append((train, np.arange(val, test, hp.horizon), np.arange(test, end, hp.horizon), [test]))
        refuse_unknown(series, [*zip(*splits)], hp.horizon)
        names = ("train", "val", "test", "predict")
        windows = {name: Windows(series, origins, hp) for name, origins in zip(names, zip(*splits))}
        if new:
            windows["predict"] = Windows(new, [[len(one.values)] for one in new], hp)
        windows["predict"].frequency = frequency
        return windows

    def prepare_data(self) -> None:
        self.windows  # noqa: B018

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.windows["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.windows["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.windows["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.windows["predict"], self)


class Windows(Dataset):
    """The windows of each series whose forecasts start at its `origins`, in batches.

    They have `history` (B, context), where the last value stands for missing ones, and `target` (B, horizon),
    where these are NaN; both are (values - `level` (B,)) / `scale` (B,).
    """

    in_memory, frequency = True, ""  # with a frequency, batches say what a person wants to know

    def __init__(self, series: list[Series], origins: Any, hp: Any) -> None:
        self.series, self.hp = series, hp
        parts = [np.append((s.values - s.level) / s.scale, [np.nan] * hp.horizon) for s in series]
        self.values = torch.tensor(np.concatenate(parts), dtype=torch.float32)  # end to end
        self.filled = torch.tensor(pd.Series(np.concatenate(parts)).ffill().to_numpy(), dtype=torch.float32)
        self.units = torch.tensor([(s.level, s.scale) for s in series])
        self.begins = torch.tensor(np.cumsum([0, *map(len, parts[:-1])]))
        self.origins = torch.tensor(np.concatenate(origins))
        self.which = torch.arange(len(series)).repeat_interleave(torch.tensor([len(places) for places in origins]))

    def __len__(self) -> int:
        return len(self.which)

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        which, origins = self.which[indices], self.origins[indices]
        at, (level, scale) = (self.begins[which] + origins)[:, None], self.units[which].T
        history, target = at + torch.arange(-self.hp.context, 0), at + torch.arange(self.hp.horizon)
        batch = {"history": self.filled[history], "target": self.values[target], "level": level, "scale": scale}
        return batch | (self.describe(which.tolist(), origins.tolist()) if self.frequency else {})

    def describe(self, which: list[int], origins: list[int]) -> dict[str, list]:
        """Lists of each window's series, times and values from first to last, unit, and whether it is drawn."""
        rows = []
        for i, origin in zip(which, origins):
            one, part = self.series[i], slice(origin - self.hp.context, origin + self.hp.horizon)
            ahead = part.stop - part.start - len(one.values[part])
            after = pd.date_range(one.times[part][-1], periods=ahead + 1, freq=self.frequency)[1:]
            times = [time.isoformat() for time in [*one.times[part], *after]]
            values = [*one.values[part].tolist(), *[float("nan")] * ahead]
            rows.append((one.name, times, values, [one.level, one.scale], i < self.hp.predict_plots))
        return {name: list(column) for name, column in zip(("series", "times", "values", "unit", "plot"), zip(*rows))}


def make_series(count: int = 60, seed: int = 0) -> list[Series]:
    """Synthetic: made by chance, with a fixed seed, and of no thing in the world.

    Each has 700 to 1000 hours up to the same one, and is a product of a level, a trend, a daily shape
    that flattens on weekends, up to two lasting shifts, and noise that fades over hours; one in ten
    lacks some values.
    """
    draw, hours, series = np.random.default_rng(seed), pd.date_range("2024-01-01", periods=1000, freq="h"), []
    for name in (f"synthetic_{i:02d}" for i in range(count)):
        times = hours[draw.integers(0, 301) :]
        hour, weekend, t = times.hour.to_numpy(), times.day_of_week.to_numpy() > 4, np.linspace(0, 1, len(times))
        angle = 2 * np.pi * (hour - draw.uniform(0, 24)) / 24
        day = draw.uniform(0.1, 0.6) * np.sin(angle) + draw.uniform(0, 0.3) * np.sin(2 * angle)
        week = draw.uniform(0, 0.8) * weekend  # a flatter day, and a lower one
        shifts = sum(draw.normal(0, 0.3) * (t > at) for at in draw.uniform(0, 1, draw.integers(0, 3)))
        noise = pd.Series(draw.normal(0, draw.uniform(0.08, 0.3), len(times))).ewm(alpha=0.4).mean().to_numpy()
        trend = draw.normal(3, 1) + draw.uniform(-0.4, 0.6) * t
        values = np.exp(trend + shifts + day * (1 - week) - week / 2 + noise)
        if len(series) % 10 == 9:
            values[draw.integers(1, len(times) - 1, 30)] = np.nan
        series.append(Series(name, name, times, values))
    return series
