"""Try every choice that an NVIDIA GPU allows in a short real run: `python -m tools.gpu REPORT`.

It needs no network: projects are rendered here, and run with the packages of this environment.
"""

import importlib.util
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import copier
import torch

from tests.support.projects import Project
from tests.support.template import TASKS, choices, copy_template

TIMEOUT = 600  # seconds of a command
OPTIONS = [
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=20",
    "--trainer.limit_val_batches=5",
    "--trainer.val_check_interval=null",
    "--trainer.enable_progress_bar=false",
]
HEADER = """\
# GPU report

{gpu}, torch {torch}, Python {python}. For each task and choice: twenty training steps, a
validation, and a test of the best checkpoint.

| task | choice | result | time |
|---|---|---|---|
"""
# A package that a choice needs beyond those of every project; `deepspeed_*` need deepspeed.
PACKAGES = {"transformer-engine": "transformer_engine"}
# The strategy `auto` is what each precision runs with, and 64-true is tested on the CPU.
NOT_TRIED = ("auto", "64-true")


@dataclass(frozen=True)
class Choice:
    """An answer, or an option of `fit`, to try."""

    name: str
    value: str

    @property
    def is_answer(self) -> bool:
        return self.name in ("strategy", "precision")

    def missing_package(self) -> str | None:
        """The package that the choice needs, if it is not installed."""
        package = PACKAGES.get(self.value)
        if self.value.startswith("deepspeed"):
            package = "deepspeed"
        if package and importlib.util.find_spec(package) is None:
            return package
        return None


def all_choices() -> list[Choice]:
    found = []
    for question in ("strategy", "precision"):
        for value in choices(question):
            if value not in NOT_TRIED:
                found.append(Choice(question, value))
    return [*found, Choice("compile", "true")]


def try_choice(task: str, choice: Choice, folder: Path, number: int) -> tuple[str, bool]:
    """Run a task with a choice; return what to report, and whether it failed."""
    missing = choice.missing_package()
    if missing:
        return f"not run: {missing} is not installed", False
    answers = {"task": task, "accelerator": "gpu", "project_name": f"Gpu {number}"}
    options = list(OPTIONS)
    if choice.is_answer:
        answers[choice.name] = choice.value
    else:
        options.append(f"--model.{choice.name}={choice.value}")
    try:
        copier.run_copy(str(copy_template()), folder, answers, defaults=True, quiet=True)
    except ValueError as error:  # some choices exclude a task
        return f"refused: {str(error).rpartition(': ')[2]}", False
    project = Project(folder)
    for command in (["fit", "--run", "gpu", *options], ["test", "--run", "gpu"]):
        ended = project.process(*command, timeout=TIMEOUT)
        if ended.returncode != 0:
            print(ended.stderr[-3000:], file=sys.stderr)
            return f"**{command[0]} failed**: {ended.stderr.splitlines()[-1][:200]}", True
    metrics = []
    for metric, value in project.result("gpu").items():
        metrics.append(f"{metric.removeprefix('test/')} {value:.3f}")
    return ", ".join(metrics), False


def main(report: Path) -> None:
    if not torch.cuda.is_available():
        sys.exit("there is no NVIDIA GPU, so nothing was run and the report is unchanged")
    names = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    text = HEADER.format(**names, python=platform.python_version())
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            for number, choice in enumerate(all_choices()):
                project = Path(folder) / task / str(number)
                start = time.perf_counter()
                result, failed = try_choice(task, choice, project, number)
                seconds = time.perf_counter() - start
                row = f"| {task} | {choice.name}={choice.value} | {result} | {seconds:.0f} s |"
                print(row, flush=True)
                text += f"{row}\n"
                if failed:
                    failures += 1
    report.parent.mkdir(exist_ok=True)
    report.write_text(text)
    if failures:
        sys.exit(f"{failures} failed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
