# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The arguments of a command, read before torch is imported and before any configuration."""

import argparse
import re
import shlex
from dataclasses import dataclass

from .errors import UserError

RUN_NAME = re.compile(r"\w[\w.=+-]{0,99}")
HELP_FLAGS = {"-h", "--help"}


@dataclass(frozen=True)
class Arguments:
    """What follows the program's name on the command line.

    Args:
        command: the command, such as `fit`.
        run: the value of `--run`.
        restart: whether `--restart` is given.
        configs: the values of `-c`, in order.
        overrides: everything else, such as `--model.lr 1e-3`.
    """

    command: str
    run: str | None
    restart: bool
    configs: list[str]
    overrides: list[str]

    def wants_help(self) -> bool:
        return not HELP_FLAGS.isdisjoint(self.overrides)

    def describe(self) -> str:
        """The command without the run's name, as a one-line comment at the top of config.yaml."""
        words = [f"-c={name}" for name in self.configs] + self.overrides
        return f"# {self.command} {shlex.join(words)}".replace("\n", " ")


def parse_arguments(words: list[str]) -> Arguments:
    """Split a command line into what the harness reads and what the configuration's parser reads.

    Raises:
        UserError: for an option without its value, or a run name that is not a folder's name.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("-c", "--config", action="append", default=[])
    command, *options = words
    try:
        known, overrides = parser.parse_known_args(options)
    except argparse.ArgumentError as error:
        raise UserError(f"{error}; `--help` shows how to use it") from error
    if known.run is not None and not RUN_NAME.fullmatch(known.run):
        raise UserError(
            f"--run {known.run!r}: a run's name is the name of a folder; begin with a letter, digit"
            " or _, and go on with these and . = + -, up to 100 characters"
        )
    return Arguments(command, known.run, known.restart, known.config, overrides)
