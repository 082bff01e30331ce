"""Text with every error that the readers know."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Line 1 has no error.
BAD_LINES = (
    '{"text": "good"}',
    '{"text": "cut',
    '{"words": "none"}',
    '{"text": 7}',
    '{"text": "  "}',
    "[1, 2]",
    "",
    json.dumps({"text": "zero \0 byte"}),
    json.dumps({"text": None}),
    '{"text": "\\ud800"}',
)


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write a folder of text with splits."""
    for split in ("train", "val", "test"):
        (folder / split).mkdir(parents=True)
        (folder / split / "good.txt").write_text(f"A good text for {split}. " * 100)
    (folder / "train" / "long.txt").write_text("A long text. " * 2000)
    (folder / "test" / "again.txt").write_text("A long text. " * 2000)
    (folder / "train" / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (folder / "train" / "zero.txt").write_bytes(b"ends\0 here")
    (folder / "train" / "lines.jsonl").write_text("\n".join(BAD_LINES))
    np.save(folder / "val" / "floats.npy", np.zeros(500))
    np.save(folder / "val" / "signed.npy", np.zeros(500, np.int64))
    np.save(folder / "test" / "rows.npy", np.zeros((5, 5), np.uint8))
    (folder / "test" / "text.npy").write_text("no array")
    return BadData(
        options=[f"--data.path={folder}"],
        errors=[
            "latin.txt, byte 2: text must be UTF-8",
            "zero.txt: contains a zero byte",
            *[f"lines.jsonl:{number}: " for number in range(2, len(BAD_LINES) + 1)],
            "floats.npy: token ids must be unsigned integers in one dimension, not float64",
            "signed.npy: token ids must be unsigned integers in one dimension, not int64",
            "rows.npy: token ids must be unsigned integers in one dimension, not uint8 of shape",
            "text.npy: cannot be read",
        ],
        notes=["1 of test are in train as well", "long.txt has 9"],
    )
