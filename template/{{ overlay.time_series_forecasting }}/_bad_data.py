"""A table with every error that the readers know, for the test that `fit` reports all of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

FIRST_ROW = 2  # rows are numbered as in a spreadsheet, where row 1 is the header
LONG = 1000
USUAL = 90
SHORT = 30


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write `sales.csv`, a table with an error in most of its series."""
    table = pd.concat(make_series(), ignore_index=True)
    path = folder / "sales.csv"
    table.to_csv(path, index=False)

    def row(shop: str, step: int = 0) -> int:
        first = (table["shop"] == shop).idxmax()
        return first + FIRST_ROW + step

    def place(column: str, number: int) -> str:
        return f"column '{column}', row {number} (the header is row 1)"

    nameless = table["shop"].isna().idxmax() + FIRST_ROW
    zoned = "'2024-01-01T04:00+02:00'"
    repeated = "'2024-01-01T04:00'"
    return BadData(
        options=[
            f"--data.path={path}",
            "--data.series_column=shop",
            "--data.time_column=when",
            "--data.target_column=sold",
            "--data.context=48",
            "--data.horizon=6",
            "--data.val_windows=1",
            "--data.test_windows=1",
        ],
        errors=[
            f"{place('shop', nameless)}: the series has no name",
            f"{place('when', row('timeless', 2))}: the time is missing",
            f"{place('when', row('typo', 3))}: 'soon' is not a time",
            f"{place('when', row('zoned', 4))}: {zoned} has a time zone",
            f"{place('when', row('repeated', 5))}: {repeated} is a time that its series has",
            f"{place('sold', row('words', 6))}: 'many' is not a number",
            f"{place('sold', row('infinite', 7))}: 'inf' is infinite",
            f"row {row('gap', 20)}, series 'gap': 2024-01-01T22:00:00 follows 2024-01-01T19:00:00",
            f"row {row('repeated', 6)}, series 'repeated': 2024-01-01T06:00:00 follows 2024",
            f"row {row('short')}, series 'short': 30 steps are fewer than data.context",
            f"row {row('constant')}, series 'constant': no training value differs",
            f"row {row('empty')}, series 'empty': all targets are missing",
            f"row {row('daily')}, series 'daily': its step is D, but that of most is h",
        ],
        notes=[
            "1 series repeat another: 'twin' has the values of 'good'",
            "series are uneven: 'good' has 1000 steps, 'infinite' has 90",
            "'late' is trained on until 2024-03-04T05:00:00",
        ],
    )


def make_series() -> list[pd.DataFrame]:
    """One frame per series; each is named after what is wrong with it."""
    random = np.random.default_rng(0)

    def make(
        shop: str, length: int = USUAL, frequency: str = "h", start: str = "2024-01-01"
    ) -> pd.DataFrame:
        times = pd.date_range(start, periods=length, freq=frequency)
        sold = random.normal(100, 9, length).round(3)
        return pd.DataFrame(
            {
                "shop": shop,
                "when": times.strftime("%Y-%m-%dT%H:%M"),
                "sold": sold.astype(str),
            }
        )

    good = make("good", LONG)
    twin = good.assign(shop="twin")
    timeless = make("timeless")
    timeless.loc[2, "when"] = None
    typo = make("typo")
    typo.loc[3, "when"] = "soon"
    zoned = make("zoned")
    zoned.loc[4, "when"] = "2024-01-01T04:00+02:00"
    repeated = make("repeated")
    repeated.loc[5, "when"] = "2024-01-01T04:00"
    words = make("words")
    words.loc[6, "sold"] = "many"
    infinite = make("infinite")
    infinite.loc[7, "sold"] = "inf"
    nameless = pd.DataFrame({"shop": [None], "when": ["2024-01-09T00:00"], "sold": ["1"]})
    gap = make("gap").drop(index=[20, 21])
    short = make("short", SHORT)
    constant = make("constant").assign(sold="7")
    empty = make("empty").assign(sold=None)
    daily = make("daily", frequency="D")
    late = make("late", start="2024-03-01")
    return [
        good,
        twin,
        timeless,
        typo,
        zoned,
        repeated,
        words,
        infinite,
        nameless,
        gap,
        short,
        constant,
        empty,
        daily,
        late,
    ]
