# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Finds the configuration files; a layer is a file that overrides the ones before it."""

import re
from pathlib import Path

import yaml

from .arguments import Arguments
from .errors import UserError

CONFLICT_MARKER = re.compile(r"^(<<<<<<<|>>>>>>>) ", re.MULTILINE)


def config_folder() -> Path:
    """The folder `configs`: in the current folder, the installed package, or the checkout."""
    package = Path(__file__).parents[1]
    here = Path("configs")
    for folder in (here, package / "configs", package.parents[1] / "configs"):
        if (folder / "trainer.yaml").is_file():
            return folder
    return here


def list_configs() -> list[str]:
    """The names that `-c` takes, such as `preset/debug`."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in config_folder().glob("*/*.yaml"))


def find_config(name: str) -> Path:
    """The file that a value of `-c` means: a name in the folder `configs`, or a path."""
    named = config_folder() / f"{name}.yaml"
    if named.is_file():
        return named
    return Path(name)


def project_layers() -> list[Path]:
    """The layers that every new run starts from."""
    return [config_folder() / "trainer.yaml", config_folder() / "base.yaml"]


def chosen_layers(arguments: Arguments) -> list[Path]:
    """The layers given with `-c`."""
    return [find_config(name) for name in arguments.configs]


def check_yaml(layers: list[Path]) -> None:
    """Name the file that is not YAML; the parser reads text, and does not know where it is from.

    Raises:
        UserError: with the file and the line.
    """
    for path in layers:
        if not path.is_file():
            continue  # the parser says so
        text = path.read_text(encoding="utf-8")
        conflict = CONFLICT_MARKER.search(text)
        if conflict:
            line = text.count("\n", 0, conflict.start()) + 1
            raise UserError(f"{path}:{line} has a conflict of an update; keep one of both versions")
        try:
            yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UserError(f"{path}:{line} is not YAML: {error.problem}") from error
