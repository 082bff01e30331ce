# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reads a JSON file in COCO's format, and validates each entry of its lists on its own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..harness.errors import ErrorCollector, UserError

SHOWN_CHARACTERS = 40  # of a wrong value

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class FieldType:
    """What the value of a field must be; never a bool, although that is an int in Python."""

    types: tuple[type, ...]
    description: str


ID = FieldType((int, str), "a number or text")
TEXT = FieldType((str,), "text")
PIXELS = FieldType((int,), "a number of pixels")
BOX = FieldType((list,), "[x, y, width, height]")

# The lists in a file, and the required fields of an entry of each.
REQUIRED_FIELDS = {
    "categories": {
        "id": ID,
        "name": TEXT,
    },
    "images": {
        "id": ID,
        "file_name": TEXT,
        "width": PIXELS,
        "height": PIXELS,
    },
    "annotations": {
        "id": ID,
        "image_id": ID,
        "category_id": ID,
        "bbox": BOX,
    },
}
UNIQUE_FIELDS = ("id", "name", "file_name")
LISTS_THAT_MAY_BE_EMPTY = ("annotations",)


@dataclass(frozen=True)
class Entry:
    """A valid entry of a list.

    Args:
        origin: the file, the list, the position in it and the id.
        fields: at least the required ones, with the right types.
    """

    origin: str
    fields: Fields

    def error(self, reason: str) -> UserError:
        return UserError(describe_error(self.origin, reason))


# By id. None stands for an invalid entry, so that references to it are not errors as well.
Entries = dict[int | str, Entry | None]


@dataclass(frozen=True)
class CocoFile:
    """The lists in a file."""

    categories: Entries
    images: Entries
    annotations: Entries


def read_coco_file(path: Path, errors: ErrorCollector) -> CocoFile:
    """Read a file.

    Args:
        path: the file.
        errors: receives a line for everything that is wrong with an entry.

    Raises:
        UserError: if it is not JSON, or a list is missing.
    """
    lists = load_lists(path)
    return CocoFile(
        categories=read_entries(path, "categories", lists, errors),
        images=read_entries(path, "images", lists, errors),
        annotations=read_entries(path, "annotations", lists, errors),
    )


def load_lists(path: Path) -> dict[str, list]:
    """The lists in a file, by name.

    Raises:
        UserError: if it is not JSON, or a list is missing or empty.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: must be a JSON file in COCO's format ({error}); add or repair it"
        ) from error
    if not isinstance(content, dict):
        content = {}
    errors = ErrorCollector()
    for name in REQUIRED_FIELDS:
        entries = content.get(name)
        is_complete = bool(entries) or name in LISTS_THAT_MAY_BE_EMPTY
        if not isinstance(entries, list) or not is_complete:
            value = shorten(entries)
            errors.append(f"{path}: {name} must be a list with entries, got {value}; add them")
    errors.raise_if_any()
    return content


def read_entries(
    path: Path, list_name: str, lists: Mapping[str, list], errors: ErrorCollector
) -> Entries:
    """The entries of a list."""
    required = REQUIRED_FIELDS[list_name]
    entries: Entries = {}
    seen: set[tuple[str, Any]] = set()
    for index, item in enumerate(lists[list_name]):
        fields: Fields = {}
        if isinstance(item, dict):
            fields = item
        origin = f"{path}: {list_name}[{index}]"
        entry_id: Any = fields.get("id")
        if entry_id is not None:
            origin = f"{origin}, id {shorten(entry_id)}"

        reasons = find_wrong_types(fields, required)
        reasons.extend(find_repetitions(fields, required, seen))
        for reason in reasons:
            errors.append(describe_error(origin, reason))
        if not has_type(entry_id, ID) or entry_id in entries:
            continue
        entries[entry_id] = None
        if not reasons:
            entries[entry_id] = Entry(origin, fields)
    return entries


def find_wrong_types(fields: Fields, required: Mapping[str, FieldType]) -> list[str]:
    """A reason for each field that is missing or has a value of another type."""
    reasons = []
    for name, field_type in required.items():
        value = fields.get(name)
        if not has_type(value, field_type):
            reasons.append(f"{name} must be {field_type.description}, got {shorten(value)}")
    return reasons


def find_repetitions(
    fields: Fields, required: Mapping[str, FieldType], seen: set[tuple[str, Any]]
) -> list[str]:
    """A reason for each value that must be unique and was seen before; the others are added."""
    reasons = []
    for name in UNIQUE_FIELDS:
        value = fields.get(name)
        if name not in required or not has_type(value, required[name]):
            continue
        if (name, value) in seen:
            reasons.append(f"{name} {shorten(value)} is that of another entry")
        seen.add((name, value))
    return reasons


def has_type(value: Any, field_type: FieldType) -> bool:
    return type(value) in field_type.types


def describe_error(origin: str, reason: str) -> str:
    return f"{origin}: {reason}; correct or remove the entry"


def shorten(value: Any) -> str:
    """A value as Python writes it, cut if it is long."""
    text = repr(value)
    return text[:SHOWN_CHARACTERS]
