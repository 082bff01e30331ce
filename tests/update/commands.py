"""Commands in a project that is updated: Copier's, its owner's, and its own."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.support.forkserver import fork, run_own_tests
from tests.support.projects import Project
from tests.support.tasks import small_options

# Options of a fit that takes a second.
SHORT = (
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=2",
    "--trainer.limit_val_batches=1",
)
# On a slow machine; it takes about a minute.
TIMEOUT_OF_OWN_TESTS = 900


def run_copier(*arguments: str, cwd: Path) -> tuple[int, str]:
    """The exit code of Copier's command, and all that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "copier", *arguments],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


def assert_tidy(folder: Path) -> None:
    """The project passes its own linter and formatter."""
    for command in ("check", "format --check"):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command.split(), "--quiet"],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def assert_works(folder: Path, task: str, with_harness: bool = True) -> None:
    """The project's own tests pass, none is skipped, and it trains with its owner's experiment.

    Args:
        folder: of the project.
        task: of the project.
        with_harness: whether to run the tests of its harness as well.
    """
    project = Project(folder)
    environment = {**os.environ, **project.python_path(), "COLUMNS": "100"}
    options = () if with_harness else ("--ignore=tests/harness",)
    own_tests = partial(run_own_tests, *options)
    tested = fork(folder, own_tests, environment, timeout=TIMEOUT_OF_OWN_TESTS)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert not re.search(r"\d skipped", tested.stdout), tested.stdout
    trained = project.fork(*fit_command(project, task))
    assert trained.returncode == 0, trained.stderr
    assert "mine" in trained.stdout  # the owner's callback prints it


def fit_command(project: Project, task: str) -> list[str]:
    """A short fit with the owner's experiment."""
    options = [option for option in small_options(task) if has_parameter(project, option)]
    return ["fit", "--run", "short", "-c", "experiment/mine", *options, *SHORT]


def has_parameter(project: Project, option: str) -> bool:
    """Whether the project's own model or data has the parameter: a later release may have more."""
    _, parameter, _ = re.split("[.=]", option, maxsplit=2)
    package = project.folder / "src" / project.package
    code = (package / "model.py").read_text() + (package / "data.py").read_text()
    return re.search(rf"\b{parameter}\b", code) is not None
