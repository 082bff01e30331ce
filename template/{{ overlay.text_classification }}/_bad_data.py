"""Texts with which all is wrong: a folder with a file for each split, and a table to predict."""

import json
from pathlib import Path


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Write them; return the options that name them, a piece of each line of faults, and of each note."""
    rows = [json.dumps({"text": f"good number {i}", "label": "good"}) for i in range(80)]
    rows += [json.dumps({"text": f"bad number {i}", "label": "bad"}) for i in range(3)]
    rows[4] = '{"text": "unfinished'
    rows[5] = '["a text", "good"]'
    rows[6] = '{"text": ["a", "list"], "label": "good"}'
    rows[7] = '{"text": null, "label": "good"}'
    rows[8] = '{"text": "   ", "label": "good"}'
    rows[9] = '{"text": "a NUL \\u0000 in it", "label": "good"}'
    rows[10] = '{"text": "no label"}'
    rows[11] = '{"text": "a space after it", "label": "good "}'
    rows[12] = '{"text": "good number 13", "label": "bad"}'
    lines = "\n".join(rows).encode().split(b"\n")
    lines[14] = b'{"text": "caf\xe9", "label": "good"}'
    data = folder / "data"
    data.mkdir()
    (data / "train.jsonl").write_bytes(b"\n".join(lines))
    (data / "val.csv").write_text(
        'text,label\ngood number 20,good\n"one, two",bad\nnever seen,ugly\none,two,three\n,bad\n'
    )
    (data / "test.csv").write_text("text,lable\nanother,good\n")
    (data / "valid.csv").write_text("text,label\nanother,good\n")
    (folder / "new.csv").write_text("text\nfine\n \n")
    faults = [
        "train.jsonl, line 5: a line holds",
        '\'["a text", "good"]\' is no object',
        "'text' is a list or an object",
    ]
    faults += ["'text', line 8: nothing is no text", "'text', line 9: '   ' is blank", "'text', line 10: 'a NUL \\x00"]
    faults += ["'label', line 11: nothing is no label", "'label', line 12: 'good ' has space around it"]
    faults += ["train.jsonl:13 and", "train.jsonl, line 15: byte 14, 0xe9", "val.csv:4: val has class 'ugly'"]
    faults += [
        "val.csv, row 5 (the header is 1): 3 values",
        "val.csv, column 'text', row 6",
        "no column 'label'; did you",
    ]
    faults += [
        "valid.csv: a folder has one file for each",
        "new.csv, column 'text', row 3 (the header is 1): ' ' is blank",
    ]
    notes = ["of 'good' and 4 of 'bad'", "1 of val are in train as well"]
    return [f"--data.path={data}", f"--data.predict_path={folder / 'new.csv'}"], faults, notes
