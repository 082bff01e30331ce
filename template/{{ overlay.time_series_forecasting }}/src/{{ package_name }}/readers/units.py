# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The unit of each series: the model is given `(values - level) / scale`."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..harness.errors import ErrorCollector, UserError
from .frequencies import season_length
from .series import SeriesTable, TimeSeries
from .table_checks import first_lines

SMALLEST_ERROR = 1e-9  # of the largest value: less is rounding


def set_training_units(
    table: SeriesTable, options: Any, path: str, errors: ErrorCollector
) -> SeriesTable:
    """Set the unit of every series to train on; report and leave out those that have none.

    Args:
        table: the series.
        options: the hyperparameters of the DataModule.
        path: of the table, for error messages.
        errors: to which the lines are added.
    """
    season = options.season or season_length(table.frequency)
    series = []
    series_errors = ErrorCollector()
    for one in table.series:
        with series_errors:
            check_length(one, season, options)
            series.append(with_training_unit(one, season, options))
    errors.extend(first_lines(series_errors, path, "series"))
    return replace(table, series=series)


def set_own_units(
    table: SeriesTable, context: int, path: str, errors: ErrorCollector
) -> SeriesTable:
    """Set the unit of every new series; report and leave out those shorter than the context."""
    series = []
    series_errors = ErrorCollector()
    for one in table.series:
        with series_errors:
            series.append(with_own_unit(one, context))
    errors.extend(first_lines(series_errors, path, "series"))
    return replace(table, series=series)


def check_length(series: TimeSeries, season: int, options: Any) -> None:
    """Raise a UserError if a series is too short for a training window, or for a season."""
    length = len(series.values)
    held_out = options.horizon * (options.val_windows + options.test_windows)
    needed = options.context + options.horizon + held_out
    if length < needed:
        rule = "data.context + data.horizon * (1 + data.val_windows + data.test_windows)"
        raise UserError(
            f"{series.place}: {length} steps are fewer than {rule} = {needed}; "
            "lower these or remove the series"
        )
    if length - held_out <= season:
        raise UserError(
            f"{series.place}: {length - held_out} training steps are not more than "
            f"data.season={season}; lower it"
        )


def with_training_unit(series: TimeSeries, season: int, options: Any) -> TimeSeries:
    """Set the level to the mean of the training part, and the scale to its seasonal naive error.

    This is the scale of MASE: the mean absolute difference of a value from the one a season earlier
    (Hyndman and Koehler, Int. J. of Forecasting 2006). What is held out does not count.

    Raises:
        UserError: if the series repeats itself exactly after each season.
    """
    held_out = options.horizon * (options.val_windows + options.test_windows)
    training_values = series.values[:-held_out]
    differences = np.abs(training_values[season:] - training_values[:-season])
    known = differences[np.isfinite(differences)]
    scale = known.mean() if len(known) > 0 else 0.0
    if scale <= SMALLEST_ERROR * np.nanmax(np.abs(series.values)):
        raise UserError(
            f"{series.place}: no training value differs from the one data.season={season} steps "
            "earlier, so MASE has no scale; remove the series"
        )
    return replace(series, level=float(np.nanmean(training_values)), scale=float(scale))


def with_own_unit(series: TimeSeries, context: int) -> TimeSeries:
    """Set the level to the mean and the scale to the standard deviation of a new series.

    Raises:
        UserError: if the series is shorter than the context.
    """
    length = len(series.values)
    if length < context:
        raise UserError(
            f"{series.place}: {length} steps are fewer than data.context={context}; "
            "add earlier ones"
        )
    level = float(np.nanmean(series.values))
    deviation = float(np.nanstd(series.values))
    return replace(series, level=level, scale=deviation or 1.0)  # a constant is only shifted
