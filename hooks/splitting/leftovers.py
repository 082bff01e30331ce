"""Reports what the migration leaves to the owner."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from .files import (
    PYTHON_SUFFIXES,
    blob_hash,
    committed_content,
    is_managed,
    is_unchanged,
    module_file,
    names_in,
    package_of,
    parse_file,
    tracked_files,
)
from .imports import absolute_module
from .moves import MOVED, OLD_READERS, REPLACED_MODULES
from .rewriting import is_in_harness

# For each module, git's hashes of the versions that were released.
RELEASED_BLOBS = Path(__file__).with_name("released_blobs.json")
CONFLICT_MARK = b"<<<<<<< before updating"
OLD_TEST_FILE = Path("tests/harness/test_harness.py")
WHOLE_HARNESS = re.compile(r"\.harness[\"']\)")
MAX_TEXT_BYTES = 1_000_000


def report_lost_changes(folder: Path, unused_readers: list[str]) -> None:
    """Print the modules that are gone or rewritten although the owner had changed them."""
    released = json.loads(RELEASED_BLOBS.read_text(encoding="utf-8"))
    paths = [folder / "harness" / f"{name}.py" for name in (*REPLACED_MODULES, *unused_readers)]
    for path in [*paths, OLD_TEST_FILE]:
        before = committed_content(path)
        if before is None or is_unchanged(path, before):
            continue
        if blob_hash(before) in released[path.stem]:
            continue
        name = path.as_posix()
        if path.is_file() and CONFLICT_MARK in path.read_bytes():
            print(
                f"To do: {name} was rewritten, so resolve its conflict with"
                f" `git checkout --theirs {name}`"
            )
        print(
            f"To do: {name} had changes of yours, which were not carried over;"
            f" `git show HEAD:./{name}` shows them"
        )


def report_missing_names(package: str, files: list[Path]) -> set[tuple[Path, int]]:
    """Print the names that Python files use although the harness no longer has them.

    Returns:
        The files and line numbers of these uses.
    """
    reported = set()
    for path in files:
        for line_number, module, name in used_names(path, package):
            if not is_defined(module, name):
                reported.add((path, line_number))
                print(f"To do: {path.as_posix()}:{line_number}: {advice(module, name, package)}")
    return reported


def report_other_references(folder: Path, reported: set[tuple[Path, int]]) -> None:
    """Print the lines of other text files that refer to modules of the harness that are gone."""
    gone = []
    for name in (*OLD_READERS, "loading", "main", "runs"):
        if not (folder / "harness" / f"{name}.py").exists():
            gone.append(name)
    if not OLD_TEST_FILE.exists():
        gone.append(OLD_TEST_FILE.stem)
    module_that_is_gone = re.compile(rf"\bharness[./]({'|'.join(gone)})\b")
    for path in tracked_files():
        for line_number, line in enumerate(text_lines(path), start=1):
            is_left = module_that_is_gone.search(line) or WHOLE_HARNESS.search(line)
            if is_left and (path, line_number) not in reported:
                print(
                    f"To do: {path.as_posix()}:{line_number}: it refers to a module of the harness"
                    f" that is gone: {line.strip()}"
                )


def text_lines(path: Path) -> list[str]:
    """The lines of an owner's text file; none for other files."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        return []
    if path.suffix in PYTHON_SUFFIXES and is_managed(path):
        return []
    content = path.read_bytes()
    if b"\0" in content:
        return []
    return content.decode(errors="replace").split("\n")


def used_names(path: Path, package: str) -> Iterator[tuple[int, str, str]]:
    """Each name of the harness that a file uses: the line, the module, the name."""
    tree = parse_file(path)
    if tree is None:
        return
    modules: dict[str, str] = {}
    for line_number, module, alias in imports_in(tree, package_of(path)):
        modules[alias.asname or alias.name] = f"{module}.{alias.name}".removeprefix(".")
        if is_in_harness(module, package):
            yield line_number, module, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id, "")
            if is_in_harness(module, package) and module_file(module):
                yield node.lineno, module, node.attr


def imports_in(tree: ast.Module, own_package: str) -> Iterator[tuple[int, str, ast.alias]]:
    """Each imported name with its line and its module, which for `import x` is empty."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, absolute_module(node, own_package), alias
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, "", alias


def is_defined(module: str, name: str) -> bool:
    """Whether a module has a name, or is a package with such a module."""
    path = module_file(module)
    if path is None:
        return False
    return name == "*" or name in names_in(path) or module_file(f"{module}.{name}") is not None


def advice(module: str, name: str, package: str) -> str:
    """What to do about a name that is not there."""
    old_module = module.removeprefix(f"{package}.")
    if name in MOVED.get(old_module, {}):
        return f"{old_module}.{name} is {'.'.join(MOVED[old_module][name])} now"
    source = module.replace(".", "/")
    if old_module == "harness":
        source += "/__init__"
    return (
        f"{old_module}.{name} has no counterpart;"
        f" `git show HEAD:./src/{source}.py` shows what it was"
    )
