"""Check that a change of the template does not change results.

Usage: same_results.py [--against REVISION] [TASK ...]

Each task's project is rendered twice: from an earlier revision, and from the working tree with its
uncommitted changes. Both run the same short, seeded `fit` on the CPU, then `test` and `predict`.
These must be identical, bit for bit:

- in `last.ckpt`: the weights, the states of the optimizers and schedulers, and the step;
- all rows of `metrics.csv`, and `fit.json` and `test.json`, except measured speeds, whose names end
  in `per_second`;
- `predictions.csv`, and the images beside it.

One line per task says `same`, or gives the first difference in each file. The exit code is 1 if
anything differs.

Results of the earlier revision are kept in `build/same-results/COMMIT/TASK`, so a second comparison
takes half the time. Delete that folder after an update of torch. A task takes half a minute.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import torch
from jinja2 import Environment

from tests.support.releases import offered_tasks

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "same-results"
RELEASE = "03ae8c5"  # of version 0.5.0
RUN = "same"  # the name of the run in each project
TIMEOUT_SECONDS = 600  # half a minute is usual

FIT_OPTIONS = [
    "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=4",
    "--trainer.limit_val_batches=2",
    "--trainer.log_every_n_steps=1",
]
COMMON_OPTIONS = [
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.enable_progress_bar=false",
    "--data.num_workers=0",
]
TEST_OPTIONS = ["--trainer.limit_test_batches=2"]
PREDICT_OPTIONS = ["--trainer.limit_predict_batches=2"]

# Importing the libraries takes longer than the commands do, so one process runs them all.
RUN_COMMANDS = """
import json, runpy, sys
from importlib.util import find_spec

package = sys.argv[1]
for arguments in json.loads(sys.argv[2]):
    sys.argv = [package, *arguments]
    if find_spec(f"{package}.__main__"):
        runpy.run_module(package, run_name="__main__", alter_sys=True)
    else:  # until version 0.5.0
        from importlib import import_module
        import_module(f"{package}.harness.main").main()
"""

CHECKPOINT = "checkpoints/last.ckpt"
CHECKPOINT_PARTS = ["state_dict", "optimizer_states", "lr_schedulers", "global_step"]
RESULTS = ["metrics.csv", "fit.json", "test.json", "predictions.csv"]
IMAGES = "predictions"


class CommandError(Exception):
    """A command of a project failed; says the last line that it printed."""


def main(arguments: list[str]) -> int:
    """Compare the given tasks, by default all of them; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "--against", metavar="REVISION", default=RELEASE, help="default: release 0.5.0"
    )
    parser.add_argument("--tree", type=Path, default=ROOT, help="default: this working tree")
    parser.add_argument(
        "tasks", metavar="TASK", nargs="*", help="default: every task of copier.yml"
    )
    options = parser.parse_args(arguments)
    known = tasks_of(ROOT)
    for task in options.tasks:
        if task not in known:
            parser.error(f"no task {task}: choose from {', '.join(known)}")
    with TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        after = Path(folder) / "after"
        commit = extract_revision(options.against, before)
        copy_tree(options.tree, after)
        differing = 0
        for task in options.tasks or known:
            differences = compare_task(task, before, after, commit)
            if differences:
                differing += 1
            print(f"{task:24}", "; ".join(differences) or "same", flush=True)
    return int(differing > 0)


def compare_task(task: str, before: Path, after: Path, commit: str) -> list[str]:
    """How the results of a task differ between two copies of the template."""
    if task not in tasks_of(before):
        return [f"not in {commit[:7]}"]
    small = small_options(before, task)
    earlier = KEPT / commit / task
    later = KEPT / "working-tree" / task
    try:
        if not is_complete(earlier, small):
            keep_results(before, task, small, earlier)
    except CommandError as error:
        return [f"{commit[:7]} fails: {error}"]
    try:
        keep_results(after, task, small, later)
    except CommandError as error:
        return [f"fails: {error}"]
    return compare_results(earlier, later)


# ---- Two copies of the template ----------------------------------------------------------------


