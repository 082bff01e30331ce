# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reading many series from one long table, and what is wrong in it: the file, the row, the series, the fix."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from . import Faults, UserError, note
from .readers import some
from .tables import read_table, refuse, require

ZONE = r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"  # Z or an offset, behind a time of day
SEASONS = {"s": 3600, "min": 1440, "h": 24, "D": 7, "B": 5, "W": 52, "MS": 12, "ME": 12, "QS": 4, "QE": 4}


class Series(NamedTuple):
    """Values (T,) at even times (T,); missing ones are NaN, which neither the first nor the last is."""

    place: str  # the file and row in which it starts
    name: str
    times: pd.DatetimeIndex
    values: np.ndarray
    level: float = 0.0  # what the model is given is (values - level) / scale
    scale: float = 1.0


def read_series(
    path: str, hp: Any, frequency: str | None, faults: Faults, new: bool = False
) -> tuple[list[Series], str]:
    """The series of a .csv, .jsonl or Parquet table, and their frequency; what is wrong goes to the faults.

    Args:
        path: a table with a row for each series and time.
        hp: of the DataModule.
        frequency: pandas' name of it; None: the most common step of all series.
        faults: to add to.
        new: they are to be forecast, not to be learnt from.
    """
    rows, doubtful = read_rows(path, hp, faults)
    steps = rows.groupby("series")["time"].diff().dropna()
    most = frequency or (name_step(steps.mode()[0], rows["time"]) if len(steps) else "D")
    wrong, found = Faults(), []
    for name, part in rows.groupby("series"):
        place, own = f"{path}, row {part.index.min()}, series {name!r}", part["time"].diff().mode()
        if part["target"].isna().all():
            wrong.append(f"{place}: it has no target; fill some in, or take it out")
        elif frequency is None and len(own) and (step := name_step(own[0], rows["time"])) != most:
            wrong.append(f"{place}: its step is {step}, that of most is {most}; take it out, or resample it")
        elif name not in doubtful:  # what is wrong in a row may be what is missing after it
            with wrong:
                target = to_even(path, part, most, hp.fill_gaps)
                target = target[target.first_valid_index() : target.last_valid_index()]
                series = Series(place, str(name), pd.DatetimeIndex(target.index), target.to_numpy(float))
                found.append(measure_new(series, hp) if new else measure(series, hp, most))
    faults.extend(some(wrong, path, "series"))
    return found, most


def read_rows(path: str, hp: Any, faults: Faults) -> tuple[pd.DataFrame, set]:
    """The good rows as `series`, `time` and `target`, sorted by the first two; and the series that lack some."""
    columns = [hp.series_column, hp.time_column, hp.target_column]
    frame = read_table(path, faults)
    require(frame, columns)
    frame = frame[columns].astype("string")
    series, text, target = (frame[name] for name in columns)
    time = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    value = pd.to_numeric(target, errors="coerce").astype("float64")
    zoned = text.str.contains(ZONE).fillna(False).astype(bool)
    most = bool(zoned.sum() * 2 > len(zoned))
    rows = pd.DataFrame({"series": series, "time": time, "target": value.where(np.isfinite(value))})
    mixed = time.notna() & (zoned != most)
    zone = "no time zone, and most have one" if most else "a time zone, and most have none"
    lost = series.isna() | time.isna() | mixed
    twice = rows.duplicated(["series", "time"]) & ~lost
    for column, wrong, reason in (
        (hp.series_column, series.isna(), "is no name of a series; fill it in, or take the row out"),
        (hp.time_column, time.isna(), "is no time; write it like 2024-01-31 or 2024-01-31T18:30:00"),
        (hp.time_column, mixed, f"has {zone}; write all in one way"),
        (hp.time_column, twice, "is a time that its series has already; keep one of the rows"),
        (hp.target_column, value.isna() & target.notna(), "is no number; correct it, or leave it empty if missing"),
        (hp.target_column, np.isinf(value), "is infinite; correct it, or leave it empty if missing"),
        (hp.target_column, value.abs().between(1e30, 1e308), "is too large; correct it, or leave it empty if missing"),
    ):
        with faults:
            refuse(wrong.to_frame(column), frame, reason)
    rows = rows[~lost & ~twice].sort_values(["series", "time"])
    if not most:
        rows["time"] = rows["time"].dt.tz_localize(None)
    return rows, set(series[lost].dropna())


def to_even(path: str, part: pd.DataFrame, frequency: str, fill: bool) -> pd.Series:
    """The target of a series at even times; a UserError where that takes filling gaps that are not to be filled."""
    offset, times = to_offset(frequency), pd.DatetimeIndex(part["time"])
    target, after = pd.Series(part["target"].to_numpy(), times), times[:-1] + offset
    odd = np.flatnonzero(times[1:] != after)
    if fill and len(odd) and times[-1] - times[0] < 20 * len(times) * (after[0] - times[0]):  # no typing error
        grid = pd.date_range(times[0], times[-1], freq=offset)
        target, odd = target.reindex(grid), np.flatnonzero(~times.isin(grid)) - 1
    if len(odd):
        at = max(0, odd[0])
        found = f"series {part['series'].iloc[0]!r}: {times[at + 1].isoformat()} follows {times[at].isoformat()}"
        fix = "no whole step, or too many: correct the time" if fill else "add the rows, or set data.fill_gaps=true"
        raise UserError(f"{path}, row {part.index[at + 1]}, {found}, and a step is {frequency}; {fix}")
    return target


