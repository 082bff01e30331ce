# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The command line: finds the command, runs it, and turns errors into lines.

A command is a file in `commands/`. The first line of its docstring is its line in `--help`, and its
function `run` is called with the arguments, and with the model's and the data's class if it takes
them. Nothing in this file imports torch, so that help and simple errors do not wait for it.
"""

import ast
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType

from .arguments import HELP_FLAGS, Arguments, parse_arguments
from .config_files import list_configs
from .errors import Preempted, UserError
from .messages import is_rank_zero, program_name

COMMANDS_FOLDER = Path(__file__).parent / "commands"
PACKAGE_FOLDER = Path(__file__).parents[1]

EXIT_ERROR = 1
EXIT_TEMPORARY_FAILURE = 75  # EX_TEMPFAIL of sysexits.h: "try again later"
EXIT_INTERRUPTED = 130  # 128 + SIGINT
MAX_MESSAGE_LENGTH = 500

HELP = """\
usage: {program} COMMAND [--run NAME] [-c CONFIG] [--KEY VALUE] ...

commands:
{commands}

options:
  --run NAME         fit: the name of the run (default: date, time and configuration)
                     others: the run to use (default: the newest)
  --restart          fit: start a run over, and delete what it has
  --weights PATH     fit: start from the weights of a checkpoint;
                     add --new_head true if a layer has another size
  --ckpt_path PATH   validate, test, predict: use this checkpoint, not the run's best
  -c CONFIG          override the project's configuration; the last one wins
  --KEY VALUE        override one value: --model.lr 1e-3, --trainer.max_epochs 5

configurations for -c, besides your own files:
{configs}

`{program} fit --help` lists every key; it imports torch, which takes a few seconds.
"""


def handled_without_torch() -> bool:
    """Handle what needs no model: `--help`, an unknown command, and commands such as `drift`.

    Returns:
        False if the command needs the model and the data; call `main` then.
    """
    words = sys.argv[1:]
    with errors_as_lines():
        if not words or words[0] in HELP_FLAGS:
            print(help_text(), end="")
            return True
        name = words[0]
        if name not in command_names():
            choices = ", ".join(command_names())
            raise UserError(f"unknown command {name!r}; use one of {choices}")
        if takes_model(name):
            return False
        run_command(parse_arguments(words))
    return True


def main(model_class: type, data_class: type) -> None:
    """Run the command on the command line.

    Args:
        model_class: the project's LightningModule.
        data_class: the project's LightningDataModule.

    Raises:
        SystemExit: code 1 with a line per error; 75 if a signal, such as Ctrl-C, stopped training
            after it was saved; 130 after Ctrl-C outside of training.
    """
    with errors_as_lines():
        run_command(parse_arguments(sys.argv[1:]), model_class, data_class)


def run_command(arguments: Arguments, *classes: type) -> None:
    """Call the command's `run`, which may return an exit code."""
    exit_code = load_command(arguments.command).run(arguments, *classes)
    if exit_code:
        sys.exit(exit_code)


def help_text() -> str:
    width = max(len(name) for name in command_names())
    commands = [f"  {name:{width}}   {command_summary(name)}" for name in command_names()]
    configs = [f"  {name}" for name in list_configs()]
    return HELP.format(
        program=program_name(), commands="\n".join(commands), configs="\n".join(configs)
    )


def command_names() -> list[str]:
    return sorted(path.stem for path in COMMANDS_FOLDER.glob("*.py") if path.stem != "__init__")


def command_summary(name: str) -> str:
    """The first line of the command's docstring, read from the source: importing it is slow."""
    docstring = ast.get_docstring(command_source(name)) or ""
    return docstring.partition("\n")[0]


def takes_model(name: str) -> bool:
    """Whether the command's `run` takes the model's and the data's class."""
    for statement in command_source(name).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "run":
            return len(statement.args.args) > 1
    raise NotImplementedError(f"commands/{name}.py has no function `run`")


def command_source(name: str) -> ast.Module:
    return ast.parse((COMMANDS_FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def load_command(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.commands.{name}")


@contextmanager
def errors_as_lines() -> Iterator[None]:
    """Exit with a message if an exception needs no traceback; TRACEBACK=1 shows it anyway."""
    try:
        yield
    except Preempted as preempted:
        exit_preempted(preempted)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except UserError as error:
        if "TRACEBACK" in os.environ:
            raise
        if not is_rank_zero():  # rank 0 reports the same
            sys.exit(EXIT_ERROR)
        exit_with_lines([str(line).replace("\n", "\\n") for line in error.args])
    except Exception as error:
        if "TRACEBACK" in os.environ or passed_through_own_code(error):
            raise
        message = " ".join(str(error).split())[:MAX_MESSAGE_LENGTH]
        exit_with_lines([f"{message} ({type(error).__name__}; TRACEBACK=1 shows where)"])


def exit_preempted(preempted: Preempted) -> None:
    if is_rank_zero():
        print(f"{program_name()}: {preempted}")
    # If Lightning started the other ranks, they are children of rank 0, which takes every exit code
    # but 0 of a child for a crash.
    started_by_lightning = not is_rank_zero() and "LOCAL_RANK" in os.environ
    sys.exit(0 if started_by_lightning else EXIT_TEMPORARY_FAILURE)


def exit_with_lines(lines: list[str]) -> None:
    """Print an error in one line, or a heading and one line for each of several."""
    if len(lines) > 1:
        lines = [f"{len(lines)} errors", *lines]
    rank = "" if is_rank_zero() else f" on rank {os.environ.get('RANK', '?')}"
    sys.exit(f"{program_name()}: error{rank}: " + "\n  ".join(lines))


def passed_through_own_code(error: Exception) -> bool:
    """Whether a file directly in the package's folder, such as model.py, is in the traceback.

    If none is, Lightning or another library refused what the configuration gave it.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if Path(frame.f_code.co_filename).parent == PACKAGE_FOLDER and not is_entry_point(frame):
            return True
    return False


def is_entry_point(frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).name == "__main__.py"
