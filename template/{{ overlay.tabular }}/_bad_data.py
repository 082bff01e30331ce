"""A table with every error that the readers know, and one to predict."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

HEADER = ["age", "height", "weight", "clinic", "town", "code", "code", "kind", "part"]
AGE, HEIGHT, WEIGHT, CLINIC, TOWN, _, _, KIND, PART = range(len(HEADER))

# Rows are numbered as in a spreadsheet; the header is row 1.
FIRST_ROW = 2
FIRST_VAL_ROW = 102
FIRST_TEST_ROW = 122
END_ROW = 142

LINES_TO_PREDICT = (
    '{"age": 30',
    "[30, 170]",
    '{"age": [30], "weight": 70}',
    '{"age": "ten", "clinic": "d", "town": "x"}',
)


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write a table to train on and rows to predict."""
    table = folder / "table.csv"
    new = folder / "new.jsonl"
    rows = {1: HEADER}
    rows.update(make_rows())
    break_rows(rows)
    lines = [",".join(cells) for cells in rows.values()]
    table.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    new.write_text("\n".join(LINES_TO_PREDICT))
    return BadData(
        options=[
            f"--data.path={table}",
            f"--data.predict_path={new}",
            "--data.target=kind",
            "--data.split_column=part",
            "--data.numeric=[age,height,weight,width]",
            "--data.categorical=[clinic,town,height]",
        ],
        errors=[
            "table.csv, line 12: byte 17, 0xe9, is not UTF-8",
            "table.csv, row 1 (the header): 2 columns are named 'code'",
            "row 9 (the header is row 1): expected 9 values as in the header, got 10",
            "row 11 (the header is row 1): expected 9 values as in the header, got 8",
            "table.csv: there is no column 'width'",
            "column 'height' has 2 roles",
            "'age', row 5 (the header is row 1): 'old' is not a finite number",
            "'weight', row 6 (the header is row 1): '-inf' is not a finite number",
            "'kind', row 7 (the header is row 1): the target is missing",
            "'part', row 8 (the header is row 1): 'dev' is not a split",
            "'kind', row 13 (the header is row 1): class 'maybe' has a single row",
            "'clinic', row 104 (the header is row 1): 'c' is in no training row",
            "'kind', row 105 (the header is row 1): class 'never' is in no training row",
            "'town', row 124 (the header is row 1): 'z' is in no training row",
            "new.jsonl, line 1: Expecting ',' delimiter",
            "new.jsonl, line 2: '[30, 170]' is not an object",
            "new.jsonl, line 3: 'age' is a list or an object",
            "new.jsonl: there is no column 'weight'",
            "'age', line 4: 'ten' is not a finite number",
            "'clinic', line 4: 'd' is in no training row",
        ],
        notes=[
            "of 'no' and 1 of 'maybe'",
            "1 of val are in train as well: row 107 is row 3",
        ],
    )


def make_rows() -> dict[int, list[str]]:
    """Rows without an error, by their numbers."""
    random = np.random.default_rng(0)
    rows = {}
    for number in range(FIRST_ROW, END_ROW):
        height = f"{random.normal(170, 9):.3f}"
        weight = str(70 + number % 9)
        clinic = "ab"[number % 2]
        town = "xy"[number % 2]
        kind = "no" if number % 20 else "yes"
        if number < FIRST_VAL_ROW:
            split = "train"
        elif number < FIRST_TEST_ROW:
            split = "val"
        else:
            split = "test"
        rows[number] = [str(number), height, weight, clinic, town, "1", "2", kind, split]
    return rows


def break_rows(rows: dict[int, list[str]]) -> None:
    # Rows of `train`.
    rows[5][AGE] = "old"
    rows[6][WEIGHT] = "-inf"
    rows[7][KIND] = ""
    rows[8][PART] = "dev"
    rows[9].insert(WEIGHT, "7")
    rows[11].pop(WEIGHT)
    rows[12][TOWN] = "\udce9"  # is written as a byte that is not UTF-8
    rows[13][KIND] = "maybe"
    # Rows of `val`.
    rows[104][CLINIC] = "c"
    rows[105][KIND] = "never"
    rows[107] = list(rows[3])
    rows[107][PART] = "val"
    # A row of `test`.
    rows[124][TOWN] = "z"
