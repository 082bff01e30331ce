"""Rendered projects, run as their users run them: in this process, or in processes of their own."""

import atexit
import csv
import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.support import forkserver

TERMINAL = {"COLUMNS": "100"}


class Project:
    """A rendered project.

    Args:
        folder: where it is.
        answers_file: in which the answers are recorded.
    """

    def __init__(self, folder: Path, answers_file: str = ".copier-answers.yml") -> None:
        self.folder = folder
        self.answers = yaml.safe_load((folder / answers_file).read_text())
        self.package: str = self.answers["package_name"]

    # ---- Running its command --------------------------------------------------------------------

    def run(self, *arguments: str) -> str | None:
        """Run the project's command in this process.

        Returns the error message, or exit code, of a command that exits; None for one that
        succeeds.
        """
        import_libraries()
        with self.importable() as monkeypatch:
            monkeypatch.chdir(self.folder)
            monkeypatch.setattr(sys, "argv", sys.argv)  # which run_command replaces
            variables = dict(os.environ)
            try:
                forkserver.run_command(self.package, list(arguments))
            except SystemExit as ended:
                return str(ended.code)
            finally:
                # Without this, the next run would have this run's name and Lightning's address.
                os.environ.clear()
                os.environ.update(variables)
                clean_up()
        return None

    def fork(
        self,
        *arguments: str,
        ranks: int = 1,
        prepare: Callable[[], None] | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command in forked processes, one per rank, that need no imports."""
        call = partial(forkserver.run_command, self.package, list(arguments))
        variables = {**os.environ, **TERMINAL, **environment}
        return forkserver.fork(self.folder, call, variables, ranks, prepare=prepare)

    def process(
        self,
        *arguments: str,
        timeout: int = forkserver.TIMEOUT,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command as a process in a group of its own."""
        return subprocess.run(
            [sys.executable, self.script(), *arguments],
            cwd=self.folder,
            env={**os.environ, **TERMINAL, **self.python_path(), **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            start_new_session=True,
        )

    def script(self) -> str:
        """The path of a script like the one that pip installs."""
        path = self.folder / "command.py"
        path.write_text(f"from {self.package}.__main__ import run\nrun()\n")
        return str(path)

    def python_path(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder / "src")}

    # ---- What it consists of --------------------------------------------------------------------

    def load(self, module: str) -> Any:
        """Import a module of the project's package."""
        with self.importable():
            return importlib.import_module(f"{self.package}.{module}")

    @contextmanager
    def importable(self) -> Iterator[pytest.MonkeyPatch]:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.syspath_prepend(str(self.folder / "src"))
            yield monkeypatch

    # ---- What its runs leave --------------------------------------------------------------------

    def run_folder(self, run: str) -> Path:
        return self.folder / "runs" / run

    def last_checkpoint(self, run: str) -> Path:
        return self.run_folder(run) / "checkpoints" / "last.ckpt"

    def load_last_checkpoint(self, run: str) -> dict[str, Any]:
        return torch.load(self.last_checkpoint(run), weights_only=True)

    def result(self, run: str, command: str = "test") -> dict[str, float]:
        """The metrics that `fit`, `validate` or `test` wrote."""
        return json.loads((self.run_folder(run) / f"{command}.json").read_text())

    def metrics_rows(self, run: str) -> list[dict[str, str]]:
        """The rows of metrics.csv; a metric that was not logged at a step is empty."""
        with (self.run_folder(run) / "metrics.csv").open(newline="") as file:
            return list(csv.DictReader(file))


@cache
def import_libraries() -> None:
    """Import what every project imports, and spare the garbage collector from looking at it."""
    for name in forkserver.PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def clean_up() -> None:
    """Undo what a run changes in its process."""
    close_loggers()
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float32)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    gc.collect()


def close_loggers() -> None:
    """End W&B's service, and close MLflow's connections, which it keeps by their relative path."""
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish()
        sys.modules["wandb"].teardown()
    if "mlflow.store.tracking.sqlalchemy_store" in sys.modules:
        sys.modules["mlflow.store.tracking.sqlalchemy_store"].SqlAlchemyStore._engine_map.clear()
        utilities = importlib.import_module("mlflow.tracking._tracking_service.utils")
        utilities._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
