"""Rename a module of the harness wherever a project refers to it: `rename_module.py OLD NEW BLOB`.

It runs in the project's folder after an update has rendered the module under its new name. It
changes the text files that git knows, code and prose alike, and prints a line for each. BLOB is
git's hash of the old module as the template rendered it: if the owner had changed the module, that
is printed too.
"""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BOM = b"\xef\xbb\xbf"


def main(old: str, new: str, blob: str) -> None:
    command = ["git", "ls-files", "--stage", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True).stdout
    for entry in os.fsdecode(listed).split("\0"):
        if entry:
            details, _, name = entry.partition("\t")
            if re.fullmatch(rf"src/\w+/harness/{old}\.py", name):
                report_module(name, new, is_edited=details.split()[1] != blob)
            rename_in_file(name, old, new)


def report_module(name: str, new: str, is_edited: bool) -> None:
    """Say what the owner should know about the old module itself."""
    if Path(name).is_file():
        print(f"{name} is still there: its package is not the package_name in .copier-answers.yml")
    elif is_edited:
        print(
            f"{name} had changes of yours, which {new}.py has not:"
            f" `git show HEAD:./{name}` shows them"
        )


def rename_in_file(name: str, old: str, new: str) -> None:
    path = Path(name)
    if not path.is_file() or path.is_symlink():
        return
    before = path.read_bytes()
    if b"\0" in before:  # not text
        return
    after = renamed(name, before, old, new)
    if after != before:
        path.write_bytes(after)
        print(f"{name}: harness.{old} is harness.{new} now")


def renamed(name: str, content: bytes, old: str, new: str) -> bytes:
    """Return the new content of a file, and print what the owner must change in it."""
    text = content.removeprefix(BOM)
    bom = content.removesuffix(text)
    text = rename_path(text, old, new)
    if name.endswith((".py", ".pyi")):
        try:
            text = rename_name(text, old, new)
        except (SyntaxError, ValueError, RecursionError) as error:
            print(f"{name} cannot be read as Python ({error})")
    import_that_is_left = rf"\bharness\s+import\b[^\n]*(?<!as )\b{old}\b"
    if re.search(import_that_is_left.encode(), text):
        print(f"{name} imports harness.{old}, which is harness.{new} now: change it there")
    return bom + text


def rename_path(text: bytes, old: str, new: str) -> bytes:
    """Rename `harness.OLD` and `harness/OLD`, anywhere in a text."""
    return re.sub(rf"\bharness([./]){old}\b".encode(), rf"harness\g<1>{new}".encode(), text)


@dataclass(frozen=True, order=True)
class Edit:
    """Where the old name starts, the column in bytes, and what to write instead."""

    line_number: int
    column: int
    replacement: str


def rename_name(code: bytes, old: str, new: str) -> bytes:
    """Rename OLD in `from .harness import OLD`, and where it is used then.

    If one of the names also means something else in the file, it is imported as `NEW as OLD`.

    Raises:
        SyntaxError: if it is not Python.
        ValueError: if it is not UTF-8. `ast` counts columns in the bytes of UTF-8.
    """
    tree = ast.parse(code.decode())
    aliases = imported_from_harness(tree, old)
    replacement = new
    if other_names(tree, aliases) & {old, new}:
        replacement = f"{new} as {old}"

    edits = []
    for alias in aliases:
        edits.append(Edit(alias.lineno, alias.col_offset, new if alias.asname else replacement))
    is_used_by_its_name = any(alias.asname is None for alias in aliases)
    if is_used_by_its_name and replacement == new:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id == old:
                edits.append(Edit(node.lineno, node.col_offset, new))

    lines = code.splitlines(keepends=True)
    for edit in sorted(edits, reverse=True):
        line = lines[edit.line_number - 1]
        rest = line[edit.column + len(old) :]
        lines[edit.line_number - 1] = line[: edit.column] + edit.replacement.encode() + rest
    return b"".join(lines)


def imported_from_harness(tree: ast.Module, name: str) -> list[ast.alias]:
    """The places where a name is imported from a package called `harness`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and f".{node.module}".endswith(".harness"):
            found += [alias for alias in node.names if alias.name == name]
    return found


def other_names(tree: ast.Module, aliases: list[ast.alias]) -> set[str]:
    """The names that a file binds, apart from some imports."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.alias) and node not in aliases:
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


if __name__ == "__main__":
    main(*sys.argv[1:])
