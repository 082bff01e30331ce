# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Frequencies by their pandas names, such as h, 15min, D or MS, and their usual seasons."""

from typing import Any

import pandas as pd
from pandas.tseries.frequencies import to_offset
from pandas.tseries.offsets import BaseOffset

from ..harness.errors import UserError

# Steps per season: a day has 24 hours or 1440 minutes, a week 7 days, a year 12 months.
SEASON_LENGTHS = {
    "s": 3600,
    "min": 1440,
    "h": 24,
    "D": 7,
    "B": 5,
    "W": 52,
    "MS": 12,
    "ME": 12,
    "QS": 4,
    "QE": 4,
}
DAYS_IN_52_WEEKS = 364
# Months, quarters and years differ in length: the fewest and most days, and pandas' letter.
CALENDAR_STEPS = [(28, 31, "M"), (90, 92, "Q"), (365, 366, "Y")]


def parse_frequency(frequency: str) -> BaseOffset:
    """Turn the value of `data.frequency` into an offset from one time to the next.

    Raises:
        UserError: if pandas does not know the name, or it leads back in time.
    """
    try:
        offset = to_offset(frequency)
    except ValueError as error:
        raise UserError(
            f"data.frequency={frequency!r}: pandas has no such frequency; "
            "use a name such as h, 15min, D, W-SUN or MS"
        ) from error
    if offset.n < 1:
        raise UserError(
            f"data.frequency={frequency!r}: a step must lead forward in time; remove the sign"
        )
    return offset


def season_length(frequency: str) -> int:
    """Steps in the usual season, a day, a week or a year; 1 if it is no whole number of steps.

    Raises:
        UserError: see `parse_frequency`.
    """
    offset = parse_frequency(frequency)
    if offset.freqstr == "7D":
        units_per_season = DAYS_IN_52_WEEKS
    else:
        unit = offset.base.freqstr.split("-")[0]  # without the anchor of W-SUN or QS-FEB
        units_per_season = SEASON_LENGTHS.get(unit, 1)
    if units_per_season % offset.n != 0:
        return 1
    return units_per_season // offset.n


def name_step(step: Any, times: pd.Series) -> str:
    """Pandas' name of a step, a `Timedelta`, that is the most common one between times.

    Steps of months, quarters and years are from end to end if most times are at the end of a month.
    """
    days = step / pd.Timedelta(days=1)
    for fewest, most, letter in CALENDAR_STEPS:
        if fewest <= days <= most:
            at_month_ends = times.dt.is_month_end.mean() > 0.5
            return letter + ("E" if at_month_ends else "S")
    if days == 1:
        return "D"
    if days.is_integer():
        return f"{days:.0f}D"
    return to_offset(step).freqstr
