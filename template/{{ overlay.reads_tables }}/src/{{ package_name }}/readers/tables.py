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
JSONL_FIX = 'write an object of numbers, text, true, false and null, such as {"age": 3}'
MAX_EXCERPT = 40  # characters of a broken line that its error shows

# The decoder's `surrogateescape` turns a byte that is not UTF-8 into this offset plus the byte.
ESCAPE_OFFSET = 0xDC00
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")

MAX_CELL_SIZE = 2**31 - 1  # a text may exceed the csv module's default, 128 KiB
csv.field_size_limit(MAX_CELL_SIZE)


def read_table(
    path: str,
    errors: ErrorCollector | None = None,
) -> pd.DataFrame:
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
    end = FIRST_ROW + len(frame)
    frame.index = pd.RangeIndex(FIRST_ROW, end)
    return frame.rename(columns=str)


# CSV


class CsvRow(NamedTuple):
    number: int
    lines: range  # a quoted value may hold line breaks, so a row may span several lines
    values: list[str]


class ScannedRows(NamedTuple):
    """Numbers of the rows that can be used, and of those with too few or too many values."""

    usable: list[int]
    wrong_length: dict[int, list[int]]  # by the number of values


def read_csv(path: str, errors: ErrorCollector) -> pd.DataFrame:
    """Read all values as text; report rows that differ from the header in length."""
    text, undecodable = read_utf8(path, errors)
    rows = parse_csv(text)
    header = next(rows).values
    check_header(path, header, errors)
    width = len(header)
    scanned = scan_rows(rows, width, undecodable)
    for length, row_numbers in scanned.wrong_length.items():
        place = row_place(path, row_numbers)
        errors.append(
            f"{path}, {place}: expected {width} values as in the header, got {length}; "
            "correct the rows or the header"
        )
    if undecodable or scanned.wrong_length:
        # The other rows are read all the same, to report every error at once.
        text = keep_rows(text, scanned.usable)
    try:
        # Blank lines count in the numbers of the rows, so they are not skipped here.
        frame = pd.read_csv(
            StringIO(text),
            dtype=str,
            skip_blank_lines=False,
        )
        frame.index = pd.Index(scanned.usable, dtype="int64")
    except ValueError as error:  # pandas' ParserError among them
        raise csv_error(path, error) from error
    return frame


def parse_csv(text: str) -> Iterator[CsvRow]:
    """Yield all rows, the header included, numbered from 1."""
    reader = csv.reader(StringIO(text, newline=""))
    end = 0
    for number, values in enumerate(reader, start=1):
        start = end + 1
        end = reader.line_num
        lines = range(start, end + 1)
        yield CsvRow(number, lines, values)


def check_header(
    path: str,
    header: list[str],
    errors: ErrorCollector,
) -> None:
    """Report columns that have no name, or that share one.

    Raises:
        UserError: if the header is empty or is not separated by commas.
    """
    place = f"{path}, row 1 (the header)"
    if not header:
        raise UserError(f"{place}: the row is empty; write the names of the columns there")
    if len(header) == 1:
        for separator in OTHER_SEPARATORS:
            if separator in header[0]:
                raise UserError(
                    f"{place}: names are separated by {separator!r}; "
                    "save the file with commas instead"
                )
    for name, count in Counter(header).items():
        if not name.strip():
            errors.append(f"{place}: a column has no name; name it")
        elif count > 1:
            errors.append(
                f"{place}: {count} columns are named {name!r}; give each of them its own name"
            )


def scan_rows(
    rows: Iterator[CsvRow],
    width: int,
    undecodable: set[int],
) -> ScannedRows:
    """Sort the rows of a CSV file by whether they can be used.

    Args:
        rows: those below the header.
        width: values of a row; blank rows, which have none, are usable as well.
        undecodable: numbers of the lines that cannot be used.
    """
    usable = []
    wrong_length = {}
    for row in rows:
        length = len(row.values)
        if length not in (0, width):
            wrong_length.setdefault(length, []).append(row.number)
        elif undecodable.isdisjoint(row.lines):
            usable.append(row.number)
    return ScannedRows(usable, wrong_length)


def keep_rows(text: str, row_numbers: list[int]) -> str:
    """The header and the given rows of a CSV text."""
    kept = {1, *row_numbers}
    output = StringIO()
    writer = csv.writer(output)
    for row in parse_csv(text):
        if row.number in kept:
            writer.writerow(row.values)
    # The header may hold an escaped byte, which pandas does not accept.
    encoded = output.getvalue().encode("utf-8", "replace")
    return encoded.decode()


def csv_error(path: str, error: Exception) -> UserError:
    open_quote = re.search(r"EOF inside string starting at row (\d+)", str(error))
    if open_quote is None:
        return unreadable(path, "CSV", error)
    row_number = int(open_quote[1]) + 1  # pandas counts from 0
    return UserError(
        f"{path}, row {row_number}: a quote is opened and never closed; close or remove it"
    )


# JSONL


def read_jsonl(path: str, errors: ErrorCollector) -> pd.DataFrame:
    """Read a JSON object from each line; a name that a line lacks is missing there."""
    text, undecodable = read_utf8(path, errors)
    lines = text.split("\n")
    rows = {}
    broken = []
    for number, line in enumerate(lines, start=1):
        if number in undecodable or not line.strip():
            continue
        try:
            rows[number] = parse_object(line)
        except (ValueError, RecursionError) as error:
            reason = str(error).replace("line 1 ", "")  # json counts within the line
            broken.append(f"{path}, line {number}: {reason}; {JSONL_FIX}")
    errors.extend(first_lines(broken, path, "lines"))
    frame = pd.DataFrame(
        list(rows.values()),
        index=list(rows),
    )
    return frame.convert_dtypes()


def parse_object(line: str) -> dict:
    """Parse a JSON object of numbers, text, true, false and null.

    Raises:
        ValueError: if the line is anything else.
    """
    row = json.loads(line)
    if not isinstance(row, dict):
        excerpt = line.strip()[:MAX_EXCERPT]
        raise ValueError(f"{excerpt!r} is not an object")
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
        data = Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, "text", error) from error
    text = data.decode("utf-8-sig", "surrogateescape")
    if not text.strip():
        raise UserError(f"{path}: the file is empty; add rows")
    undecodable = set()
    messages = []
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        escaped = ESCAPED_BYTE.search(line)
        if escaped is None:
            continue
        undecodable.add(number)
        before = line[: escaped.start()]
        position = len(before.encode()) + 1
        value = ord(escaped[0]) - ESCAPE_OFFSET
        messages.append(
            f"{path}, line {number}: byte {position}, {value:#x}, is not UTF-8; "
            "save the file as UTF-8"
        )
    errors.extend(first_lines(messages, path, "lines"))
    return text, undecodable


def unreadable(path: str, kind: str, error: Exception) -> UserError:
    """The error for a file that is missing, or that a library cannot read."""
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path}: the file does not exist; correct the path")
    reason = " ".join(str(error).split())
    return UserError(f"{path}: cannot be read as {kind} ({reason}); repair or replace it")
