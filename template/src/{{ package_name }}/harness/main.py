# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""usage: {prog} COMMAND [--run NAME] [-c CONFIG] [--KEY VALUE] ...

commands:
  fit        train; everything the run produces is kept in runs/NAME,
             and a run that was cut off goes on where it was
  validate   evaluate a run's best checkpoint on the validation split
  test       evaluate it on the test split
  predict    write its predictions to runs/NAME/predictions.csv, and images beside it
  drift      name the managed files that are not as the template renders them (exit code 3)

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
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from . import FIRST, Preempted, UserError


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
        if args[0] == "drift":
            if args[1:]:
                raise UserError(f"drift takes no options, not {args[1]}")
            sys.exit(3 if drift() else 0)
        if args[0] not in ("fit", "validate", "test", "predict"):
            raise UserError(f"unknown command {args[0]!r}: use fit, validate, test, predict or drift")
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
        if "TRACEBACK" in os.environ:
            raise
        ours = [str(fault).replace("\n", "\\n") for fault in error.args]
        said = str(error).split("UserError: ")[-1].splitlines() if "Original Traceback" in ours[0] else ours
        lines = [f"{len(said)} faults", *said] if len(said) > 1 else said
        sys.exit(f"{prog}: error: " + "\n  ".join(lines) if FIRST else 1)
    except Exception as error:
        yours = Path(__file__).parents[1]  # the folder of model.py, data.py, and what you put beside them
        own = [f for f, _ in traceback.walk_tb(error.__traceback__) if Path(f.f_code.co_filename).parent == yours]
        if own or "TRACEBACK" in os.environ:
            raise
        said = " ".join(str(error).split())[:500]  # Lightning, or another library, refuses what it is given
        sys.exit(f"{prog}: error: {said} ({type(error).__name__}; TRACEBACK=1 shows where)" if FIRST else 1)


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
    command = f"# fit {shlex.join([*(f'-c={name}' for name in known.config), *rest])}".replace("\n", " ")
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


def fill(value: Any, names: dict[str, str]) -> Any:
    """Put a run's names for {id}, {run} and {run_dir} into a configuration, which is changed in place."""
    if isinstance(value, str | Path):
        return type(value)(re.sub(r"\{(id|run|run_dir)\}", lambda m: names[m[0]], str(value)))
    if isinstance(value, list | tuple | set):
        return type(value)(fill(item, names) for item in value)
    inner = vars(value) if isinstance(value, argparse.Namespace) else value if isinstance(value, dict) else {}
    inner.update({key: fill(item, names) for key, item in inner.items()})
    return value


def explain(error: Exception, keys: list[str]) -> str:
    """One line for jsonargparse's many: the key, what it takes, what it got, what was meant."""
    text = re.sub(r"Does not validate .*? Errors: ", "", " ".join(str(error).split()))
    name = re.search(r"(?:arguments: --|option ')([\w.]+)", text)
    close = get_close_matches(name[1], keys, n=1) if name else []
    return f"{text}; " + (f"did you mean {close[0]}?" if close else "`fit --help` lists every key and what it takes")


def fresh_name(config: list[str]) -> str:
    """Name a run by date, time and configuration."""
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{Path(config[-1]).stem if config else 'base'}"
    return os.environ.setdefault("LIGHTNING_RUN", name)  # which the ranks that rank 0 starts inherit


def find_run(name: str | None) -> Path:
    """The run of that name, or the newest."""
    found = [path.parent for path in Path("runs").glob("*/checkpoints") if name in (None, path.parent.name)]
    if not found:
        raise UserError(f"{Path.cwd()}/runs: no run {name or 'yet'} with checkpoints; `fit` makes one, --run names one")
    return max(found, key=lambda path: (path / "config.yaml").stat().st_mtime)


def drift() -> bool:
    """Name the managed files that are not as the recorded version of the template renders them, if there are any.

    Lines that were added beside a comment `# Yours:`, and a value changed below one, do not count. Copier
    cannot tell, since it keeps no copy of what it rendered.
    """
    import copier
    import yaml

    try:
        recorded = yaml.safe_load(Path(".copier-answers.yml").read_text())
        source, version = recorded.pop("_src_path"), recorded.pop("_commit")
    except (OSError, KeyError, AttributeError) as error:
        raise UserError("drift runs in a project: its .copier-answers.yml has _src_path and _commit") from error
    with TemporaryDirectory() as folder:
        copier.run_copy(source, folder, recorded, vcs_ref=version, defaults=True, quiet=True)
        texts = {p.relative_to(folder): p.read_text("utf-8") for p in sorted(Path(folder).rglob("*")) if p.is_file()}
    managed = {n: t.splitlines() for n, t in texts.items() if "Managed by copier-lightning" in t.partition("\n")[0]}
    drifted = [line for name, lines in managed.items() if (line := difference(name, lines))]
    print(*drifted, f"{len(drifted)} of {len(managed)} managed files differ from {version} of the template", sep="\n")
    return bool(drifted)


def difference(name: Path, there: list[str]) -> str:
    """How many lines of a managed file were added and taken out; nothing where all that changed is yours."""
    if not name.is_file():
        return f"{name} is gone"
    here, added, removed = name.read_text("utf-8", "replace").splitlines(), 0, 0
    for kind, start, end, first, last in SequenceMatcher(None, there, here, autojunk=False).get_opcodes():
        beside, size = there[max(start - 1, 0) : start] if kind == "insert" or end - start == 1 else [], end - start
        while kind == "insert" and there[start : start + 1] == here[first : first + 1]:  # the same, a line lower
            start, first, last = start + 1, first + 1, last + 1
        beside += there[start : start + 1] if kind == "insert" else []
        if kind != "equal" and not any("# Yours:" in line for line in beside):
            added, removed = added + last - first, removed + size
    return f"{name} +{added} -{removed}" if added or removed else ""
