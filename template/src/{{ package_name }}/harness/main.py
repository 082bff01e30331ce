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

# Nothing here imports torch, so that the help above, and most mistakes, answer at once.
import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

from . import UserError

COMMANDS = ("fit", "validate", "test", "predict")
RUNS = Path("runs")
RANK = next((int(os.environ[k]) for k in ("RANK", "SLURM_PROCID", "LOCAL_RANK") if k in os.environ), 0)


def main() -> int:
    """Run one command; the exit code is 2 after a mistake in the command, the data or a config."""
    prog, args = Path(sys.argv[0]).name, sys.argv[1:]
    try:
        configs = find_configs()
        if not args or args[0] in ("-h", "--help"):
            names = sorted(f"  {p.parent.name}/{p.stem}" for p in configs.glob("*/*.yaml"))
            print(__doc__.format(prog=prog, configs="\n".join(names)), end="")
            return 0
        if args[0] not in COMMANDS:
            raise UserError(f"unknown command {args[0]!r}: use one of {', '.join(COMMANDS)}")
        run_dir, args = compose(args, configs)
        from .cli import run

        run(run_dir, args)
    except UserError as error:
        if RANK == 0:  # a loader's worker puts a traceback before the message
            print(f"{prog}: error: {str(error).splitlines()[-1]}", file=sys.stderr)
        return 2
    return 0


def find_configs() -> Path:
    """The `configs` folder: of the working directory, the installed package, or the checkout."""
    package = Path(__file__).parents[1]
    for folder in (Path("configs"), package / "configs", package.parents[1] / "configs"):
        if (folder / "trainer.yaml").is_file():
            return folder
    raise UserError("no configs/trainer.yaml here: run the command in the project's folder")


def compose(args: list[str], configs: Path) -> tuple[Path, list[str]]:
    """The run's folder, and the arguments with every layer of configuration spelt out in front."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run")
    parser.add_argument("-c", "--config", action="append", default=[])
    known, rest = parser.parse_known_args(args[1:])
    layers = [configs / "trainer.yaml", configs / "base.yaml"]
    if args[0] == "fit" or {"-h", "--help"} & set(rest):
        run_dir = RUNS / (known.run or fresh_name(known.config))
    else:
        run_dir = find_run(known.run)
        layers = [run_dir / "config.yaml"]
    for name in known.config:
        found = [path for path in (Path(name), configs / f"{name}.yaml") if path.is_file()]
        if not found:
            raise UserError(f"-c {name}: no such file, and no configs/{name}.yaml; see --help")
        layers.append(found[0])
    return run_dir, [args[0], *(f"--config={layer}" for layer in layers), *rest]


def fresh_name(config: list[str]) -> str:
    """Name a run by date, time and configuration, the same on every rank."""
    if os.environ.get("WORLD_SIZE", "1") != "1" and "LIGHTNING_RUN" not in os.environ:
        raise UserError("ranks that are started from outside must agree on the run: add --run NAME")
    label = Path(config[-1]).stem if config else "base"
    # The ranks that rank 0 starts inherit its environment, and with it the name.
    return os.environ.setdefault("LIGHTNING_RUN", f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{label}")


def find_run(name: str | None) -> Path:
    """The run of that name, or the newest."""
    runs = sorted(RUNS.glob("*/config.yaml"), key=lambda path: path.stat().st_mtime)
    found = [path.parent for path in runs if name in (None, path.parent.name)]
    if not found:
        names = ", ".join(path.parent.name for path in runs) or "none yet: train one with `fit`"
        raise UserError(f"no run {name or ''} in {RUNS.absolute()}; there are: {names}")
    return found[-1]
