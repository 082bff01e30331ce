"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/data.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

DAYS = 60
CONTEXT = 14
HORIZON = 3
VAL_START = 48  # two windows of three days before `test`
TEST_START = 54  # two windows of three days before the end
WEEK = 7


@pytest.fixture
def table() -> pd.DataFrame:
    """Series `a` and `b` of 60 days, a weekly pattern with noise; `b` lacks a value."""
    days = pd.date_range("2024-01-01", periods=DAYS).strftime("%Y-%m-%d").tolist()
    names = ["a"] * DAYS + ["b"] * DAYS
    frame = pd.DataFrame({"series": names, "time": days + days})
    noise = np.random.default_rng(0).normal(0, 1, 2 * DAYS)
    weekday = frame.index % DAYS % WEEK
    frame["target"] = 100 + 9.0 * weekday + noise
    frame.loc[90, "target"] = None
    return frame


def make_data(path: Path, **changes: Any) -> Any:
    """A datamodule with small windows."""
    options: dict[str, Any] = {
        "path": str(path),
        "context": CONTEXT,
        "horizon": HORIZON,
        "val_windows": 2,
        "test_windows": 2,
        "train_stride": 1,
    }
    options.update(changes)
    return DataModule(**options)


def read(frame: pd.DataFrame, folder: Path, **changes: Any) -> Any:
    """A datamodule that reads the table from a CSV file."""
    path = folder / "table.csv"
    frame.to_csv(path, index=False)
    return make_data(path, **changes)


def all_windows(data: Any, split: str) -> dict[str, Any]:
    """All windows of a split, in one batch."""
    windows = data.windows[split]
    return windows.__getitems__(list(range(len(windows))))


def target_starts(data: Any, split: str) -> list[int]:
    """Where the targets of series `a`, the first, start."""
    windows = data.windows[split]
    return windows.positions[windows.which == 0].tolist()


def first_values(data: Any) -> np.ndarray:
    """The values of the first series."""
    return data.tables.training.series[0].values


# Windows


def test_splits_do_not_overlap_in_time(table: pd.DataFrame, tmp_path: Path) -> None:
    """Training targets end where those of `val` start, and these where those of `test` start."""
    data = read(table, tmp_path)
    assert target_starts(data, "train") == list(range(CONTEXT, VAL_START - HORIZON + 1))
    assert target_starts(data, "val") == [VAL_START, VAL_START + HORIZON]
    assert target_starts(data, "test") == [TEST_START, TEST_START + HORIZON]
    assert target_starts(data, "predict") == [TEST_START]


def test_windows_scale_back_to_the_table(table: pd.DataFrame, tmp_path: Path) -> None:
    """With its level and scale, a window has the values of the table."""
    batch = all_windows(read(table, tmp_path), "test")
    values = table["target"].to_numpy()[:DAYS]
    scale = batch["scale"][0]
    level = batch["level"][0]
    history = batch["history"][0] * scale + level
    target = batch["target"][0] * scale + level
    history_start = TEST_START - CONTEXT
    assert history.numpy() == pytest.approx(values[history_start:TEST_START], rel=1e-5)
    assert target.numpy() == pytest.approx(values[TEST_START : TEST_START + HORIZON], rel=1e-5)


def test_unit_is_that_of_the_training_part(table: pd.DataFrame, tmp_path: Path) -> None:
    """The scale is the error of last week's values before `val`; later values do not count."""
    batch = all_windows(read(table, tmp_path), "test")
    training_values = table["target"].to_numpy()[:VAL_START]
    errors = np.abs(training_values[WEEK:] - training_values[:-WEEK])
    assert batch["scale"][0].item() == pytest.approx(errors.mean())
    assert batch["level"][0].item() == pytest.approx(training_values.mean())
    table.loc[VAL_START : DAYS - 1, "target"] = 7.0
    changed = all_windows(read(table, tmp_path), "test")
    assert torch.equal(changed["scale"], batch["scale"])


def test_missing_values_in_windows(table: pd.DataFrame, tmp_path: Path) -> None:
    """In a history the last value stands for a missing one; in a target it stays missing."""
    in_history = DAYS + 40  # of the first test window of `b`, which is the third of all
    in_target = DAYS + 58  # of its second
    table.loc[[in_history, in_target], "target"] = None
    batch = all_windows(read(table, tmp_path), "test")
    first_value = batch["history"][2, 0] * batch["scale"][2] + batch["level"][2]
    assert first_value.item() == pytest.approx(table["target"][in_history - 1], rel=1e-5)
    assert batch["target"].isnan().sum() == 1
    assert batch["target"][3, 1].isnan()


