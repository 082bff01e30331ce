"""Rendered projects, run as their users run them: in this process, or as processes of their own."""

import atexit
import gc
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import forks
import pytest
import torch
import yaml
from conftest import QUESTIONS, ROOT
from jinja2 import Environment


@cache
def asked_by(task: str) -> Any:
    """What a task's `_task.jinja` says: `small`, dials with which a step takes milliseconds, its `scores`, and more."""
    return Environment().from_string((ROOT / f"template/{{{{ overlay.{task} }}}}/_task.jinja").read_text()).module


class Dials(dict[str, list[str]]):
    """The `small` dials of a task, by its name."""

    def __missing__(self, task: str) -> list[str]:
        return asked_by(task).small


SMALL = Dials()


def part_of(task: str, name: str) -> Any:
    """A module that is not rendered, `_baseline` or `_faults`, of the task's folder or of one that it shares."""
    shared = [
        switch for switch in QUESTIONS if switch.startswith("uses_") and f"'{task}'" in QUESTIONS[switch]["default"]
    ]
    paths = [ROOT / "template" / f"{{{{ {switch} }}}}" / f"{name}.py" for switch in (f"task_{task}", *shared)]
    spec = importlib.util.spec_from_file_location(f"{name}_{task}", next(path for path in paths if path.exists()))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forget() -> None:
    """End what loggers keep for the life of a process: W&B's service and MLflow's connections, by relative path."""
    if "wandb" in sys.modules:
        sys.modules["wandb"].finish()
        sys.modules["wandb"].teardown()
    if "mlflow.store.tracking.sqlalchemy_store" in sys.modules:
        sys.modules["mlflow.store.tracking.sqlalchemy_store"].SqlAlchemyStore._engine_map.clear()
        registry = importlib.import_module("mlflow.tracking._tracking_service.utils")._tracking_store_registry
        registry._get_store_with_resolved_uri.cache_clear()


@cache
def keep_libraries() -> None:
    """Import what every project imports, and spare the collections of garbage after each run from looking at it."""
    for name in forks.PRELOADED.split():
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


class Project:
    """A rendered project whose package is importable in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers = yaml.safe_load((folder / ".copier-answers.yml").read_text())
        self.package = self.answers["package_name"]

    def run(self, *args: str) -> str | None:
        """Run the project's command here; return what it says when it refuses, None when it succeeds."""
        keep_libraries()
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.chdir(self.folder)
            monkeypatch.syspath_prepend(str(self.folder / "src"))
            monkeypatch.setattr(sys, "argv", [self.package, *args])
            before = dict(os.environ)
            try:
                importlib.import_module(f"{self.package}.harness.main").main()
            except SystemExit as ended:
                return str(ended.code)
            finally:
                os.environ.clear()  # of the run's name, and of Lightning's address, port and ranks
                os.environ.update(before)
                forget()
                torch.use_deterministic_algorithms(False)
                torch.set_default_dtype(torch.float32)
                if torch.distributed.is_initialized():
                    torch.distributed.destroy_process_group()
                gc.collect()
        return None

    def script(self) -> str:
        """A script like the one that pip installs."""
        path = self.folder / "command.py"
        path.write_text(f"from {self.package}.harness.main import main\nmain()\n")
        return str(path)

    def process(
        self, *args: str, timeout: int = 300, preexec: Callable[[], None] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the project's command as a process in a group of its own."""
        variables = {"PYTHONPATH": str(self.folder / "src"), "COLUMNS": "100", **environment}
        return subprocess.run(
            [sys.executable, self.script(), *args],
            cwd=self.folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=timeout,
            start_new_session=True,
            preexec_fn=preexec,
        )

    def fork(
        self, *args: str, ranks: int = 1, preexec: Callable[[], None] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the project's command in processes that need not import the libraries, one for each rank."""
        call, environment = (
            partial(forks.command, self.package, [*args]),
            {**os.environ, "COLUMNS": "100", **environment},
        )
        return forks.fork(self.folder, call, environment, ranks, preexec=preexec)

    def imported(self, module: str) -> object:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.syspath_prepend(str(self.folder / "src"))
            return importlib.import_module(f"{self.package}.{module}")

    def result(self, run: str, command: str = "test") -> dict[str, float]:
        return json.loads((self.folder / "runs" / run / f"{command}.json").read_text())
