# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Text files: plain text in UTF-8, and `.jsonl` with one text in each line."""

import json
import re
from glob import glob
from pathlib import Path
from typing import NamedTuple

from ..harness.errors import ErrorCollector, UserError

SHOWN_CHARACTERS = 40
LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell it, UTF-8 cannot: "\ud800"


class Text(NamedTuple):
    """A text, and the place it was read from: FILE, or FILE:LINE."""

    place: str
    text: str


def list_files(path: Path, pattern: str = "**/*") -> list[Path]:
    """A file itself, or the files in a folder that match a pattern, sorted, without hidden ones."""
    if path.is_file():
        return [path]
    found = []
    for name in sorted(glob(pattern, root_dir=path, recursive=True)):
        file = path / name
        if file.is_file():
            found.append(file)
    return found


def read_texts(file: Path, errors: ErrorCollector) -> list[Text]:
    """The text in each line of a `.jsonl` file, or the whole text of another file.

    Lines without a text are added to the errors and left out.

    Raises:
        UserError: if the file cannot be read, or is not UTF-8.
    """
    content = read_utf8(file)
    if file.suffix.lower() != ".jsonl":
        return [Text(str(file), content)]
    texts = []
    for number, line in enumerate(content.rstrip().split("\n"), start=1):
        place = f"{file}:{number}"
        with errors:
            texts.append(Text(place, parse_line(line, place)))
    return texts


def read_prompts(file: Path) -> list[Text]:
    """The lines of a text file that are not blank, or the texts of a `.jsonl` file.

    Raises:
        UserError: if the file cannot be read or has no prompt, or a line of `.jsonl` has no text.
    """
    suffix = file.suffix.lower()
    if suffix == ".npy":
        raise UserError(
            f"data.predict_path={file}: prompts must be text, not token ids;"
            " use a text file or .jsonl"
        )
    errors = ErrorCollector()
    prompts = read_texts(file, errors)
    errors.raise_if_any()
    if suffix != ".jsonl":
        prompts = split_lines(file, prompts[0].text)
    if not prompts:
        raise UserError(f"data.predict_path={file} has no prompt; write one on each line")
    return prompts


def read_utf8(file: Path) -> str:
    """The content of a text file.

    Raises:
        UserError: if the file cannot be read, or is not UTF-8.
    """
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror}); correct or remove it"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}, byte {error.start}: text must be UTF-8; convert or remove the file"
        ) from error


def parse_line(line: str, place: str) -> str:
    """The text of a line of `.jsonl`.

    Raises:
        UserError: if there is none.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str) or LONE_SURROGATE.search(text):
        raise UserError(
            f'{place}: must be {{"text": "..."}}, got {line[:SHOWN_CHARACTERS]!r};'
            " correct or remove the line"
        )
    if not text.strip():
        raise UserError(f"{place}: the text is blank; write some or remove the line")
    return text


def split_lines(file: Path, content: str) -> list[Text]:
    """The lines that are not blank."""
    lines = []
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            lines.append(Text(f"{file}:{number}", line))
    return lines