def test_training_windows_without_values_are_left_out(table: pd.DataFrame, tmp_path: Path) -> None:
    """Windows whose targets are all missing are no use for training."""
    before = len(read(table, tmp_path).windows["train"])
    table.loc[20:25, "target"] = None
    after = len(read(table, tmp_path).windows["train"])
    assert after == before - 4


# Reading


def test_missing_values_at_the_end_are_cut_off(table: pd.DataFrame, tmp_path: Path) -> None:
    """A series ends with its last known value."""
    table.loc[DAYS - 1, "target"] = None
    assert len(first_values(read(table, tmp_path))) == DAYS - 1


@pytest.mark.parametrize(
    ("frequency", "season"),
    [
        ("h", 24),
        ("15min", 96),
        ("D", 7),
        ("7D", 52),
        ("MS", 12),
        ("ME", 12),
        ("QS", 4),
        ("YS", 1),
    ],
)
def test_frequency_is_the_most_common_step(frequency: str, season: int, tmp_path: Path) -> None:
    """Steps of minutes to years are recognised, and have their usual season."""
    start = "2000-01-31" if frequency == "ME" else "2000-01-01"
    times = pd.date_range(start, periods=200, freq=frequency)
    target = np.random.default_rng(0).normal(size=200)
    frame = pd.DataFrame({"series": 7, "time": times, "target": target})
    frame.to_parquet(tmp_path / "table.parquet")
    table = make_data(tmp_path / "table.parquet").tables.training
    to_offset = pd.tseries.frequencies.to_offset
    assert to_offset(table.frequency) == to_offset(frequency)
    training_values = target[: 200 - 4 * HORIZON]
    errors = np.abs(training_values[season:] - training_values[:-season])
    assert table.series[0].scale == pytest.approx(errors.mean())


def test_gaps_are_errors_unless_they_are_filled(table: pd.DataFrame, tmp_path: Path) -> None:
    """Rows may come in any order; days without a row are missing values, if the option says so."""
    gaps = table.drop(index=[30, 31]).sample(frac=1, random_state=0)
    message = r"row \d+, series 'a': 2024-02-02T00:00:00 follows 2024-01-30T00:00:00"
    with pytest.raises(UserError, match=message):
        read(gaps, tmp_path).prepare_data()
    values = first_values(read(gaps, tmp_path, fill_gaps=True))
    assert np.flatnonzero(np.isnan(values)).tolist() == [30, 31]


