# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Read CSV, JSONL and Parquet files; errors name the file, the row and what is wrong in it."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..harness.errors import ErrorCollector, UserError
from .table_checks import first_lines, row_place

FIRST_ROW = 2  # rows are numbered as in a spreadsheet, where row 1 is the header
OTHER_SEPARATORS = ";\t|"
JSONL_FIX = 'write an object without lists or objects in it, such as {"age": 3}'
MAX_EXCERPT = 40  # characters of a broken line that its message shows
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")  # how `surrogateescape` marks a byte that is not UTF-8
ESCAPE_OFFSET = 0xDC00

csv.field_size_limit(2**31 - 1)  # a passage of text may exceed the default of 128 KiB


def read_table(path: str, errors: ErrorCollector | None = None) -> pd.DataFrame:
    """Read a table as numbers and text, without its empty rows.

    The index holds the number of each row as a spreadsheet shows it (the header is row 1) or, for
    JSONL, the number of its line; the name of the index is `path`. All values of a CSV file stay
    text, so that a category such as 007 keeps its zeros.

    Args:
        path: a .csv or .jsonl file; any other suffix is read as Parquet.
        errors: collects what is wrong in single rows, which are left out. By default it is raised.

    Raises:
        UserError: if the file cannot be read or has no usable row, or, without `errors`, if any
            row is broken.
    """
    row_errors = ErrorCollector()
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        frame = read_csv(path, row_errors)
    elif suffix == ".jsonl":
        frame = read_jsonl(path, row_errors)
    else:
        frame = read_parquet(path)
    frame.index.name = path
    frame = unify_types(frame).dropna(how="all")
    if errors is None or frame.empty:
        row_errors.raise_if_any()
    if frame.empty:
        raise UserError(f"{path}: the table has no rows; add some")
    if errors is not None:
        errors.extend(row_errors)
    return frame


