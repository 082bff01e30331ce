"""Writes `__main__.py`, where a project's command starts now.

It imports `Model` and `DataModule` from where the owner has them.
"""

import ast
import re
from pathlib import Path

from .files import module_file, names_in, parse_file
from .imports import absolute_module

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
SOURCE = TEMPLATE / "src" / "{{ package_name }}" / "__main__.py"
DEFAULT_IMPORTS = """\
    from .data import DataModule
    from .model import Model
"""
DEFAULT_MODULES = {"DataModule": "data", "Model": "model"}
LIGHTNING_BASES = {"DataModule": "LightningDataModule", "Model": "LightningModule"}


def write_entry_point(folder: Path, files: list[Path], old_cli: bytes) -> None:
    """Write `__main__.py` if there is none.

    Args:
        folder: the package.
        files: the owner's files.
        old_cli: `harness/cli.py` before the update, which imported the two classes.
    """
    path = folder / "__main__.py"
    if path.exists():
        if not re.search(rb"^def run\b", path.read_bytes(), re.MULTILINE):
            print(
                f"To do: {path.as_posix()}: add the function `run` that this file has in a new"
                " project, since the project's command starts there now"
            )
        return
    imports = []
    for name in DEFAULT_MODULES:
        statement = find_in_old_cli(name, folder.name, old_cli)
        if statement is None:
            statement = find_class(name, folder, files)
        if statement is None:
            statement = f"from .{DEFAULT_MODULES[name]} import {name}"
            print(
                f"To do: {path.as_posix()}: your {name} was not found, or several were;"
                " edit the imports in this file"
            )
        imports.append(f"    {statement}\n")
    text = SOURCE.read_text(encoding="utf-8")
    text = text.replace(DEFAULT_IMPORTS, "".join(sorted(imports)))
    path.write_text(text, encoding="utf-8")
    print(f"{path.as_posix()}: written; the project's command starts there now")


def find_in_old_cli(name: str, package: str, old_cli: bytes) -> str | None:
    """The import statement for a class in the old harness; None if it no longer works."""
    try:
        tree = ast.parse(old_cli.decode())
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = absolute_module(node, f"{package}.harness")
        for alias in node.names:
            path = module_file(module)
            if name in (alias.name, alias.asname) and path and alias.name in names_in(path):
                return import_statement(module.removeprefix(f"{package}."), alias.name, name)
    return None


def find_class(name: str, folder: Path, files: list[Path]) -> str | None:
    """The import statement for a class that the owner moved or renamed.

    It is the only class of that name, or else the only one with Lightning's base class.
    """
    same_name = []
    same_base = []
    for path in files:
        if folder not in path.parents:
            continue
        for node in classes_in(path):
            if node.name == name:
                same_name.append((path, node.name))
            if LIGHTNING_BASES[name] in base_names(node):
                same_base.append((path, node.name))
    for found in (same_name, same_base):
        if len(found) == 1:
            path, class_name = found[0]
            parts = path.relative_to(folder).with_suffix("").parts
            module = ".".join(parts).removesuffix(".__init__")
            return import_statement(module, class_name, name)
    return None


def import_statement(module: str, class_name: str, name: str) -> str:
    statement = f"from .{module} import {class_name}"
    if class_name != name:
        statement += f" as {name}"
    return statement


def classes_in(path: Path) -> list[ast.ClassDef]:
    tree = parse_file(path)
    if tree is None:
        return []
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def base_names(node: ast.ClassDef) -> set[str]:
    """`LightningModule` for the bases `LightningModule` and `pl.LightningModule`."""
    names = set()
    for base in node.bases:
        if isinstance(base, ast.Attribute):
            names.add(base.attr)
        elif isinstance(base, ast.Name):
            names.add(base.id)
    return names