@pytest.mark.parametrize(
    ("row", "time", "message"),
    [
        (30, "2024-01-31T07:00", "not a whole number of steps later"),
        (59, "2204-02-29", "most of which is missing"),
    ],
)
def test_wrong_times_are_not_filled(
    row: int, time: str, message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A time between two steps, or centuries later, is an error also where gaps are filled."""
    table.loc[row, "time"] = time
    with pytest.raises(UserError, match=message):
        read(table, tmp_path, fill_gaps=True).prepare_data()


# Predictions


def predict(data: Any) -> tuple[Any, dict[str, list]]:
    """A model, and its predictions for the first batch."""
    model = Model(CONTEXT, HORIZON, "D", patch=7, stride=7, dim=8, depth=1, heads=2).eval()
    batch = next(iter(data.predict_dataloader()))
    with torch.no_grad():
        return model, model.predict_step(batch, 0)


def test_predictions_of_the_test_split(table: pd.DataFrame, tmp_path: Path) -> None:
    """A row for each series and step, with quantiles and the truth in the table's unit."""
    model, columns = predict(read(table, tmp_path, predict_plots=1))
    assert list(columns) == ["input", "time", "q0.1", "q0.5", "q0.9", "truth", "plot"]
    assert columns["input"] == ["a", "a", "a", "b", "b", "b"]
    days = ["2024-02-24T00:00:00", "2024-02-25T00:00:00", "2024-02-26T00:00:00"]
    assert columns["time"] == days + days
    values = table["target"].to_numpy(np.float32)
    history = torch.tensor(values[TEST_START - CONTEXT : TEST_START])
    with torch.no_grad():
        forecast = model(history[None])[0]
    assert columns["q0.9"][:HORIZON] == pytest.approx(forecast[:, 2].tolist(), rel=1e-4)
    truth = table["target"][TEST_START : TEST_START + HORIZON].tolist()
    assert columns["truth"][:HORIZON] == pytest.approx(truth, rel=1e-6)


def test_plot_in_the_first_row_of_a_series(table: pd.DataFrame, tmp_path: Path) -> None:
    """As many series are drawn as `predict_plots` says."""
    _, columns = predict(read(table, tmp_path, predict_plots=1))
    image, *others = columns["plot"]
    assert image.size == (900, 400)
    assert others == [""] * 5


def test_predictions_of_new_series(table: pd.DataFrame, tmp_path: Path) -> None:
    """Series of `predict_path` are forecast from their ends, where no truth is known."""
    new = table.assign(series=table["series"] + "2")
    new.to_csv(tmp_path / "new.csv", index=False)
    data = read(table, tmp_path, predict_path=str(tmp_path / "new.csv"))
    _, columns = predict(data)
    assert columns["input"] == ["a2", "a2", "a2", "b2", "b2", "b2"]
    days = ["2024-03-01T00:00:00", "2024-03-02T00:00:00", "2024-03-03T00:00:00"]
    assert columns["time"] == days + days
    assert columns["truth"] == [""] * 6


# Errors


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (3, "time", "soon", r"column 'time', row 5 .*'soon' is not a time"),
        (3, "time", None, r"column 'time', row 5 .*the time is missing"),
        (3, "time", "2024-01-04T00:00Z", "row 5 .* has a time zone, but most times have none"),
        (59, "time", "2024-02-28", "row 61 .* is a time that its series has already"),
        (3, "target", "x", "column 'target', row 5 .*'x' is not a number"),
        (3, "target", "-inf", "column 'target', row 5 .*'-inf' is infinite"),
        (3, "target", "2e30", "column 'target', row 5 .*'2e30' is too large"),
        (119, "series", None, "column 'series', row 121 .* the series has no name"),
    ],
)
def test_errors_in_a_row(
    row: int, column: str, value: Any, message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A wrong value is named with its file, column and row, before training."""
    table = table.astype(object)
    table.loc[row, column] = value
    with pytest.raises(UserError, match=message):
        read(table, tmp_path).prepare_data()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, "row 2, series 'a': all targets are missing"),
        (5.0, "row 2, series 'a': no training value differs"),
    ],
)
def test_errors_in_a_series(
    target: float | None, message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """A series that cannot be learned from is named with its first row."""
    table.loc[: DAYS - 1, "target"] = target
    with pytest.raises(UserError, match=message):
        read(table, tmp_path).prepare_data()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context": 60}, r"row 2, series 'a': 60 steps are fewer than data.context .* = 75"),
        ({"season": 48}, r"48 training steps are not more than data\.season=48"),
        ({"frequency": "often"}, r"data\.frequency='often': pandas has no such frequency"),
        ({"frequency": "-1D"}, r"data\.frequency='-1D': a step must lead forward"),
        ({"frequency": "h"}, "2024-01-02T00:00:00 follows 2024-01-01T00:00:00, but a step is h"),
        ({"target_column": "targets"}, "no column 'targets'; did you mean 'target'"),
    ],
)
def test_errors_in_options(
    changes: dict[str, Any], message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Options that do not fit the table are errors that name the option."""
    with pytest.raises(UserError, match=message):
        read(table, tmp_path, **changes).prepare_data()


def test_missing_tables_are_errors(tmp_path: Path) -> None:
    """Both tables are looked for, and both errors are raised at once."""
    data = make_data(tmp_path / "old.csv", predict_path=str(tmp_path / "new.csv"))
    with pytest.raises(UserError, match=r"old\.csv: .*not exist.*\n.*new\.csv: .*not exist"):
        data.prepare_data()


def test_splits_without_a_value_are_errors(table: pd.DataFrame, tmp_path: Path) -> None:
    """A split needs at least one known target."""
    val_days = slice(VAL_START, TEST_START - 1)
    table.loc[val_days, "target"] = None
    table = table[table["series"] == "a"]
    with pytest.raises(UserError, match="val has no value to forecast"):
        read(table, tmp_path).prepare_data()
