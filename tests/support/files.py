"""Files of a folder, for checks of all of them, and the settings in one of them."""

import tomllib
from pathlib import Path
from typing import Any


def list_files(*folders: Path, pattern: str = "*") -> list[Path]:
    """The files in the folders whose names match: at least one, or a check would check nothing."""
    found = []
    for folder in folders:
        found += [path for path in folder.rglob(pattern) if path.is_file()]
    assert found, f"no {pattern} in {', '.join(map(str, folders))}"
    return sorted(found)


def relative_paths(folder: Path) -> dict[str, Path]:
    """The files of a folder by their path in it."""
    return {path.relative_to(folder).as_posix(): path for path in list_files(folder)}


def read_pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text())