def git(*arguments: str, folder: Path = ROOT) -> bytes:
    """What a git command prints."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def extract_revision(revision: str, target: Path) -> str:
    """Write the files of a revision into a plain folder, and return its commit."""
    commit = git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    target.mkdir()
    archive = git("archive", commit)
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True)
    return commit


def copy_tree(tree: Path, target: Path) -> None:
    """Copy a template into a plain folder: its present files, except those that git ignores."""
    if not (tree / ".git").exists():
        shutil.copytree(tree, target)
        return
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", folder=tree)
    for name in names.decode().split("\0"):
        source = tree / name
        if source.is_file():  # a deleted file is still in git's index
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def tasks_of(template: Path) -> list[str]:
    """The tasks that a copy of the template offers."""
    return offered_tasks((template / "copier.yml").read_text())


def small_options(template: Path, task: str) -> list[str]:
    """The options with which a step of the task takes milliseconds."""
    # Until version 0.5.0, the folder of a task was called task_NAME.
    for folder in (f"{{{{ overlay.{task} }}}}", f"{{{{ task_{task} }}}}"):
        path = template / "template" / folder / "_task.jinja"
        if path.exists():
            variables: Any = Environment().from_string(path.read_text()).module
            return list(variables.small)
    raise FileNotFoundError(f"{template} has no _task.jinja for {task}")


# ---- One short run -----------------------------------------------------------------------------


def keep_results(template: Path, task: str, small: list[str], target: Path) -> None:
    """Render a project, run it, and keep its results in the target folder.

    Raises:
        CommandError: if one of its commands fails.
    """
    shutil.rmtree(target, ignore_errors=True)
    with TemporaryDirectory() as folder:
        project = Path(folder)
        answers = {"task": task, "logger": ["csv"]}
        copier.run_copy(str(template), project, answers, defaults=True, quiet=True)
        run_commands(project, small)
        results = project / "runs" / RUN
        for name in [CHECKPOINT, *RESULTS]:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(results / name, target / name)
        if (results / IMAGES).is_dir():
            shutil.copytree(results / IMAGES, target / IMAGES)
    options_file(target).write_text(json.dumps(all_options(small)))


def run_commands(project: Path, small: list[str]) -> None:
    """Run a project's `fit`, `test` and `predict` in a process of their own.

    Raises:
        CommandError: if one of them fails.
    """
    commands = [
        ["fit", *FIT_OPTIONS, *COMMON_OPTIONS, *small],
        ["test", *TEST_OPTIONS, *COMMON_OPTIONS],
        ["predict", *PREDICT_OPTIONS, *COMMON_OPTIONS],
    ]
    for arguments in commands:
        arguments.append(f"--run={RUN}")
    package = next((project / "src").iterdir()).name
    finished = subprocess.run(
        [sys.executable, "-c", RUN_COMMANDS, package, json.dumps(commands)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    if finished.returncode != 0:
        printed = (finished.stdout + finished.stderr).strip().splitlines()
        raise CommandError(printed[-1] if printed else f"exit code {finished.returncode}")


def all_options(small: list[str]) -> list[str]:
    """All options of a run, to tell whether results were made with the present ones."""
    return [*FIT_OPTIONS, *TEST_OPTIONS, *PREDICT_OPTIONS, *COMMON_OPTIONS, *small]


def options_file(results: Path) -> Path:
    """The file that records a run's options, written last: a folder that has it is complete."""
    return results / "options.json"


def is_complete(results: Path, small: list[str]) -> bool:
    """Whether a folder has all results of a run with these options."""
    path = options_file(results)
    return path.exists() and json.loads(path.read_text()) == all_options(small)


# ---- The comparison ----------------------------------------------------------------------------


def compare_results(before: Path, after: Path) -> list[str]:
    """The first difference in each file of two runs' results."""
    differences = []
    for name in [CHECKPOINT, *RESULTS]:
        first = first_difference(read_result(before / name), read_result(after / name))
        if first:
            differences.append(f"{Path(name).name}: {first}")
    image = differing_image(before / IMAGES, after / IMAGES)
    if image:
        differences.append(f"{IMAGES}/{image}")
    return differences


def read_result(path: Path) -> Any:
    """What is to be compared in a file of results."""
    if path.suffix == ".ckpt":
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return {part: checkpoint[part] for part in CHECKPOINT_PARTS}
    if path.suffix == ".json":
        return without_speeds(json.loads(path.read_text()))
    with path.open(newline="") as file:
        return [without_speeds(row) for row in csv.DictReader(file)]


def without_speeds(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics by name, without the measured speeds."""
    return {name: value for name, value in metrics.items() if not name.endswith("per_second")}


def differing_image(before: Path, after: Path) -> str | None:
    """Describe the first image that one side lacks, or that has other bytes."""
    names = {path.name for path in [*before.glob("*"), *after.glob("*")]}
    for name in sorted(names):
        if not (before / name).exists():
            return f"{name}: only after"
        if not (after / name).exists():
            return f"{name}: only before"
        if (before / name).read_bytes() != (after / name).read_bytes():
            return f"{name}: pixels differ"
    return None


def first_difference(before: Any, after: Any) -> str | None:
    """Describe the first place in which two nested values differ."""
    leaves_before = dict(leaves(before))
    leaves_after = dict(leaves(after))
    for place in {**leaves_before, **leaves_after}:
        if place not in leaves_before:
            return f"{place}: only after"
        if place not in leaves_after:
            return f"{place}: only before"
        difference = leaf_difference(leaves_before[place], leaves_after[place])
        if difference:
            return f"{place}: {difference}"
    return None


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each tensor, number and text in nested dicts and lists, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from leaves(item, f"{place}[{i}]")
    else:
        yield place, value


def leaf_difference(before: Any, after: Any) -> str | None:
    """Describe how two tensors, numbers or texts differ, to the last bit."""
    if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor):
        if repr(before) == repr(after):  # nan is not equal to itself, but has the same text
            return None
        return f"{before!r:.60} before, {after!r:.60} after"
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        return f"{describe(before)} before, {describe(after)} after"
    if not torch.equal(bytes_of(before), bytes_of(after)):
        largest = (before.double() - after.double()).abs().max().item()
        return f"values differ by up to {largest:.3g}"
    return None


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor, in which nan is equal to itself, and 0 not to -0."""
    return tensor.flatten().view(torch.uint8)


def describe(tensor: torch.Tensor) -> str:
    """The shape and type of a tensor."""
    return f"{tuple(tensor.shape)} {tensor.dtype}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
