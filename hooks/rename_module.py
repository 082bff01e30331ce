"""Rename a module of the harness in everything of a project that refers to it: `rename_module.py OLD NEW BLOB`.

It runs in the project's folder, after the update has rendered the module under its new name. Code and
notebooks, configuration and prose that git knows are changed where they name it, each file with a line
that says so; what the template renders names it right already. BLOB is the old module as it was
rendered, by git's hash: changes that the owner made to it are in the history alone, and are named.
"""

import re
import subprocess
import sys
from pathlib import Path

IMPORT = re.compile(r"(from[ \t]+[.\w]*\bharness[ \t]+import[ \t]+)(\([^)]*\)|[^\n]*)")
KINDS = (".py", ".pyi", ".ipynb", ".yaml", ".yml", ".toml", ".md", ".sh")


def renamed(text: str, old: str, new: str) -> str:
    """The text with `harness.OLD` as `harness.NEW`, and `OLD.name` so where OLD is imported from the harness.

    Where the text has another NEW already, what is imported keeps its name: `NEW as OLD`.
    """
    imported = rf"\b(?<!as ){old}\b"
    alias = new if not re.search(rf"\b{new}\b", text) else f"{new} as {old}"

    def names(found: re.Match[str]) -> str:
        return found[1] + re.sub(imported, alias, re.sub(rf"\b{old}(?=\s+as\b)", new, found[2]))

    if alias == new and any(re.search(rf"{imported}(?!\s+as\b)", found[2]) for found in IMPORT.finditer(text)):
        text = re.sub(rf"(?<![.\w]){old}(?=\.\w)", new, text)
    return re.sub(rf"\bharness([./]){old}\b", rf"harness\g<1>{new}", IMPORT.sub(names, text))


def main(old: str, new: str, blob: str) -> None:
    listed = subprocess.run(["git", "ls-files", "--stage", "-z"], check=True, capture_output=True, text=True).stdout
    for entry in listed.split("\0")[:-1]:
        found, name = entry.split()[1], entry.partition("\t")[2]
        if re.fullmatch(rf"src/\w+/harness/{old}\.py", name) and found != blob:
            print(f"{name} had changes of yours, which {new}.py has not: `git show HEAD:{name}` shows them")
        path = Path(name)
        if path.suffix not in KINDS or not path.is_file():
            continue
        before = path.read_bytes().decode()  # line ends as they are
        after = renamed(before, old, new)
        if after != before:
            path.write_bytes(after.encode())
            print(f"{name}: harness.{old} is harness.{new} now")


if __name__ == "__main__":
    main(*sys.argv[1:])
