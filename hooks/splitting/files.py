"""The files of a project, as they are and as they were before the update."""

import ast
import hashlib
import os
import subprocess
from pathlib import Path

BOM = b"\xef\xbb\xbf"
MANAGED_MARK = b"Managed by copier-lightning"
PYTHON_SUFFIXES = (".py", ".pyi")
YAML_SUFFIXES = (".yaml", ".yml")
# What `ast.parse` and decoding raise for a file that is not Python in UTF-8.
NOT_PYTHON = (SyntaxError, ValueError, RecursionError)


def tracked_names() -> set[str]:
    """The paths in the project's folder that git tracks, whatever is there."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True).stdout
    # In a conflict, a file is listed several times.
    return set(os.fsdecode(listed).split("\0")) - {""}


def tracked_files() -> list[Path]:
    """The files in the project's folder that git knows."""
    paths = [Path(name) for name in sorted(tracked_names())]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def owners_files() -> list[Path]:
    """The Python and YAML files that git knows, without those that the template manages."""
    found = []
    for path in tracked_files():
        if path.suffix in PYTHON_SUFFIXES + YAML_SUFFIXES and not is_managed(path):
            found.append(path)
    return found


def is_managed(path: Path) -> bool:
    with path.open("rb") as file:
        return MANAGED_MARK in file.readline()


def committed_content(path: Path) -> bytes | None:
    """What a file contained before the update; None if it did not exist."""
    command = ["git", "show", f"HEAD:./{path.as_posix()}"]
    shown = subprocess.run(command, check=False, capture_output=True)
    if shown.returncode != 0:
        return None
    return shown.stdout


def is_unchanged(path: Path, committed: bytes) -> bool:
    return path.is_file() and blob_hash(path.read_bytes()) == blob_hash(committed)


def blob_hash(content: bytes) -> str:
    """Git's hash of a file with this content, if its lines end as the template's do."""
    content = content.replace(b"\r\n", b"\n")
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content).hexdigest()


def package_of(path: Path) -> str:
    """The dotted name of the package that a file is in."""
    parts = path.parent.parts
    if parts and parts[0] == "src":
        parts = parts[1:]
    return ".".join(parts)


def module_file(module: str) -> Path | None:
    """The file of a module in `src/`, by its dotted name; None if there is none."""
    path = Path("src", *module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def parse_file(path: Path) -> ast.Module | None:
    """The syntax tree of a Python file; None if it cannot be read."""
    try:
        return ast.parse(path.read_bytes().removeprefix(BOM).decode())
    except NOT_PYTHON:
        return None


def names_in(path: Path) -> set[str]:
    """The names that a module defines or imports."""
    tree = parse_file(path)
    if tree is None:
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names