def name_step(step: Any, times: pd.Series) -> str:
    """Pandas' name of a step; months, quarters and years are of several lengths."""
    days = step / pd.Timedelta(days=1)
    for least, most, unit in ((28, 31, "M"), (90, 92, "Q"), (365, 366, "Y")):
        if least <= days <= most:
            return unit + ("E" if times.dt.is_month_end.mean() > 0.5 else "S")
    return ("D" if days == 1 else f"{days:.0f}D") if days % 1 == 0 else to_offset(step).freqstr


def check_dials(hp: Any) -> None:
    """A UserError for those of the data that make no windows."""
    faults, least = Faults(), dict.fromkeys(("horizon", "train_stride", "season", "val_windows", "test_windows"), 1)
    for name, low in {"context": 2, **least}.items():
        if hp[name] is not None and hp[name] < low:
            faults.append(f"data.{name} is a number from {low}, not {hp[name]}")
    with faults:
        season_of(hp.frequency or "h")
    faults.refuse()


def season_of(frequency: str) -> int:
    """Steps of a season by custom: a day of hours and minutes, a week of days, a year of weeks and months."""
    try:
        offset = to_offset(frequency)
    except ValueError as error:
        raise UserError(f"data.frequency={frequency!r}: pandas has h, 15min, D, W-SUN, MS; not this") from error
    if offset.n < 1:
        raise UserError(f"data.frequency={frequency!r} goes back: a step goes ahead")
    whole = 364 if offset.freqstr == "7D" else SEASONS.get(offset.base.freqstr.split("-")[0], 1)
    return whole // offset.n if whole % offset.n == 0 else 1


def measure(series: Series, hp: Any, frequency: str) -> Series:
    """With the mean of its training part, and MASE's scale: its mean absolute error of the seasonal naive forecast.

    Raises:
        UserError: for a series that is too short, or has no such error.
    """
    place, length, season = series.place, len(series.values), hp.season or season_of(frequency)
    held = hp.horizon * (hp.val_windows + hp.test_windows)
    train = series.values[: max(0, length - held)]
    if len(train) < (needs := hp.context + hp.horizon):
        rule = f"data.context + data.horizon * (1 + data.val_windows + data.test_windows) = {needs + held}"
        raise UserError(f"{place}: {length} steps, fewer than {rule}; lower these, or take it out")
    if len(train) <= season:
        raise UserError(f"{place}: {len(train)} steps to train on, no more than data.season={season}; lower it")
    error = np.abs(train[season:] - train[:-season])
    scale = error[np.isfinite(error)].mean() if np.isfinite(error).any() else 0.0
    if scale <= 1e-9 * np.nanmax(np.abs(series.values)):
        rule = f"no value to train on differs from the one data.season={season} steps before"
        raise UserError(f"{place}: {rule}, so that MASE has no scale; take it out")
    return series._replace(level=float(np.nanmean(train)), scale=float(scale))


def refuse_unknown(series: list[Series], splits: list[Any], horizon: int) -> None:
    """A UserError for a split in which no value is known that is to be forecast; it has the origins of each series."""
    for split, origins in zip(("train", "val", "test"), splits):
        targets = [one.values[at : at + horizon] for one, places in zip(series, origins) for at in places]
        if not any(np.isfinite(values).any() for values in targets):
            raise UserError(f"{split} has no value to forecast: fill in some, or lower data.horizon and data.*_windows")


def measure_new(series: Series, hp: Any) -> Series:
    """With its mean and standard deviation; a UserError where it is too short to be forecast."""
    if len(series.values) < hp.context:
        raise UserError(f"{series.place}: {len(series.values)} steps, fewer than data.context={hp.context}; add some")
    return series._replace(level=float(np.nanmean(series.values)), scale=float(np.nanstd(series.values)) or 1.0)


def note_likeness(series: list[Series], held: int) -> None:
    """Say which series repeat another, are of other lengths, or are trained on while others are tested.

    Args:
        series: those to train on.
        held: steps at their ends that are not for training.
    """
    if not series:
        return
    first: dict[bytes, str] = {}
    twins = [(s.name, one) for s in series if (one := first.setdefault(s.values.tobytes(), s.name)) != s.name]
    if twins:
        note(f"{len(twins)} series repeat another: {twins[0][0]!r} has the values of {twins[0][1]!r}; keep one of them")
    short, long = (pick(series, key=lambda s: len(s.values)) for pick in (min, max))
    if len(long.values) >= 10 * len(short.values):
        note(f"series are uneven: {long.name!r} has {len(long.values)} steps, {short.name!r} {len(short.values)}")
    early, late = (pick(series, key=lambda s: s.times[-1]) for pick in (min, max))
    if late.times[-held - 1] >= early.times[-held]:
        until, since = late.times[-held - 1].isoformat(), early.times[-held].isoformat()
        both = f"{late.name!r} is trained on until {until}, {early.name!r} held out from {since}"
        note(f"{both}: if they move together, let them end at the same time")
