"""A covering array over the answers: every possible pair of answers is in a project that fits."""

import math
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from covertable import make

from tests.support.expectations import LOGGER_FILES, QUICK_LOGGERS
from tests.support.in_memory_copier import InMemoryCopier
from tests.support.projects import Project
from tests.support.tasks import small_options
from tests.support.template import LOGGERS, TASKS, choices, copy_template

MACHINE = ["accelerator", "strategy", "precision"]
# Where no pair is left to cover, covertable takes the first value.
FACTORS: dict[str, list[Any]] = {"task": TASKS}
FACTORS |= {name: choices(name) for name in MACHINE}
FACTORS |= {name: [name in QUICK_LOGGERS, name not in QUICK_LOGGERS] for name in LOGGERS}
FACTORS |= {name: choices(name) for name in ("ci", "container", "license")}
# The factors between which there are rules.
RULES = (MACHINE[:2], MACHINE, ["task", *MACHINE[:2]], LOGGERS)
SHORT = [
    "--trainer.max_epochs=1",
    "--trainer.max_steps=2",
    "--trainer.limit_train_batches=2",
    "--trainer.limit_val_batches=2",
    "--trainer.val_check_interval=null",
    "--trainer.enable_progress_bar=false",
]
COPIER = InMemoryCopier(copy_template())


def answers_of(row: dict[str, Any]) -> dict[str, Any]:
    """The answers of a row, in which each logger has a column."""
    answers = {name: value for name, value in row.items() if name not in LOGGERS}
    if set(LOGGERS) <= row.keys():
        answers["logger"] = [name for name in LOGGERS if row[name]]
    return answers


def is_valid(row: dict[str, Any]) -> bool:
    return is_accepted(frozenset(row.items()))


@cache
def is_accepted(items: frozenset[tuple[str, Any]]) -> bool:
    return not COPIER.refusal(**answers_of(dict(items)))


def follows_rule(names: list[str]) -> Callable[[dict[str, Any]], bool]:
    """A function that tells whether a row is valid as far as these factors go."""

    def evaluate(row: dict[str, Any]) -> bool:
        return is_valid({name: row[name] for name in names})

    return evaluate


def covering_array() -> list[dict[str, Any]]:
    constraints = []
    for names in RULES:
        constraints.append({"operator": "fn", "requires": names, "evaluate": follows_rule(names)})
    rows = make(FACTORS, constraints=constraints)
    return [{name: row[name] for name in FACTORS} for row in rows]


ROWS = covering_array()


def test_rows_cover_every_valid_pair() -> None:
    """Two answers that can be given together are given together in some row."""
    covered = set()
    for row in ROWS:
        covered |= set(combinations(sorted(row.items()), 2))
    values = [(name, value) for name, values in FACTORS.items() for value in values]
    for pair in combinations(values, 2):
        (first, one), (second, other) = sorted(pair)
        if first == second or ((first, one), (second, other)) in covered:
            continue
        # Only rules between these can make a pair impossible.
        assert {first, second} <= {"task", *MACHINE}, f"{pair} is in no row"
        for row in ROWS:
            if row[first] == one:
                assert not is_valid({**row, second: other}), f"{pair} is in no row"


def strategy_here(row: dict[str, Any]) -> str:
    """The strategy with which a row is trained on a machine without a GPU."""
    strategy: str = row["strategy"]
    if strategy == "fsdp" or strategy.startswith("deepspeed"):
        return "auto"
    return strategy


def precision_here(row: dict[str, Any]) -> str:
    """The precision with which a row is trained on a machine without a GPU."""
    precision: str = row["precision"]
    if precision in ("16-mixed", "transformer-engine"):
        return "32-true"
    return precision


def options_for_this_machine(row: dict[str, Any]) -> list[str]:
    """What must differ on a machine without the accelerator that was answered."""
    options = ["--trainer.accelerator=cpu"]
    if strategy_here(row) != row["strategy"]:
        options.append(f"--trainer.strategy={strategy_here(row)}")
    if precision_here(row) != row["precision"]:
        options.append(f"--trainer.precision={precision_here(row)}")
    return options


def training_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What makes the training of a row differ from that of others on this machine."""
    loggers = tuple(row[name] for name in LOGGERS)
    return (row["task"], strategy_here(row), precision_here(row), loggers)


def first_of_each_training() -> list[int]:
    """The numbers of the rows of which no earlier row trains alike."""
    numbers = {}
    for number, row in enumerate(ROWS):
        numbers.setdefault(training_of(row), number)
    return list(numbers.values())


def first_trained(task: str) -> int:
    """The number of the first row with this task."""
    return next(number for number, row in enumerate(ROWS) if row["task"] == task)


def name_of_row(number: int) -> str:
    return "-".join(str(ROWS[number][name]) for name in ("task", *MACHINE))


TRAINED = first_of_each_training()
REPEATED = [number for number in range(len(ROWS)) if number not in TRAINED]


def make_project(number: int, folder: Path, render: Callable[..., Path]) -> Project:
    answers = {"project_name": f"Pairwise {number}", **answers_of(ROWS[number])}
    return Project(render(folder / "project", **answers))


@pytest.mark.slow
@pytest.mark.parametrize("number", TRAINED, ids=name_of_row)
def test_project_trains(number: int, tmp_path: Path, render: Callable[..., Path]) -> None:
    """The project fits, validates, tests and predicts: for a short real run, and for a dry one.

    `validate` and `test`, which differ only in their split, take turns in the real runs. Dry runs
    of what follows `fit` depend on the task alone, so each task has one.
    """
    row = ROWS[number]
    project = make_project(number, tmp_path, render)
    options = [*options_for_this_machine(row), *small_options(row["task"])]
    limits = ["--trainer.limit_test_batches=2", "--trainer.limit_predict_batches=2"]
    evaluation = ("validate", "test")[number % 2]

    assert project.run("fit", "--run", "short", *options, *SHORT) is None
    for command in (evaluation, "predict"):
        assert project.run(command, *limits) is None
    result = project.result("short", evaluation)
    assert result
    for metric, value in result.items():
        assert not math.isnan(value), metric

    assert project.run("fit", "-c", "preset/debug", *options) is None
    if number == first_trained(row["task"]):
        for command in ("validate", "test", "predict"):
            assert project.run(command, "-c", "preset/debug", "--run", "short") is None
    assert project.result("short", evaluation) == result, "a dry run wrote something"

    assert_logger_files(project, row)
    model_class = project.load("model").Model
    path = project.last_checkpoint("short")
    assert model_class.load_from_checkpoint(path, map_location="cpu", weights_only=True).hparams


@pytest.mark.slow
@pytest.mark.parametrize("number", REPEATED, ids=name_of_row)
def test_project_starts(number: int, tmp_path: Path, render: Callable[..., Path]) -> None:
    """A project that would train as an earlier row does fits in a dry run.

    The two differ in what this machine replaces, or in answers that have no part in training;
    besides, `fsdp` turns gradient clipping off.
    """
    row = ROWS[number]
    project = make_project(number, tmp_path, render)
    options = [*options_for_this_machine(row), *small_options(row["task"])]
    assert project.run("fit", "-c", "preset/debug", *options) is None
    assert not (project.folder / "runs").exists(), "a dry run wrote something"


def assert_logger_files(project: Project, row: dict[str, Any]) -> None:
    """The files of the loggers that were chosen are there, and no others."""
    for logger, pattern in LOGGER_FILES.items():
        found = list(project.folder.glob(pattern.format(run="short")))
        assert bool(found) == row[logger], logger
