# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""usage: {prog} COMMAND [--run NAME] [-c CONFIG] [--KEY VALUE] ...

commands:
  fit        train; everything the run produces is kept in runs/NAME,
             and a run that was cut off goes on where it was
  validate   evaluate a run's best checkpoint on the validation split
  test       evaluate it on the test split
  predict    write its predictions to runs/NAME/predictions.csv

options:
  --run NAME         fit: the run's name (default: date, time and configuration)
                     others: the run to use (default: the newest)
  --restart          fit: start a run over, and remove what it has
  --weights PATH     fit: start from a checkpoint's weights;
                     with --new_head true where a head has another size
  --ckpt_path PATH   validate, test, predict: a checkpoint other than the run's best
  -c CONFIG          lay a configuration over the project's own; the last one wins
  --KEY VALUE        set one value: --model.lr 1e-3, --trainer.max_epochs 5

configurations for -c, besides your own files:
{configs}

`{prog} fit --help` lists every key; it imports torch, which takes a few seconds.
"""

# Nothing here imports torch, so that the help above, and some mistakes, answer at once.
import argparse
import os
import re
import shlex
import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from . import Preempted, UserError

# The one process that speaks; SLURM's variables stay those of the job in what is started by hand in it.
FIRST = all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


class Plan(NamedTuple):
    """What a command is to do: with every layer of configuration spelt out in `args`."""

    run_dir: Path
    args: list[str]
    command: str
    restart: bool


def main() -> None:
    """Run one command; leave with one line and exit code 1 after a mistake in it, a config or the data."""
    prog, args = Path(sys.argv[0]).name, sys.argv[1:]
    try:
        configs = find_configs()
        if not args or args[0] in ("-h", "--help"):
            names = sorted(f"  {path.parent.name}/{path.stem}" for path in configs.glob("*/*.yaml"))
            return print(__doc__.format(prog=prog, configs="\n".join(names)), end="")
        if args[0] not in ("fit", "validate", "test", "predict"):
            raise UserError(f"unknown command {args[0]!r}: use fit, validate, test or predict")
        plan = compose(args, configs)
        if args[0] == "fit" and (plan.run_dir / "fit.json").exists() and not plan.restart:
            return print(f"{plan.run_dir} is finished: choose another --run, or --restart it")
        from .cli import CLI

        CLI(plan)
    except Preempted as stopped:  # a rank that rank 0 has started must not seem to have failed
        if FIRST:
            print(f"{prog}: {stopped}")
        sys.exit(75 if FIRST or "LOCAL_RANK" not in os.environ else 0)
    except KeyboardInterrupt:
        sys.exit(130)
    except UserError as error:  # a loader's worker puts a traceback before the message
        sys.exit(f"{prog}: error: {str(error).splitlines()[-1].split('UserError: ')[-1]}" if FIRST else 1)
    except Exception as error:
        own = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if is_yours(frame.f_code.co_filename)]
        if own or "TRACEBACK" in os.environ:
            raise
        said = " ".join(str(error).split())[:500]  # Lightning, or another library, refuses what it is given
        sys.exit(f"{prog}: error: {said} ({type(error).__name__}; TRACEBACK=1 shows where)" if FIRST else 1)


def is_yours(filename: str) -> bool:
    """Whether that is model.py, data.py, or what you put beside them."""
    return Path(filename).parent == Path(__file__).parents[1]


def find_configs() -> Path:
    """The `configs` folder: of the working directory, the installed package, or the checkout."""
    package = Path(__file__).parents[1]
    folders = (Path("configs"), package / "configs", package.parents[1] / "configs")
    return next((folder for folder in folders if (folder / "trainer.yaml").is_file()), folders[0])


def compose(args: list[str], configs: Path) -> Plan:
    """Find the run and its configuration; a run that exists goes on with its own, and with what is new now."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run")
    parser.add_argument("--restart", action="store_true")
    parser.add_argument("-c", "--config", action="append", default=[])
    try:
        known, rest = parser.parse_known_args(args[1:])
    except argparse.ArgumentError as error:
        raise UserError(f"{error}; `--help` shows how it is used") from error
    if not re.fullmatch(r"\w[\w.=+-]{0,99}", "none" if known.run is None else known.run):
        raise UserError(f"--run {known.run!r}: a run's name is a folder's, of letters, digits and . _ = + -")
    command = f"# fit {shlex.join([*(f'-c={name}' for name in known.config), *rest])}"
    if args[0] == "fit" or {"-h", "--help"} & set(rest):
        run_dir = Path("runs") / (known.run or fresh_name(known.config))
        layers = [configs / "trainer.yaml", configs / "base.yaml"]
        recorded = run_dir / "config.yaml"
        if any(run_dir.glob("checkpoints/*.ckpt")) and recorded.is_file() and not known.restart:
            layers = [recorded]
            if recorded.read_text().startswith(command + "\n"):  # as a cluster does that starts a job again
                known.config, rest = [], []
    else:
        run_dir = find_run(known.run)
        layers = [run_dir / "config.yaml"]
    layers += [short if (short := configs / f"{name}.yaml").is_file() else Path(name) for name in known.config]
    return Plan(run_dir, [args[0], *(f"--config={layer}" for layer in layers), *rest], command, known.restart)


def fresh_name(config: list[str]) -> str:
    """Name a run by date, time and configuration."""
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{Path(config[-1]).stem if config else 'base'}"
    return os.environ.setdefault("LIGHTNING_RUN", name)  # which the ranks that rank 0 starts inherit


def find_run(name: str | None) -> Path:
    """The run of that name, or the newest."""
    found = [path.parent for path in Path("runs").glob("*/checkpoints") if name in (None, path.parent.name)]
    if not found:
        named = f"{name} with checkpoints" if name else "with checkpoints"
        raise UserError(f"no run {named} in {Path('runs').absolute()}: `fit` makes one, --run names one")
    return max(found, key=lambda path: (path / "config.yaml").stat().st_mtime)
