"""Text with which all is wrong."""

import json
from pathlib import Path

import numpy as np


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Write it; return the options that name it, a piece of each line of faults, and of each note."""
    for split in ("train", "val", "test"):
        (folder / split).mkdir(parents=True)
        (folder / split / "good.txt").write_text(f"A good text for {split}. " * 100)
    (folder / "train" / "long.txt").write_text("A long text. " * 2000)
    (folder / "test" / "again.txt").write_text("A long text. " * 2000)
    (folder / "train" / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (folder / "train" / "zero.txt").write_bytes(b"ends\0 here")
    lines = ['{"text": "good"}', '{"text": "cut', '{"words": "none"}', '{"text": 7}', '{"text": "  "}', "[1, 2]"]
    lines += ["", json.dumps({"text": "zero \0 byte"}), json.dumps({"text": None}), '{"text": "\\ud800"}']
    (folder / "train" / "lines.jsonl").write_text("\n".join(lines))
    np.save(folder / "val" / "floats.npy", np.zeros(500))
    np.save(folder / "val" / "signed.npy", np.zeros(500, np.int64))
    np.save(folder / "test" / "rows.npy", np.zeros((5, 5), np.uint8))
    (folder / "test" / "text.npy").write_text("no array")
    faults = ["latin.txt, byte 2: text is in UTF-8", "zero.txt: a zero byte"]
    faults += [f"lines.jsonl: line {number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10)]
    faults += ["floats.npy: token ids are one row", "signed.npy has int64 up to 0: token ids are unsigned"]
    faults += ["rows.npy: token ids are one row", "text.npy: it cannot be read"]
    return [f"--data.path={folder}"], faults, ["1 of test are in train as well", "long.txt has 9"]
