# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""A run's folder, `runs/NAME`: its name, its lock, and what is recorded in it."""

import json
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from .checkpoints import LAST_CHECKPOINT, delete
from .errors import UserError

RUNS = Path("runs")
LOCK = ".lock"
# The ranks that Lightning starts inherit the name that rank 0 chose.
NAME_VARIABLE = "LIGHTNING_RUN"


class RunFolder:
    """Everything that belongs to one run.

    Args:
        path: `runs/NAME`; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.checkpoints = path / "checkpoints"
        self.last_checkpoint = self.checkpoints / LAST_CHECKPOINT
        self.lock = FileLock(path / LOCK)
        self.was_opened = False

    @property
    def name(self) -> str:
        return self.path.name

    def is_finished(self) -> bool:
        return self.metrics_file("fit").exists()

    def has_checkpoints(self) -> bool:
        return any(self.checkpoints.glob("*.ckpt"))

    def recorded_config(self) -> str | None:
        """The text of config.yaml if the run can be resumed with it."""
        if self.has_checkpoints() and self.config_file.is_file():
            return self.config_file.read_text()
        return None

    def open(self, config: str, restart: bool) -> None:
        """Lock the folder, delete leftovers of a crash, and record the configuration.

        Args:
            config: the text of config.yaml.
            restart: delete what an earlier run left.

        Raises:
            UserError: if another process uses the folder, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire(timeout=0)
            self.was_opened = True
            if restart:
                self.clear()
            for partial in self.checkpoints.glob("*.partial"):
                delete(partial)
            self.metrics_file("fit").unlink(missing_ok=True)
            self.config_file.write_text(config)
        except Timeout as error:
            raise UserError(
                f"{self.path} is in use by another process; choose another --run, or wait"
            ) from error
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from error

    def clear(self) -> None:
        for path in self.path.iterdir():
            if path.name != LOCK:
                delete(path)

    def close(self) -> None:
        self.lock.release()

    def delete_if_unused(self) -> None:
        """Remove the folder of a run that failed before there was anything to resume.

        A folder that this process has not locked may belong to another process.
        """
        if self.was_opened and not self.has_checkpoints():
            shutil.rmtree(self.path, ignore_errors=True)

    def metrics_file(self, command: str) -> Path:
        return self.path / f"{command}.json"

    def save_metrics(self, command: str, metrics: Mapping[str, float]) -> Path:
        """Write the command's final metrics; the file appears when it is complete."""
        path = self.metrics_file(command)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(metrics, default=float, indent=2) + "\n")
        return partial.replace(path)


def run_folder_for_fit(name: str | None, configs: list[str]) -> RunFolder:
    """The folder of the run to start or to resume."""
    return RunFolder(RUNS / (name or fresh_name(configs)))


def fresh_name(configs: list[str]) -> str:
    """A name made of date, time and configuration, the same for all ranks of a run."""
    inherited = os.environ.get(NAME_VARIABLE)
    if inherited is not None:
        return inherited
    experiment = Path(configs[-1]).stem if configs else "base"
    name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{experiment}"
    os.environ[NAME_VARIABLE] = name
    return name


def existing_run_folder(name: str | None) -> RunFolder:
    """The run of that name, or the newest one.

    Raises:
        UserError: if there is no such run, or it has no checkpoints.
    """
    found = []
    for checkpoints in RUNS.glob("*/checkpoints"):
        folder = RunFolder(checkpoints.parent)
        is_asked_for = name in (None, folder.name)
        if is_asked_for and folder.has_checkpoints() and folder.config_file.is_file():
            found.append(folder)
    if not found:
        missing = f"run {name}" if name else "run"
        raise UserError(
            f"{Path.cwd() / RUNS} has no {missing} with checkpoints;"
            " `fit` makes one, --run names one"
        )
    return max(found, key=time_of_config)


def time_of_config(folder: RunFolder) -> float:
    return folder.config_file.stat().st_mtime
