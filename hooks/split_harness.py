"""The migration to 0.6.0: adapt the owner's files of a project to the new modules of the harness.

Until 0.5.0, `harness/` had a few large modules, and the readers of the task's data. 0.6.0 splits
the large modules and has other readers. After an update has rendered them, this script runs in the
project's folder:

1. Old readers that the owner's files use are kept in `src/PACKAGE/legacy/`, which is the owner's.
2. Imports and other references in the owner's files follow the names that moved.
3. `src/PACKAGE/__main__.py`, where the project's command starts now, is written.
4. What the owner must do by hand is printed.

It prints a line for each change, and changes nothing when it runs again.
"""

import ast
import io
import re
import sys
from pathlib import Path

from splitting.entry_point import write_entry_point
from splitting.files import (
    BOM,
    MANAGED_MARK,
    NOT_PYTHON,
    PYTHON_SUFFIXES,
    committed_content,
    is_unchanged,
    owners_files,
    package_of,
)
from splitting.imports import absolute_module
from splitting.leftovers import report_lost_changes, report_missing_names, report_other_references
from splitting.moves import OLD_READERS, Project
from splitting.rewriting import rewrite_dotted_names, rewrite_python

DEFAULT_LINE_LENGTH = 120
LEGACY_HEADER = """\
# Yours since 0.6.0 of the template: the reader that your data.py was written for. Updates leave it
# alone.
# ruff: noqa
# fmt: off
"""
LEGACY_DOCSTRING = '"""Readers of the template before 0.6.0. Yours: updates leave them alone."""\n'


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Print file names and lines that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    for harness in sorted(Path("src").glob("*/harness")):
        if (harness / "errors.py").is_file():
            migrate(harness.parent)
        else:
            print(
                f"To do: {harness.as_posix()} was not updated:"
                f" {harness.parent.name} is not the package_name in .copier-answers.yml"
            )


def migrate(folder: Path) -> None:
    """Adapt all that depends on the harness of one package."""
    files = owners_files()
    old_readers = removed_readers(folder)
    used = readers_in_use(folder.name, files, old_readers)
    legacy_folder = choose_legacy_folder(folder)
    project = Project(
        package=folder.name,
        legacy_folder=legacy_folder,
        legacy_modules=frozenset(used | modules_in(folder / legacy_folder)),
        line_length=read_line_length(),
    )

    for name in sorted(used):
        write_legacy_module(folder, name, old_readers[name], project)
    for path in files:
        rewrite_file(path, project)
    write_entry_point(folder, files, committed_content(folder / "harness" / "cli.py") or b"")

    report_lost_changes(folder, sorted(set(old_readers) - project.legacy_modules))
    python_files = [path for path in files if path.suffix in PYTHON_SUFFIXES]
    legacy_files = (folder / legacy_folder).glob("*.py")
    reported = report_missing_names(folder.name, sorted({*python_files, *legacy_files}))
    report_other_references(folder, reported)


def removed_readers(folder: Path) -> dict[str, bytes]:
    """The old readers, with the owner's changes to them, by their names."""
    found = {}
    for name in OLD_READERS:
        path = folder / "harness" / f"{name}.py"
        content = committed_content(path)
        if content is not None and not is_unchanged(path, content):
            found[name] = content
    return found


def choose_legacy_folder(folder: Path) -> str:
    """`legacy`, or `legacy_readers` if the owner has another `legacy`."""
    legacy = folder / "legacy"
    init_file = legacy / "__init__.py"
    if init_file.is_file() and LEGACY_DOCSTRING in init_file.read_text(encoding="utf-8"):
        return "legacy"
    if legacy.exists() or legacy.with_suffix(".py").exists():
        return "legacy_readers"
    return "legacy"


def modules_in(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__"}


def read_line_length() -> int:
    """The line length of the owner's code, at which ruff wraps imports."""
    for name in (".ruff.toml", "ruff.toml", "pyproject.toml"):
        path = Path(name)
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        found = re.search(r"^\s*line-length\s*=\s*(\d+)", text, re.MULTILINE)
        if found:
            return int(found[1])
    return DEFAULT_LINE_LENGTH


# ---- Old readers ---------------------------------------------------------------------------------


def readers_in_use(package: str, files: list[Path], old_readers: dict[str, bytes]) -> set[str]:
    """The old readers that the owner's files use, directly or through others."""
    names = set(old_readers)
    waiting: set[str] = set()
    for path in files:
        waiting |= names & mentioned_modules(path.read_bytes(), package, package_of(path))
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        used.add(name)
        mentioned = mentioned_modules(old_readers[name], package, f"{package}.harness")
        waiting |= (names & mentioned) - used
    return used


def mentioned_modules(content: bytes, package: str, own_package: str) -> set[str]:
    """Names that may be modules of the harness: imported from it, or written `harness.NAME`."""
    found = {name.decode() for name in re.findall(rb"\bharness\.(\w+)", content)}
    try:
        tree = ast.parse(content.removeprefix(BOM).decode())
    except NOT_PYTHON:
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = absolute_module(node, own_package)
            found.add(module.removeprefix(f"{package}.harness."))
            if module == f"{package}.harness":
                found |= {alias.name for alias in node.names}
    return found


def write_legacy_module(folder: Path, name: str, content: bytes, project: Project) -> None:
    """Keep an old reader as the owner's, with imports that suit its new place."""
    path = folder / project.legacy_folder / f"{name}.py"
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    init_file = path.with_name("__init__.py")
    if not init_file.exists():
        init_file.write_text(LEGACY_DOCSTRING, encoding="utf-8")

    content = content.removeprefix(BOM)
    first_line, _, rest = content.partition(b"\n")
    if MANAGED_MARK in first_line:
        content = rest
    header = LEGACY_HEADER.encode()
    if first_line.endswith(b"\r"):
        header = header.replace(b"\n", b"\r\n")
    try:
        text = rewrite_python(
            content.decode(),
            project,
            old_package=f"{project.package}.harness",
            new_package=f"{project.package}.{project.legacy_folder}",
        )
        content = text.encode()
    except NOT_PYTHON as error:
        print(f"To do: {path.as_posix()} cannot be read ({error}); correct its imports yourself")
    path.write_bytes(header + content)
    print(f"{path.as_posix()}: kept from harness/{name}.py, since your files use it")


# ---- The owner's files ---------------------------------------------------------------------------


def rewrite_file(path: Path, project: Project) -> None:
    """Rewrite the names of the harness that a Python or YAML file uses."""
    before = path.read_bytes()
    content = before.removeprefix(BOM)
    bom = before.removesuffix(content)
    try:
        text = content.decode()
        if path.suffix in PYTHON_SUFFIXES:
            package = package_of(path)
            text = rewrite_python(text, project, old_package=package, new_package=package)
        else:
            text = rewrite_dotted_names(text, project)
    except NOT_PYTHON as error:
        if re.search(rb"\bharness\b", content):
            print(
                f"To do: {path.as_posix()} cannot be read ({error});"
                " correct yourself what it uses of the harness"
            )
        return
    after = bom + text.encode()
    if after != before:
        path.write_bytes(after)
        print(f"{path.as_posix()}: uses the new modules of the harness")


if __name__ == "__main__":
    main()
