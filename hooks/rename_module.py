"""Rename a module of the harness in everything of a project that refers to it: `rename_module.py OLD NEW BLOB`.

It runs in the project's folder, after the update has rendered the module under its new name. Text files
that git knows, code and prose alike, are changed where they name it, each with a line that says so; what
the template renders names it right already. BLOB is the old module as it was rendered, by git's hash:
changes that the owner made to it are in the history alone, and are named.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

BOM = b"\xef\xbb\xbf"


def rename_path(text: bytes, old: str, new: str) -> bytes:
    """`harness.OLD` and `harness/OLD`, wherever they stand."""
    return re.sub(rf"\bharness([./]){old}\b".encode(), rf"harness\g<1>{new}".encode(), text)


def rename_name(code: bytes, old: str, new: str) -> bytes:
    """`from .harness import OLD`, and OLD where it is used then; `NEW as OLD` where either name means something else.

    Raises:
        SyntaxError: for what is no Python; ValueError: not in UTF-8, by whose bytes `ast` counts columns.
    """
    nodes = list(ast.walk(ast.parse(code.decode())))
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    from_harness = [node for node in imports if f".{getattr(node, 'module', '')}".endswith(".harness")]
    aliases = [name for node in from_harness for name in node.names if name.name == old]
    others = {name.asname or name.name for node in imports for name in node.names if name not in aliases}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    others |= {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    others |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    text = f"{new} as {old}" if others & {old, new} else new
    places = [(name.lineno, name.col_offset, new if name.asname else text) for name in aliases]
    if text == new and not all(name.asname for name in aliases):
        places += [(node.lineno, node.col_offset, new) for node in names if node.id == old]
    lines = code.splitlines(keepends=True)
    for row, column, text in sorted(places, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + text.encode() + line[column + len(old) :]
    return b"".join(lines)


def renamed(name: str, text: bytes, old: str, new: str) -> bytes:
    """What a file should hold; what is left for its owner to see to is printed."""
    mark = BOM if text.startswith(BOM) else b""
    text = rename_path(text.removeprefix(mark), old, new)
    if name.endswith((".py", ".pyi")):
        try:
            text = rename_name(text, old, new)
        except (SyntaxError, ValueError, RecursionError) as error:
            print(f"{name} is not read as Python ({error})")
    if re.search(rf"\bharness\s+import\b[^\n]*(?<!as )\b{old}\b".encode(), text):
        print(f"{name} imports harness.{old}, which is harness.{new} now: change it there")
    return mark + text


def main(old: str, new: str, blob: str) -> None:
    listed = subprocess.run(["git", "ls-files", "--stage", "-z"], check=True, capture_output=True).stdout
    for entry in os.fsdecode(listed).split("\0")[:-1]:
        found, name = entry.split()[1], entry.partition("\t")[2]
        path = Path(name)
        if re.fullmatch(rf"src/\w+/harness/{old}\.py", name):
            if path.is_file():
                print(f"{name} is still there: its package is not `package_name` in .copier-answers.yml")
            elif found != blob:
                print(f"{name} had changes of yours, which {new}.py has not: `git show HEAD:./{name}` shows them")
        if path.is_file() and not path.is_symlink():
            before = path.read_bytes()
            after = before if b"\0" in before else renamed(name, before, old, new)  # which text has not
            if after != before:
                path.write_bytes(after)
                print(f"{name}: harness.{old} is harness.{new} now")


if __name__ == "__main__":
    main(*sys.argv[1:])
