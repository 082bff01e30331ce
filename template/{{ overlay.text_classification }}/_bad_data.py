"""Labelled texts with every error that the readers know, and texts to predict."""

import json
from pathlib import Path
from typing import NamedTuple

GOOD_TEXTS = 80
BAD_TEXTS = 3

# Lines of train.jsonl, by their numbers.
BROKEN_LINES = {
    5: b'{"text": "unfinished',
    6: b'["a text", "good"]',
    7: b'{"text": ["a", "list"], "label": "good"}',
    8: b'{"text": null, "label": "good"}',
    9: b'{"text": "   ", "label": "good"}',
    10: b'{"text": "a NUL \\u0000 in it", "label": "good"}',
    11: b'{"text": "no label"}',
    12: b'{"text": "a space after it", "label": "good "}',
    13: b'{"text": "good number 13", "label": "bad"}',
    15: b'{"text": "caf\xe9", "label": "good"}',
}
VAL_ROWS = (
    "text,label",
    "good number 20,good",
    '"one, two",bad',
    "never seen,ugly",
    "one,two,three",
    ",bad",
)


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write a folder with a table for each split, and a table to predict."""
    data = folder / "data"
    new = folder / "new.csv"
    data.mkdir()
    (data / "train.jsonl").write_bytes(make_training_lines())
    (data / "val.csv").write_text("\n".join(VAL_ROWS))
    (data / "test.csv").write_text("text,lable\nanother,good\n")
    (data / "valid.csv").write_text("text,label\nanother,good\n")
    new.write_text("text\nfine\n \n")
    return BadData(
        options=[f"--data.path={data}", f"--data.predict_path={new}"],
        errors=[
            "train.jsonl, line 5: Unterminated string",
            'train.jsonl, line 6: \'["a text", "good"]\' is not an object',
            "train.jsonl, line 7: 'text' is a list or an object",
            "train.jsonl, column 'text', line 8: the text is missing",
            "train.jsonl, column 'text', line 9: '   ' is blank",
            "train.jsonl, column 'text', line 10: 'a NUL \\x00 in it' contains a NUL",
            "train.jsonl, column 'label', line 11: the label is missing",
            "train.jsonl, column 'label', line 12: 'good ' has spaces around it",
            "train.jsonl:13 and",
            "train.jsonl, line 15: byte 14, 0xe9",
            "val.csv:4: val has class 'ugly'",
            "val.csv, row 5 (the header is row 1): expected 2 values as in the header, got 3",
            "val.csv, column 'text', row 6 (the header is row 1): the text is missing",
            "test.csv: there is no column 'label'; did you mean 'lable'?",
            "valid.csv: a folder must have one table for each",
            "new.csv, column 'text', row 3 (the header is row 1): ' ' is blank",
        ],
        notes=["of 'good' and 4 of 'bad'", "1 of val are in train as well"],
    )


def make_training_lines() -> bytes:
    """Lines of two uneven classes, some of which are broken."""
    lines = [make_line(f"good number {i}", "good") for i in range(GOOD_TEXTS)]
    for i in range(BAD_TEXTS):
        lines.append(make_line(f"bad number {i}", "bad"))
    for number, line in BROKEN_LINES.items():
        lines[number - 1] = line
    return b"\n".join(lines)


def make_line(text: str, label: str) -> bytes:
    return json.dumps({"text": text, "label": label}).encode()
