"""The model and the data. Yours: change them as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from harness.test_harness import ModelSuite

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
SMALL = {"context": 14, "horizon": 3, "val_windows": 2, "test_windows": 2, "train_stride": 1}


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none."""

    floor = 0.05
    options = ("--model.dropout=0", "--data.batch_size=8", "--model.dim=32", "--model.lr=1e-2")


@pytest.fixture
def table() -> pd.DataFrame:
    """Two series of 60 days, a week's pattern with noise: `a`, and `b`, which lacks a value."""
    days = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"series": ["a"] * 60 + ["b"] * 60, "time": [*days, *days]})
    frame["target"] = 100 + 9.0 * (frame.index % 60 % 7) + np.random.default_rng(0).normal(0, 1, 120)
    frame.loc[90, "target"] = None
    return frame


def make(frame: pd.DataFrame, folder: Path, **changes: Any) -> Any:
    """A datamodule on a CSV file of the table."""
    frame.to_csv(folder / "table.csv", index=False)
    return DataModule(path=str(folder / "table.csv"), **{**SMALL, **changes})


def whole(data: Any, split: str) -> dict:
    return data.windows[split].__getitems__(list(range(len(data.windows[split]))))


def build(**changes: Any) -> Any:
    facts = {"context": 14, "horizon": 3, "step_length": "D"}
    return Model(**{**facts, "patch": 7, "stride": 7, "dim": 8, "depth": 1, "heads": 2, **changes}).eval()


@pytest.mark.parametrize("network", ["patch", "linear"])
def test_forecasts_are_sorted_quantiles_in_the_unit_of_the_history(network: str) -> None:
    """Histories (B, context) give (B, horizon, Q), in order; a history moved and scaled gives the same, so changed."""
    torch.manual_seed(0)
    model, history = build(network=network, quantiles=[0.05, 0.5, 0.6, 0.9]), torch.randn(5, 14)
    forecast = model(history)
    assert forecast.shape == (5, 3, 4)
    assert (forecast.diff(dim=-1) >= 0).all()
    torch.testing.assert_close(model(history * 50 + 1000), forecast * 50 + 1000, rtol=1e-4, atol=1e-2)


def test_splits_are_apart_in_time(table: pd.DataFrame, tmp_path: Path) -> None:
    """What is trained on ends where val starts, and val where test does; test ends with the series."""
    windows = make(table, tmp_path).windows
    places = {name: windows[name].origins[windows[name].which == 0].tolist() for name in windows}
    assert places["train"] == list(range(14, 46))
    assert [places["val"], places["test"], places["predict"]] == [[48, 51], [54, 57], [54]]


def test_batches_are_the_values_in_units_of_the_training_part(table: pd.DataFrame, tmp_path: Path) -> None:
    """A batch turns back into the table's values; its unit is the error of last week's values, before val."""
    data = make(table, tmp_path)
    batch, values = whole(data, "test"), table["target"].to_numpy()[:60]
    scale = np.abs(values[7:48] - values[:41]).mean()
    assert batch["scale"][0].item() == pytest.approx(scale)
    assert batch["level"][0].item() == pytest.approx(values[:48].mean())
    for part, there in (("history", values[40:54]), ("target", values[54:57])):
        assert (batch[part][0] * batch["scale"][0] + batch["level"][0]).numpy() == pytest.approx(there, rel=1e-5)
    table.loc[48:59, "target"] = 7.0  # what is held out changes no unit
    assert torch.equal(whole(make(table, tmp_path), "test")["scale"], batch["scale"])


def test_missing_values_count_nowhere(table: pd.DataFrame, tmp_path: Path) -> None:
    """In a history the last value stands for a missing one; in a target it changes neither loss nor metrics."""
    table.loc[[100, 118], "target"] = None  # of b: in the history of its test windows, and in one's target
    batch, model, logged = whole(make(table, tmp_path), "test"), build(), {}
    before = (batch["history"][2, 0] * batch["scale"][2] + batch["level"][2]).item()
    assert before == pytest.approx(table["target"][99], rel=1e-5)
    assert batch["target"].isnan().sum() == 1
    model.log = lambda name, value, **_: logged.update({name: value})
    with torch.no_grad():
        model.test_step(batch, 0)
        forecast = model(batch["history"])
    known, error = ~batch["target"].isnan(), batch["target"][..., None] - forecast
    assert logged["test/mase"].compute().item() == pytest.approx(error[..., 1].abs()[known].mean().item(), rel=1e-5)
    pinball = torch.stack([torch.where(e > 0, q * e, (q - 1) * e) for q, e in zip([0.1, 0.5, 0.9], error.unbind(-1))])
    assert logged["test/loss"].item() == pytest.approx(pinball[:, known].mean().item(), rel=1e-5)
    scale, level = batch["scale"][:, None], batch["level"][:, None]
    expected = 2 * (pinball.mean(dim=0) * scale)[known].sum() / (batch["target"] * scale + level).abs()[known].sum()
    assert logged["test/quantile_loss"].compute().item() == pytest.approx(expected.item(), rel=1e-3)


def test_training_windows_without_values_are_left_out(table: pd.DataFrame, tmp_path: Path) -> None:
    """A window that has nothing to forecast is none; values that are missing at an end are cut off."""
    count = len(make(table, tmp_path).windows["train"])
    table.loc[20:25, "target"] = None
    assert len(make(table, tmp_path).windows["train"]) == count - 4
    table.loc[59, "target"] = None
    assert len(make(table, tmp_path).tables[0][0].values) == 59


SEASONS = {"h": 24, "15min": 96, "D": 7, "7D": 52, "MS": 12, "ME": 12, "QS": 4, "YS": 1}


