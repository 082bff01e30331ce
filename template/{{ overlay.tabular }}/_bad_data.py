"""A table with which all is wrong, and one to predict."""

from pathlib import Path

import numpy as np


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Write them; return the options that name them, a piece of each line of faults, and of each note."""
    random, lines = np.random.default_rng(0), ["age,height,weight,clinic,town,code,code,kind,part"]
    for i in range(2, 142):  # as the rows are numbered
        split = "train" if i < 102 else "val" if i < 122 else "test"
        clinic, town, kind = "ab"[i % 2], "xy"[i % 2], "no" if i % 20 else "yes"
        lines.append(f"{i},{random.normal(170, 9):.3f},{70 + i % 9},{clinic},{town},1,2,{kind},{split}")
    for row, old, new in (
        (5, "5,", "old,"),
        (6, ",76", ",-inf"),
        (7, ",no", ","),
        (8, "train", "dev"),
        (9, ",70", ",70,7"),
        (11, ",72", ""),
        (12, ",x", ",\udce9"),  # a byte that is no UTF-8
        (13, "no", "maybe"),
        (104, ",a", ",c"),
        (105, "no", "never"),
        (124, ",x", ",z"),
    ):
        lines[row - 1] = lines[row - 1].replace(old, new, 1)
    lines[106] = lines[2].replace("train", "val")
    (folder / "table.csv").write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    rows = ['{"age": 30', "[30, 170]", '{"age": [30], "weight": 70}', '{"age": "ten", "clinic": "d", "town": "x"}']
    (folder / "new.jsonl").write_text("\n".join(rows))
    options = [f"--data.path={folder / 'table.csv'}", f"--data.predict_path={folder / 'new.jsonl'}"]
    options += ["--data.target=kind", "--data.split_column=part", "--data.numeric=[age,height,weight,width]"]
    faults = ["table.csv, line 12: byte 17, 0xe9, is no UTF-8", "row 9 (the header is 1): 10 values"]
    faults += [
        "row 11 (the header is 1): 8 values",
        "'code' names 2 columns",
        "no column 'width'",
        "'height' two roles",
    ]
    faults += ["'age', row 5 (the header is 1): 'old' is no finite", "'weight', row 6 (the header is 1): '-inf' is no"]
    faults += ["'kind', row 7 (the header is 1): nothing is no target", "'part', row 8 (the header is 1): 'dev' is no"]
    faults += [
        "'kind', row 13 (the header is 1): 'maybe' is the class of one row",
        "row 104 (the header is 1): 'c' is in",
    ]
    faults += ["'kind', row 105 (the header is 1): 'never' is in no", "'town', row 124 (the header is 1): 'z' is in no"]
    faults += ["new.jsonl, line 1: a line holds", "'[30, 170]' is no object", "'age' is a list or an object"]
    faults += ["new.jsonl has no column 'weight'", "'age', line 4: 'ten' is no", "'clinic', line 4: 'd' is in no"]
    notes = ["of 'no' and 1 of 'maybe'", "1 of val are in train as well: row 107 is row 3"]
    return [*options, "--data.categorical=[clinic,town,height]"], faults, notes
