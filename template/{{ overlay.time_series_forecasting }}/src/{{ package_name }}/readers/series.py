# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Read many time series from one table; errors name the file, the row and the series."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..harness.errors import ErrorCollector, UserError
from .frequencies import name_step, parse_frequency
from .table_checks import first_lines, report_column, require_columns
from .tables import read_table

# A time zone behind a time of day: Z or an offset such as +02:00.
TIME_ZONE = r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"
MAX_TARGET = 1e30  # larger values overflow the model's single precision when they are squared
MAX_FILLED_PER_TIME = 20  # a series that would be filled with more has a misspelt time
DEFAULT_FREQUENCY = "D"  # where no series has two times


@dataclass(frozen=True)
class TimeSeries:
    """Values (T,) at evenly spaced times (T,).

    Missing values are NaN; the first and the last value are known. The model is given
    `(values - level) / scale`, see `units.py`.
    """

    place: str  # the file, row and name, for error messages
    name: str
    times: pd.DatetimeIndex
    values: np.ndarray
    level: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class SeriesTable:
    """The series of a table, and pandas' name of the step from one time to the next."""

    series: list[TimeSeries]
    frequency: str


@dataclass(frozen=True)
class CheckedRows:
    """The usable rows of a table.

    Args:
        rows: with the columns `series`, `time` and `target`, sorted by the first two.
        incomplete: names of the series of which rows could not be used.
    """

    rows: pd.DataFrame
    incomplete: set[str]


def read_series(
    path: str, options: Any, frequency: str | None, errors: ErrorCollector
) -> SeriesTable:
    """Read the series of a table.

    Args:
        path: a .csv, .jsonl or Parquet table with a row for each series and time.
        options: the hyperparameters of the DataModule, which name the columns.
        frequency: pandas' name of the step; by default the most common step of all series.
        errors: collects what is wrong with rows and series, which are left out.

    Raises:
        UserError: if the table cannot be read, or lacks a column.
    """
    checked = read_rows(path, options, errors)
    rows = checked.rows
    common = frequency or most_common_step(rows)
    series_errors = ErrorCollector()
    series = []
    for name, part in rows.groupby("series"):
        place = f"{path}, row {part.index.min()}, series {name!r}"
        with series_errors:
            check_target(part, place)
            if frequency is None:
                check_step(part, common, rows["time"], place)
            # Otherwise an unusable row would be reported again, as a gap.
            if name not in checked.incomplete:
                target = space_evenly(path, part, common, options.fill_gaps)
                series.append(trim(target, place, str(name)))
    errors.extend(first_lines(series_errors, path, "series"))
    return SeriesTable(series, common)


# Rows


def read_rows(path: str, options: Any, errors: ErrorCollector) -> CheckedRows:
    """Read the table and report the rows that cannot be used."""
    columns = [options.series_column, options.time_column, options.target_column]
    frame = read_table(path, errors)
    require_columns(frame, columns)
    frame = frame[columns].astype("string")
    names = frame[options.series_column]
    is_nameless = names.isna()
    report_column(
        names, is_nameless, "the series has no name; fill it in or remove the row", errors
    )
    times = parse_times(frame[options.time_column], errors)
    targets = parse_targets(frame[options.target_column], errors)
    rows = pd.DataFrame(
        {
            "series": names,
            "time": times,
            "target": targets,
        }
    )
    unusable = is_nameless | times.isna()
    repeated = rows.duplicated(["series", "time"]) & ~unusable
    report_column(
        frame[options.time_column],
        repeated,
        "{value} is a time that its series has already; keep one of the rows",
        errors,
    )
    usable = rows[~unusable & ~repeated]
    incomplete = names[unusable].dropna()
    return CheckedRows(usable.sort_values(["series", "time"]), set(incomplete))


def parse_times(column: pd.Series, errors: ErrorCollector) -> pd.Series:
    """Parse times in ISO 8601, in UTC if they have a zone; those that are wrong become missing."""
    is_missing = column.isna()
    report_column(column, is_missing, "the time is missing; fill it in or remove the row", errors)
    times = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
    is_unreadable = times.isna() & ~is_missing
    fix = "write it like 2024-01-31 or 2024-01-31T18:30:00"
    report_column(column, is_unreadable, f"{{value}} is not a time; {fix}", errors)
    has_zone = column.str.contains(TIME_ZONE).fillna(False).astype(bool)
    most_have_zone = has_zone.mean() > 0.5
    is_odd = times.notna() & (has_zone != most_have_zone)
    if most_have_zone:
        rule = "{value} has no time zone, but most times have one"
    else:
        rule = "{value} has a time zone, but most times have none"
    report_column(column, is_odd, f"{rule}; write all of them alike", errors)
    times = times.mask(is_odd)
    if most_have_zone:
        return times
    return times.dt.tz_localize(None)