@pytest.mark.parametrize(("step", "season"), SEASONS.items())
def test_frequency_is_the_most_common_step(step: str, season: int, tmp_path: Path) -> None:
    """Steps of minutes to years are recognised, and have the season that custom gives them."""
    times = pd.date_range("2000-01-31" if step == "ME" else "2000-01-01", periods=200, freq=step)
    frame = pd.DataFrame({"series": 7, "time": times, "target": np.random.default_rng(0).normal(size=200)})
    frame.to_parquet(tmp_path / "table.parquet")
    (series,), _, found = DataModule(path=str(tmp_path / "table.parquet"), **SMALL).tables
    assert pd.tseries.frequencies.to_offset(found) == pd.tseries.frequencies.to_offset(step)
    assert series.scale == pytest.approx(np.abs(series.values[season:188] - series.values[: 188 - season]).mean())


def test_gaps_are_filled_where_asked(table: pd.DataFrame, tmp_path: Path) -> None:
    """Rows may come in any order; days that are not there are missing values, or a fault."""
    gone = table.drop(index=[30, 31]).sample(frac=1, random_state=0)
    with pytest.raises(UserError, match=r"row \d+, series 'a': 2024-02-02T00:00:00 follows 2024-01-30T00:00:00"):
        make(gone, tmp_path).prepare_data()
    values = make(gone, tmp_path, fill_gaps=True).tables[0][0].values
    assert np.isnan(values).nonzero()[0].tolist() == [30, 31]


@pytest.mark.parametrize("new", [False, True])
def test_predictions_are_a_table_with_plots(new: bool, table: pd.DataFrame, tmp_path: Path) -> None:
    """A row for each series and step, the truth where there is one, and a plot in a series' first row."""
    changes: dict[str, Any] = {"predict_plots": 1}
    if new:
        table.assign(series=table["series"] + "2").to_csv(tmp_path / "new.csv", index=False)
        changes["predict_path"] = str(tmp_path / "new.csv")
    data, model = make(table, tmp_path, **changes), build()
    with torch.no_grad():
        columns = model.predict_step(next(iter(data.predict_dataloader())), 0)
        forecast = model(torch.tensor(table["target"].to_numpy(np.float32)[None, 46 if new else 40 :][:, :14]))[0]
    assert columns["q0.9"][:3] == pytest.approx(forecast[:, 2].tolist(), rel=1e-4)
    assert list(columns) == ["input", "time", "q0.1", "q0.5", "q0.9", "truth", "plot"]
    assert {len(column) for column in columns.values()} == {6}
    assert columns["input"] == [name + "2" * new for name in "aaabbb"]
    days = ("2024-03-01", "2024-03-03") if new else ("2024-02-24", "2024-02-26")
    assert columns["time"][::5] == [f"{day}T00:00:00" for day in days]
    assert columns["truth"][0] == ("" if new else pytest.approx(table["target"][54], rel=1e-6))
    assert [getattr(cell, "size", cell) for cell in columns["plot"]] == [(900, 400), *[""] * 5]


@pytest.mark.parametrize(
    ("rows", "column", "value", "changes", "message"),
    [
        (3, "time", "soon", {}, r"column 'time', row 5 .*'soon' is no time"),
        (3, "time", "2024-01-04T00:00Z", {}, "row 5 .* has a time zone, and most have none"),
        (59, "time", "2024-02-28", {}, "row 61 .* is a time that its series has already"),
        (3, "target", "x", {}, "column 'target', row 5 .*'x' is no number"),
        (3, "target", "-inf", {}, "column 'target', row 5 .*'-inf' is infinite"),
        (119, "series", None, {}, "column 'series', row 121 .* is no name"),
        (slice(0, 59), "target", None, {}, "row 2, series 'a': it has no target"),
        (slice(0, 59), "target", 5, {}, "row 2, series 'a': no value to train on differs"),
        (0, "target", 1, {"context": 60}, r"row 2, series 'a': 60 steps, fewer than data.context .* = 75"),
        (0, "target", 1, {"season": 48}, "row 2, series 'a': 48 steps to train on, no more than data.season=48"),
        (0, "target", 1, {"horizon": 0, "frequency": "often"}, r"data\.horizon is a number from 1, not 0\n.*often"),
        (0, "target", 1, {"frequency": "h"}, r"2024-01-02T00:00:00 follows 2024-01-01T00:00:00, and a step is h"),
        (0, "target", 1, {"target_column": "targets"}, "no column 'targets'; did you mean 'target'"),
        (0, "target", 1, {"path": "nowhere.csv"}, "nowhere.csv is missing"),
    ],
)
def test_faults_are_named(
    rows: Any, column: str, value: Any, changes: dict, message: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    """What is wrong is named by file, row and series, before training, without a traceback."""
    table = table.astype(object)
    table.loc[rows, column] = value
    table.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(UserError, match=message):
        DataModule(**{"path": str(tmp_path / "table.csv"), **SMALL, **changes}).prepare_data()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantiles": [0.5, 0.5]}, r"model\.quantiles=\[0\.5, 0\.5\]: .* each above the last"),
        ({"quantiles": [0.5, 1.0]}, "between 0 and 1"),
        ({"patch": 30}, r"model\.patch=30, which is at most data\.context=14"),
        ({"stride": 9}, r"model\.stride=9 is from 1 to model\.patch=7"),
        ({"dim": 10, "heads": 4}, r"a multiple of model\.heads = 4, not 10"),
    ],
)
def test_bad_dials_are_named(changes: dict, message: str) -> None:
    """What a network cannot be is refused, with what would do."""
    with pytest.raises(UserError, match=message):
        build(**changes)
