# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Tables as files hold them: CSV, JSONL, Parquet; what is broken in one is named by its row or line."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pandas as pd

from . import Faults, UserError

csv.field_size_limit(2**31 - 1)  # a passage of text may be longer than 128 KiB
LINES = 20  # of what is wrong alike that are named, each by itself


@contextmanager
def gather(faults: Faults | None) -> Iterator[Faults]:
    """Faults to add to: those given, whose owner raises them; or, for None, new ones, which are raised at the end."""
    found = Faults() if faults is None else faults
    yield found
    if faults is None:
        found.refuse()


def read_table(path: str, faults: Faults | None = None) -> pd.DataFrame:
    """A CSV, JSONL or Parquet file as numbers and text, without its empty rows.

    The index is the number of a row as a spreadsheet counts, the header being row 1; in JSONL, with an
    object in each line, that of the line. What CSV holds is text until `typed` makes it numbers, so that
    a category stays what it is in the file: 007.

    Args:
        path: ends in .csv or .jsonl; all else is Parquet.
        faults: gathers what is wrong in single rows, which are left out; for None it is raised, all at once.
    """
    with gather(faults) as found:
        before = len(found)
        try:
            frame = {".csv": read_csv, ".jsonl": read_jsonl}.get(Path(path).suffix.lower(), read_parquet)(path, found)
        except Exception as error:  # of whatever kind a library has for it
            reason = " ".join(str(error).split())
            raise UserError(f"{path} is missing, or no readable .csv, .jsonl or Parquet file: {reason}") from error
        frame.index.name = path
        kinds = {name: dtype.kind for name, dtype in frame.dtypes.items()}
        # Floats get one kind of missing value; what is no number, such as a date, is text.
        casts = {name: "float64" if kind == "f" else "string" for name, kind in kinds.items() if kind not in "iub"}
        frame = frame.astype(casts).dropna(how="all")
        if frame.empty:
            raise UserError(*(found[before:] or [f"{path} has no rows: add some"]))
    return frame


def read_parquet(path: str, faults: Faults) -> pd.DataFrame:
    frame = pd.read_parquet(path, dtype_backend="numpy_nullable")
    return frame.set_axis(pd.RangeIndex(2, len(frame) + 2))


def read_text(path: str, faults: Faults) -> tuple[str, set[int]]:
    """The text of a file, and which of its lines are no UTF-8."""
    text, bad = Path(path).read_bytes().decode("utf-8-sig", "surrogateescape"), {}
    if not text.strip():
        raise ValueError("it is empty")
    for line, part in enumerate(text.split("\n"), start=1):
        if not part.isascii() and (wrong := re.search("[\udc80-\udcff]", part)):  # as Python escapes such bytes
            byte = f"byte {len(part[: wrong.start()].encode()) + 1}, {ord(wrong[0]) - 0xDC00:#x},"
            bad[line] = f"{path}, line {line}: {byte} is no UTF-8; save the file in UTF-8"
    faults.extend(some(bad.values(), path, "lines"))
    return text, set(bad)


def read_csv(path: str, faults: Faults) -> pd.DataFrame:
    """All values as text; a row that has more or fewer of them than the header has names is a fault."""
    text, bad = read_text(path, faults)
    reader = csv.reader(StringIO(text, newline=""))
    header, numbers, ragged, end = next(reader), [], {}, reader.line_num
    if not header:
        raise ValueError("row 1, the header, is empty")
    if len(header) == 1 and (other := [sign for sign in ";\t|" if sign in header[0]]):
        raise ValueError(f"{other[0]!r} is between the names of its header; save it with commas")
    for number, row in enumerate(reader, start=2):
        lines, end = range(end + 1, reader.line_num + 1), reader.line_num
        if len(row) not in (0, len(header)):
            ragged.setdefault(len(row), []).append(number)
        elif bad.isdisjoint(lines):
            numbers.append(number)
    for count, rows in ragged.items():
        where = f"{path}, {places(path, rows)}"
        values = f"{count} value" + "s" * (count != 1)
        faults.append(f"{where}: {values}, where the header has {len(header)} names; mend them, or the header")
    for name, count in Counter(header).items():
        if count > 1 or not name.strip():
            named = f"{name!r} names {count} columns" if name.strip() else "a column has no name"
            faults.append(f"{path}, row 1 (the header): {named}; give each a name of its own")
    if bad or ragged:  # the rest is read for the other faults in it
        kept, good = {1, *numbers}, StringIO()
        rows = enumerate(csv.reader(StringIO(text, newline="")), start=1)
        csv.writer(good).writerows(row for number, row in rows if number in kept)
        text = good.getvalue().encode("utf-8", "replace").decode()
    try:
        frame = pd.read_csv(StringIO(text), dtype=str, skip_blank_lines=False)
    except pd.errors.ParserError as error:
        row = re.search(r"EOF inside string starting at row (\d+)", str(error))
        raise ValueError(f"row {int(row[1]) + 1} opens a quote that nothing closes" if row else error) from error
    return frame.set_axis(pd.Index(numbers, dtype="int64"))


def read_jsonl(path: str, faults: Faults) -> pd.DataFrame:
    """An object in each line, of numbers, text, true, false and null; a name that a line lacks is missing there."""
    text, skipped = read_text(path, faults)
    rows, bad = {}, {}
    for line, part in enumerate(text.split("\n"), start=1):
        if line in skipped or not part.strip():
            continue
        try:
            row = json.loads(part)
            if not isinstance(row, dict):
                raise ValueError(f"{part.strip()[:40]!r} is no object")
            if nested := [name for name, value in row.items() if isinstance(value, dict | list)]:
                raise ValueError(f"{nested[0]!r} is a list or an object; write a number, text, true, false or null")
            "\\u" in part and json.dumps(row, ensure_ascii=False).encode()  # half a character is no text: \ud800
            rows[line] = row
        except (ValueError, RecursionError) as error:
            reason = str(error).replace("line 1 ", "")
            bad[line] = f'{path}, line {line}: a line holds a JSON object, such as {{"age": 3}}: {reason}'
    faults.extend(some(bad.values(), path, "lines"))
    return pd.DataFrame(list(rows.values()), index=list(rows)).convert_dtypes()


def places(path: str, rows: list[int]) -> str:
    """The first of the rows of a table, or of the lines of JSONL."""
    first = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
    return f"line {first}" if path.lower().endswith(".jsonl") else f"row {first} (the header is 1)"


def some(lines: Iterable[str], path: str, what: str) -> list[str]:
    """So many of the lines as are read, and how many more there are."""
    lines = list(lines)
    more = [f"{path}: {len(lines) - LINES} more {what} are like these"] if len(lines) > LINES else []
    return lines[:LINES] + more
