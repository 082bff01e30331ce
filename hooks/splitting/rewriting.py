"""Rewrites the names of the harness that a file uses."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .imports import absolute_module, rewrite_imports
from .moves import FIRST, MOVED, QUOTED_MESSAGES, Project

OLD_MODULE = r"(harness(?:\.(?:loaders|loading|runs|main))?)"
# import_module(f"{PACKAGE}.harness.loaders").seed_at
FETCHED_NAME = re.compile(rf"\.{OLD_MODULE}([\"']\))\.(\w+)")


def rewrite_python(text: str, project: Project, old_package: str, new_package: str) -> str:
    """A Python file that imports names from their new places, and uses them as they are now.

    Args:
        text: the file.
        project: knows what moved.
        old_package: the package that the file was in, where its relative imports start.
        new_package: the package that it is in now.

    Raises:
        SyntaxError: if it is not Python. ValueError and RecursionError likewise.
    """
    text = rename_uses(text, project, old_package)
    text = rewrite_imports(text, project.new_place, old_package, new_package, project.line_length)
    for old, new in QUOTED_MESSAGES.items():
        text = text.replace(old, new)
    return rewrite_dotted_names(text, project)


def rewrite_dotted_names(text: str, project: Project) -> str:
    """Text, such as Python or YAML, in which dotted names lead to the new places."""
    # my_project.harness.loaders.seed_at, or in an f-string {PACKAGE}.harness.loaders.seed_at
    package = rf"(\b{project.package}|\}})"
    dotted_name = re.compile(rf"{package}\.{OLD_MODULE}\.(\w+)")
    text = FETCHED_NAME.sub(fetched_from_new_place, text)
    text = dotted_name.sub(dotted_new_place, text)
    for name in sorted(project.legacy_modules):
        new_module = f"{project.legacy_folder}.{name}"
        text = re.sub(rf"{package}\.harness\.{name}\b", rf"\g<1>.{new_module}", text)
        new_path = f"{project.legacy_folder}/{name}"
        text = re.sub(rf"\bharness/{name}\b", new_path, text)
    return text


def fetched_from_new_place(match: re.Match) -> str:
    old_module, closing, name = match.groups()
    if name not in MOVED[old_module]:
        return match[0]
    module, new_name = MOVED[old_module][name]
    if name == FIRST:
        new_name += "()"
    return f".{module}{closing}.{new_name}"


def dotted_new_place(match: re.Match) -> str:
    package, old_module, name = match.groups()
    if name not in MOVED[old_module]:
        return match[0]
    return ".".join([package, *MOVED[old_module][name]])


@dataclass(frozen=True, order=True)
class Edit:
    """A name that ends in a line before a column, counted in bytes, and what to write instead."""

    line_number: int
    end: int
    old: str
    new: str


def rename_uses(text: str, project: Project, package: str) -> str:
    """A Python file of a package, in which imported names are used as they are now.

    `FIRST` is a function now; `Faults.refuse` and attributes of `loaders` have other names.

    Raises:
        SyntaxError: if it is not Python. ValueError and RecursionError likewise.
    """
    tree = ast.parse(text)
    edits: list[Edit] = []
    for module, alias in imported_from_harness(tree, project.package, package):
        local_name = alias.asname or alias.name
        if alias.name == FIRST:
            new_name = alias.asname or "is_rank_zero"
            edits += calls_instead_of(local_name, f"{new_name}()", tree)
        else:
            edits += renamed_attributes(local_name, f"{module}.{alias.name}", tree, project)
    if re.search(r"\bFaults\b", text):
        edits += renamed_refusals(tree)
    lines = text.split("\n")
    for edit in sorted(edits, reverse=True):
        lines[edit.line_number - 1] = edited(lines[edit.line_number - 1], edit)
    return "\n".join(lines)


def edited(line: str, edit: Edit) -> str:
    content = line.encode()
    before = content[: edit.end].decode(errors="replace")
    if not before.endswith(edit.old):
        return line  # before Python 3.12, `ast` gives wrong columns inside f-strings
    return before.removesuffix(edit.old) + edit.new + content[edit.end :].decode()


def imported_from_harness(
    tree: ast.Module, package: str, own_package: str
) -> Iterator[tuple[str, ast.alias]]:
    """Each name that a file imports from the harness or a module of it, with that module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = absolute_module(node, own_package)
            if is_in_harness(module, package):
                for alias in node.names:
                    yield module, alias


def is_in_harness(module: str, package: str) -> bool:
    """Whether a module is the harness of a package, or in it."""
    return f"{module}.".startswith(f"{package}.harness.")


def calls_instead_of(name: str, call: str, tree: ast.Module) -> Iterator[Edit]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
            yield Edit(node.lineno, node.end_col_offset or 0, name, call)


def renamed_attributes(
    local_name: str, module: str, tree: ast.Module, project: Project
) -> Iterator[Edit]:
    """`loaders.Loader` becomes `loaders.ResumableLoader`, if the local name is a module."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        place = project.new_place(module, node.attr)
        if node.value.id == local_name and place is not None and place.module == module:
            yield Edit(last_line(node), node.end_col_offset or 0, node.attr, place.name)


def renamed_refusals(tree: ast.Module) -> Iterator[Edit]:
    """`faults.refuse()` becomes `faults.raise_if_any()`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or node.args or node.keywords:
            continue
        method = node.func
        if isinstance(method, ast.Attribute) and method.attr == "refuse":
            yield Edit(last_line(method), method.end_col_offset or 0, "refuse", "raise_if_any")


def last_line(node: ast.expr) -> int:
    return node.end_lineno or node.lineno
