# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Finds the configuration files; a layer is a file that overrides the ones before it."""

from pathlib import Path

from .arguments import Arguments


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
