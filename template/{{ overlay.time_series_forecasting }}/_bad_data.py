"""A table in which much is wrong: what `fit` has to name, each in a line of its own."""

from pathlib import Path

import numpy as np
import pandas as pd


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Write `sales.csv`; return the options of `fit`, what is to be said, and the notes beside it."""
    values, rows = np.random.default_rng(0), []

    def add(name: str, count: int, freq: str = "h", start: str = "2024-01-01") -> pd.DataFrame:
        times = pd.date_range(start, periods=count, freq=freq).strftime("%Y-%m-%dT%H:%M")
        frame = pd.DataFrame({"shop": name, "when": times, "sold": values.normal(100, 9, count).round(3).astype(str)})
        rows.append(frame)
        return frame

    twin = add("good", 1000)
    rows.append(twin.assign(shop="twin"))
    for name, row, column, value in (
        ("typo", 3, "when", "soon"),
        ("zoned", 4, "when", "2024-01-01T04:00+02:00"),
        ("double", 5, "when", "2024-01-01T04:00"),
        ("words", 6, "sold", "many"),
        ("endless", 7, "sold", "inf"),
    ):
        add(name, 90).loc[row, column] = value
    rows.append(pd.DataFrame({"shop": [None], "when": ["2024-01-09T00:00"], "sold": ["1"]}))
    gap = add("gap", 90)
    rows[-1] = gap.drop(index=[20, 21])
    add("short", 30)
    add("constant", 90)["sold"] = "7"
    add("empty", 90)["sold"] = None
    add("daily", 90, "D")
    add("late", 90, start="2024-03-01")
    table = pd.concat(rows, ignore_index=True)
    table.to_csv(folder / "sales.csv", index=False)

    def at(name: str, step: int = 0) -> str:
        return f"row {(table['shop'] == name).idxmax() + 2 + step}"

    said = [
        f"column 'shop', row {table['shop'].isna().idxmax() + 2} (the header is 1): nothing is no name of a series",
        f"column 'when', {at('typo', 3)} (the header is 1): 'soon' is no time",
        f"column 'when', {at('zoned', 4)} (the header is 1): '2024-01-01T04:00+02:00' has a time zone",
        f"column 'when', {at('double', 5)} (the header is 1): '2024-01-01T04:00' is a time that its series has already",
        f"column 'sold', {at('words', 6)} (the header is 1): 'many' is no number",
        f"column 'sold', {at('endless', 7)} (the header is 1): 'inf' is infinite",
        f"{at('gap', 20)}, series 'gap': 2024-01-01T22:00:00 follows 2024-01-01T19:00:00, and a step is h",
        f"{at('double', 6)}, series 'double': 2024-01-01T06:00:00 follows 2024-01-01T04:00:00",
        f"{at('short')}, series 'short': 30 steps, fewer than data.context",
        f"{at('constant')}, series 'constant': no value to train on differs from the one data.season=24 steps before",
        f"{at('empty')}, series 'empty': it has no target",
        f"{at('daily')}, series 'daily': its step is D, that of most is h",
    ]
    notes = [
        "1 series repeat another: 'twin' has the values of 'good'",
        "series are uneven: 'good' has 1000 steps, 'endless' 90",
        "'late' is trained on until 2024-03-04T05:00:00",
    ]
    names = ["--data.series_column=shop", "--data.time_column=when", "--data.target_column=sold"]
    sizes = ["--data.context=48", "--data.horizon=6", "--data.val_windows=1", "--data.test_windows=1"]
    return [f"--data.path={folder / 'sales.csv'}", *names, *sizes], said, notes
