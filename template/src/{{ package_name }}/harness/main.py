# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""usage: {prog} COMMAND [--run NAME] [-c CONFIG] [--KEY VALUE] ...

commands:
  fit        train; everything the run produces is kept in runs/NAME
  validate   evaluate a run's best checkpoint on the validation split
  test       evaluate it on the test split
  predict    write its predictions to runs/NAME/predictions.csv

options:
  --run NAME         fit: the run's name (default: date, time and configuration)
                     others: the run to use (default: the newest)
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
import sys
from datetime import datetime
from pathlib import Path

from . import UserError

# The one process that speaks; SLURM's variables stay those of the job in what is started by hand in it.
FIRST = all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


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
        run_dir, args = compose(args, configs)
        from .cli import CLI

        CLI(run_dir, args)
    except UserError as error:  # a loader's worker puts a traceback before the message
        sys.exit(f"{prog}: error: {str(error).splitlines()[-1]}" if FIRST else 1)


def find_configs() -> Path:
    """The `configs` folder: of the working directory, the installed package, or the checkout."""
    package = Path(__file__).parents[1]
    folders = (Path("configs"), package / "configs", package.parents[1] / "configs")
    return next((folder for folder in folders if (folder / "trainer.yaml").is_file()), folders[0])


def compose(args: list[str], configs: Path) -> tuple[Path, list[str]]:
    """The run's folder, and the arguments with every layer of configuration spelt out in front."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--run")
    parser.add_argument("-c", "--config", action="append", default=[])
    known, rest = parser.parse_known_args(args[1:])
    if not re.fullmatch(r"\w[\w.=+-]*", known.run or "none"):
        raise UserError(f"--run {known.run!r}: a run's name is a folder's, of letters, digits and . _ = + -")
    if args[0] == "fit" or {"-h", "--help"} & set(rest):
        run_dir = Path("runs") / (known.run or fresh_name(known.config))
        layers = [configs / "trainer.yaml", configs / "base.yaml"]
    else:
        run_dir = find_run(known.run)
        layers = [run_dir / "config.yaml"]
    layers += [short if (short := configs / f"{name}.yaml").is_file() else Path(name) for name in known.config]
    return run_dir, [args[0], *(f"--config={layer}" for layer in layers), *rest]


def fresh_name(config: list[str]) -> str:
    """Name a run by date, time and configuration."""
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{Path(config[-1]).stem if config else 'base'}"
    return os.environ.setdefault("LIGHTNING_RUN", name)  # which the ranks that rank 0 starts inherit


def find_run(name: str | None) -> Path:
    """The run of that name, or the newest."""
    found = [path for path in Path("runs").glob("*/config.yaml") if name in (None, path.parent.name)]
    if not found:
        raise UserError(f"no run {name or ''} in {Path('runs').absolute()}: `fit` makes one, --run names one")
    return max(found, key=lambda path: path.stat().st_mtime).parent
