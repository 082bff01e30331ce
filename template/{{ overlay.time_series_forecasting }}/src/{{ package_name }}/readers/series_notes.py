# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Print notes on series that may not be what was meant, but can be trained on."""

from ..harness.messages import note
from .series import TimeSeries

UNEVEN_RATIO = 10  # of the longest series to the shortest


def note_series(series: list[TimeSeries], held_out: int) -> None:
    """Note series that repeat another, differ greatly in length, or end at different times.

    Args:
        series: those to train on.
        held_out: steps at the end of each that are for `val` and `test`.
    """
    if series:
        note_repeated(series)
        note_uneven_lengths(series)
        note_overlap_in_time(series, held_out)


def note_repeated(series: list[TimeSeries]) -> None:
    """Note series with the same values, the first pair by name."""
    first_names: dict[bytes, str] = {}
    pairs = []
    for one in series:
        original = first_names.setdefault(one.values.tobytes(), one.name)
        if original != one.name:
            pairs.append((one.name, original))
    if pairs:
        name, original = pairs[0]
        note(
            f"{len(pairs)} series repeat another: {name!r} has the values of {original!r}; "
            "keep one of them"
        )


def note_uneven_lengths(series: list[TimeSeries]) -> None:
    """Note that the longest series has many times the steps of the shortest."""
    shortest = min(series, key=lambda one: len(one.values))
    longest = max(series, key=lambda one: len(one.values))
    most = len(longest.values)
    fewest = len(shortest.values)
    if most >= UNEVEN_RATIO * fewest:
        note(
            f"series are uneven: {longest.name!r} has {most} steps, {shortest.name!r} has {fewest}"
        )


def note_overlap_in_time(series: list[TimeSeries], held_out: int) -> None:
    """Note that one series is trained on at times at which another is held out."""
    ends_first = min(series, key=lambda one: one.times[-1])
    ends_last = max(series, key=lambda one: one.times[-1])
    trained_until = ends_last.times[-held_out - 1]
    held_out_from = ends_first.times[-held_out]
    if trained_until >= held_out_from:
        note(
            f"{ends_last.name!r} is trained on until {trained_until.isoformat()}, "
            f"{ends_first.name!r} is held out from {held_out_from.isoformat()}: "
            "if they influence each other, let them end at the same time"
        )