def unify_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn floats into float64, and all but integers and booleans, such as dates, into text."""
    types = {}
    for name, dtype in frame.dtypes.items():
        if dtype.kind == "f":
            types[name] = "float64"
        elif dtype.kind not in "iub":
            types[name] = "string"
    return frame.astype(types)


# Parquet


def read_parquet(path: str) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path, dtype_backend="numpy_nullable")
    except Exception as error:  # pandas and pyarrow raise many unrelated types
        raise unreadable(path, "a .csv, .jsonl or Parquet file", error) from error
    return frame.set_axis(pd.RangeIndex(FIRST_ROW, len(frame) + FIRST_ROW))


# CSV


class ScannedRows(NamedTuple):
    """Row numbers of a CSV file, by what is to be done with the row."""

    usable: list[int]
    wrong_length: dict[int, list[int]]  # number of values -> rows


def read_csv(path: str, errors: ErrorCollector) -> pd.DataFrame:
    """Read all values as text; report a header without unique names and rows of another length."""
    text, undecodable = read_utf8(path, errors)
    header = next(csv.reader(StringIO(text, newline="")))
    check_header(path, header, errors)
    scanned = scan_rows(text, len(header), undecodable)
    report_wrong_lengths(path, scanned.wrong_length, len(header), errors)
    if undecodable or scanned.wrong_length:
        # The other rows are read all the same, to report every error at once.
        text = keep_rows(text, scanned.usable)
    try:
        frame = pd.read_csv(StringIO(text), dtype=str, skip_blank_lines=False)
        return frame.set_axis(pd.Index(scanned.usable, dtype="int64"))
    except ValueError as error:  # pandas' ParserError among them
        raise csv_error(path, error) from error


def check_header(path: str, header: list[str], errors: ErrorCollector) -> None:
    """Report columns without a name of their own.

    Raises:
        UserError: if the header is empty or not separated by commas.
    """
    place = f"{path}, row 1 (the header)"
    if not header:
        raise UserError(f"{place}: the row is empty; write the names of the columns there")
    if len(header) == 1:
        for separator in OTHER_SEPARATORS:
            if separator in header[0]:
                rule = f"names are separated by {separator!r}"
                raise UserError(f"{place}: {rule}; save the file with commas")
    for name, count in Counter(header).items():
        if not name.strip():
            errors.append(f"{place}: a column has no name; name it")
        elif count > 1:
            errors.append(f"{place}: {count} columns are named {name!r}; give each its own name")


def scan_rows(text: str, width: int, undecodable: set[int]) -> ScannedRows:
    """Find the rows with `width` values, or none, that touch no undecodable line."""
    scanned = ScannedRows(usable=[], wrong_length={})
    reader = csv.reader(StringIO(text, newline=""))
    next(reader)
    first_line = reader.line_num + 1
    for row_number, values in enumerate(reader, start=FIRST_ROW):
        # A quoted value may hold line breaks, so a row may span several lines.
        lines = range(first_line, reader.line_num + 1)
        first_line = reader.line_num + 1
        if len(values) not in (0, width):
            scanned.wrong_length.setdefault(len(values), []).append(row_number)
        elif undecodable.isdisjoint(lines):
            scanned.usable.append(row_number)
    return scanned


def report_wrong_lengths(
    path: str, wrong_length: dict[int, list[int]], width: int, errors: ErrorCollector
) -> None:
    for count, rows in wrong_length.items():
        errors.append(
            f"{path}, {row_place(path, rows)}: expected {width} values as in the header, "
            f"got {count}; correct the rows or the header"
        )


def keep_rows(text: str, rows: list[int]) -> str:
    """The header and the given rows of a CSV text."""
    kept = {1, *rows}
    output = StringIO()
    writer = csv.writer(output)
    for row_number, values in enumerate(csv.reader(StringIO(text, newline="")), start=1):
        if row_number in kept:
            writer.writerow(values)
    # The header may hold an undecodable byte, which pandas does not take.
    return output.getvalue().encode("utf-8", "replace").decode()


def csv_error(path: str, error: Exception) -> UserError:
    open_quote = re.search(r"EOF inside string starting at row (\d+)", str(error))
    if open_quote:
        place = f"{path}, row {int(open_quote[1]) + 1}"
        return UserError(f"{place}: a quote is opened and never closed; close or remove it")
    return unreadable(path, "CSV", error)


# JSONL


def read_jsonl(path: str, errors: ErrorCollector) -> pd.DataFrame:
    """Read a JSON object from each line; a name that a line lacks is missing there."""
    text, undecodable = read_utf8(path, errors)
    rows = {}
    broken = []
    for number, line in enumerate(text.split("\n"), start=1):
        if number in undecodable or not line.strip():
            continue
        try:
            rows[number] = parse_object(line)
        except (ValueError, RecursionError) as error:
            reason = str(error).replace("line 1 ", "")  # json counts within the line
            broken.append(f"{path}, line {number}: {reason}; {JSONL_FIX}")
    errors.extend(first_lines(broken, path, "lines"))
    return pd.DataFrame(list(rows.values()), index=list(rows)).convert_dtypes()


def parse_object(line: str) -> dict[str, str | int | float | bool | None]:
    """Parse a JSON object of numbers, text, true, false and null.

    Raises:
        ValueError: if the line is anything else.
    """
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f"{line.strip()[:MAX_EXCERPT]!r} is not an object")
    for name, value in row.items():
        if isinstance(value, dict | list):
            raise ValueError(f"{name!r} is a list or an object")
    if "\\u" in line:
        # An escape such as \ud800 is half a character, which cannot be encoded.
        json.dumps(row, ensure_ascii=False).encode()
    return row


# Text


def read_utf8(path: str, errors: ErrorCollector) -> tuple[str, set[int]]:
    """Read a text file; report the lines that are not UTF-8.

    Returns:
        The text, and the numbers of the lines that are not UTF-8.

    Raises:
        UserError: if the file is missing, cannot be read or is empty.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise unreadable(path, "a table", error) from error
    if not text.strip():
        raise UserError(f"{path}: the file is empty; add rows")
    undecodable = {}
    for number, byte_place in undecodable_lines(text):
        rule = f"{byte_place} is not UTF-8"
        undecodable[number] = f"{path}, line {number}: {rule}; save the file as UTF-8"
    errors.extend(first_lines(list(undecodable.values()), path, "lines"))
    return text, set(undecodable)


def undecodable_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number of each line with an escaped byte, and which byte that is."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.isascii():
            continue
        escaped = ESCAPED_BYTE.search(line)
        if escaped:
            position = len(line[: escaped.start()].encode()) + 1
            value = ord(escaped[0]) - ESCAPE_OFFSET
            yield number, f"byte {position}, {value:#x},"


def unreadable(path: str, kind: str, error: Exception) -> UserError:
    """The error for a file that is missing, or that a library cannot read."""
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path}: the file does not exist; correct the path")
    reason = " ".join(str(error).split())
    return UserError(f"{path}: cannot be read as {kind} ({reason}); repair or replace it")