def parse_targets(column: pd.Series, errors: ErrorCollector) -> pd.Series:
    """Parse the values to forecast; those that are not finite are missing."""
    fix = "correct it, or leave it empty if it is missing"
    values = pd.to_numeric(column, errors="coerce").astype("float64")
    is_text = values.isna() & column.notna()
    report_column(column, is_text, f"{{value}} is not a number; {fix}", errors)
    is_infinite = values.abs() == np.inf
    report_column(column, is_infinite, f"{{value}} is infinite; {fix}", errors)
    is_large = (values.abs() >= MAX_TARGET) & ~is_infinite
    report_column(column, is_large, f"{{value}} is too large; {fix}", errors)
    return values.mask(is_infinite)


# Series


def trim(target: pd.Series, place: str, name: str) -> TimeSeries:
    """A series from its first to its last known value."""
    first = target.first_valid_index()
    last = target.last_valid_index()
    known = target[first:last]
    times = pd.DatetimeIndex(known.index)
    return TimeSeries(place, name, times, known.to_numpy(float))


def most_common_step(rows: pd.DataFrame) -> str:
    """Pandas' name of the step that most pairs of successive times have."""
    steps = rows.groupby("series")["time"].diff().dropna()
    if steps.empty:
        return DEFAULT_FREQUENCY
    return name_step(steps.mode()[0], rows["time"])


def check_target(rows: pd.DataFrame, place: str) -> None:
    """Raise a UserError if no target of a series is known."""
    if rows["target"].isna().all():
        raise UserError(f"{place}: all targets are missing; fill some in or remove the series")


def check_step(rows: pd.DataFrame, common: str, all_times: pd.Series, place: str) -> None:
    """Raise a UserError if the most common step of a series is not that of most series."""
    steps = rows["time"].diff().mode()
    if steps.empty:
        return
    step = name_step(steps[0], all_times)
    if step != common:
        raise UserError(
            f"{place}: its step is {step}, but that of most is {common}; resample or remove it"
        )


def space_evenly(path: str, rows: pd.DataFrame, frequency: str, fill_gaps: bool) -> pd.Series:
    """The target of a series by time, in even steps.

    Args:
        path: of the table.
        rows: of the series, sorted by time.
        frequency: pandas' name of a step.
        fill_gaps: insert missing values at the times that are not there.

    Raises:
        UserError: if there are gaps that are not to be filled, are not a whole number of steps, or
            are so long that the time must be wrong.
    """
    offset = parse_frequency(frequency)
    times = pd.DatetimeIndex(rows["time"])
    target = pd.Series(rows["target"].to_numpy(), times)
    expected = times[:-1] + offset
    gaps = np.flatnonzero(times[1:] != expected)
    if len(gaps) == 0:
        return target
    if not fill_gaps:
        fix = "add the missing rows or set data.fill_gaps=true"
        raise gap_error(path, rows, gaps[0], frequency, fix)
    start = times[0]
    end = times[-1]
    step = expected[0] - start
    if end - start >= MAX_FILLED_PER_TIME * len(times) * step:
        fix = "correct the time, or remove the series, most of which is missing"
        raise gap_error(path, rows, gaps[0], frequency, fix)
    grid = pd.date_range(start, end, freq=offset)
    off_grid = np.flatnonzero(~times.isin(grid))
    if len(off_grid) > 0:
        before = max(0, off_grid[0] - 1)
        fix = "correct the time, which is not a whole number of steps later"
        raise gap_error(path, rows, before, frequency, fix)
    return target.reindex(grid)


def gap_error(path: str, rows: pd.DataFrame, before: int, frequency: str, fix: str) -> UserError:
    """The error for an uneven step after the row at position `before` of a series."""
    name = rows["series"].iloc[before]
    earlier = rows["time"].iloc[before]
    later = rows["time"].iloc[before + 1]
    place = f"{path}, row {rows.index[before + 1]}, series {name!r}"
    return UserError(
        f"{place}: {later.isoformat()} follows {earlier.isoformat()}, "
        f"but a step is {frequency}; {fix}"
    )
