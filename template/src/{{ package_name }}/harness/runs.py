# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""A run's folder, its checkpoints, and its exact continuation."""

import csv
import os
import shutil
import signal
import time
import warnings
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from . import Preempted, UserError
from .loaders import SIGNALS, run_seed, seed_at

MINUTES = 10  # between checkpoints, where neither an epoch nor a validation ends


def load(path: str | Path) -> dict:
    """A checkpoint with its tensors left on disk; of fsdp2's folder what is beside them, of DeepSpeed's nothing.

    Raises:
        UserError: for a file that is none.
    """
    file = Path(path) / "meta.pt" if Path(path).is_dir() else Path(path)
    if file != Path(path) and not file.exists():
        return {}
    try:
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        return dict(found, hyper_parameters=dict(found["hyper_parameters"]), stepped=found.get("stepped", 0))
    except Exception as error:  # torch raises many kinds
        raise UserError(f"{path} cannot be read: it is missing, cut short, or no checkpoint of fit") from error


def best_checkpoint(folder: Path) -> str:
    """The best checkpoint by the record of the newest one, or that itself."""
    last, found = newest_checkpoint(folder)
    states = found.get("callbacks", {})
    names = [Path(states[key]["best_model_path"]).name for key in states if key.startswith("ModelCheckpoint")]
    return next((str(folder / name) for name in names if name and (folder / name).is_file()), str(last or folder))


def newest_checkpoint(folder: Path) -> tuple[str | None, dict]:
    """The complete checkpoint that is furthest, and what is in it; those that cannot be read are named."""
    found, broken = {}, []
    for path in folder.glob("*.ckpt"):
        try:
            found[path.stat().st_mtime, path] = load(path)
        except (UserError, OSError):
            broken += [path.name] * path.exists()  # it is gone by now where another process trains
    newest = max(found, key=lambda key: (found[key].get("stepped", 0), *key), default=None)
    if broken and not newest:
        raise UserError(f"{folder}: no checkpoint there is complete ({', '.join(broken)}): --restart starts it over")
    if broken:
        print(f"passed over {', '.join(sorted(broken))}, which cannot be read")
    return (str(newest[1]), found[newest]) if newest else (None, {})


class AtomicCheckpointIO(TorchCheckpointIO):
    """A checkpoint takes its name when it is whole and on disk, so that a crash leaves the one before."""

    def save_checkpoint(self, checkpoint: dict, path: Any, storage_options: Any = None) -> None:
        partial = Path(f"{path}.partial")
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except (OSError, RuntimeError) as error:  # a full disk is either, depending on who notices
            partial.unlink(missing_ok=True)
            raise UserError(f"{path} cannot be written: {error}; free space and run again to continue") from error


class Run(Callback):
    """Saves `last.ckpt` so that the run continues from it bit for bit, and stops when it is asked to.

    It is saved between two optimizer steps, when all of a step is done and logged: after every
    validation and epoch, every ten minutes, and before leaving upon a signal.

    Args:
        folder: the run's, and `config` what its config.yaml says.
        checkpoint: what is in the one that the run goes on from; `restart` clears the folder first.

    Raises:
        UserError: when the folder cannot be written, or is in use; Preempted: after a signal.
    """

    def __init__(self, folder: Path, config: str, checkpoint: dict, restart: bool) -> None:
        self.folder, self.config, self.restart = folder, config, restart
        self.stepped, self.lock = checkpoint.get("stepped"), FileLock(folder / ".lock")
        self.signalled, self.due, self.saved = False, False, time.monotonic()
        self.group: Any = None

    def open(self, trainer: Any) -> None:
        """Make the folder this process's own, and let its loggers go on; to be called before they open a file."""
        trainer.strategy.checkpoint_io = AtomicCheckpointIO()
        if not trainer.is_global_zero:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock.acquire(timeout=0)
            clear = [path for path in self.folder.iterdir() if path.name != ".lock"] if self.restart else []
            for path in [*clear, *self.folder.glob("checkpoints/*.partial")]:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            (self.folder / "config.yaml").write_text(self.config)
        except Timeout as error:
            raise UserError(f"{self.folder} is in use by another process: choose another --run, or wait") from error
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written: {error.strerror}") from error
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                keep_rows(logger, self.stepped or 0)
            elif isinstance(logger, TensorBoardLogger) and self.stepped is not None:
                logger._kwargs["purge_step"] = self.stepped

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if current_thread() is main_thread():  # after Lightning's own handlers, which save within them
            for number in SIGNALS:
                signal.signal(number, self.notice)
        if trainer.world_size > 1 and torch.distributed.is_initialized():
            self.group = torch.distributed.new_group(backend="gloo")  # the GPU need not wait for an answer

    def notice(self, number: int, frame: Any) -> None:
        self.signalled = True

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if self.group is not None:  # batch norm counts by rank, but ddp alone evens it out; a checkpoint has rank 0's
            for buffer in pl_module.buffers():
                torch.distributed.broadcast(buffer, 0)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.due = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.due = True

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.stepped is not None:  # Lightning guesses, by where a checkpoint is usually saved
            loop = trainer.fit_loop.epoch_loop
            loop._batches_that_stepped, self.stepped = self.stepped, None
            loop.batch_progress.total.ready = loop.batch_progress.total.completed + 1
        if batch_idx % trainer.accumulate_grad_batches == 0:
            due = self.due or time.monotonic() > self.saved + 60 * MINUTES
            wanted = torch.tensor(2 if self.signalled else int(due))
            if self.group is not None:
                torch.distributed.all_reduce(wanted, torch.distributed.ReduceOp.MAX, self.group)
            if wanted:
                self.save(trainer)
            if wanted == 2:
                raise Preempted(f"stopped after step {trainer.global_step}; the same command continues")
        seed_at(run_seed(), "step", trainer.current_epoch, batch_idx, trainer.global_rank)

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        self.lock.release()

    on_exception = teardown

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.save(trainer)

    def save(self, trainer: Any) -> None:
        trainer.save_checkpoint(self.folder / "checkpoints/last.ckpt", weights_only=False)
        self.due, self.saved = False, time.monotonic()

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict) -> None:
        for logger in trainer.loggers:
            logger.save()
        # ModelCheckpoint saves within a validation, before its step is counted.
        checkpoint["metrics"] = {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint["stepped"] = trainer.fit_loop.epoch_loop._batches_that_stepped + trainer.validating


def keep_rows(logger: CSVLogger, stepped: int) -> None:
    """Let a CSVLogger go on with the rows of the steps that are not done again; it starts by deleting all."""
    path = Path(logger.log_dir) / "metrics.csv"
    kept, names = path.with_name("metrics.kept.csv"), []
    if path.exists() or kept.exists():
        with (path if path.exists() else kept).open(newline="") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if int(row["step"] or stepped) < stepped]
            names = list(reader.fieldnames or [])
        with (partial := kept.with_suffix(".partial")).open("w", newline="") as file:
            (writer := csv.DictWriter(file, names)).writeheader()
            writer.writerows(rows)
        partial.replace(kept)
    with warnings.catch_warnings(action="ignore"):  # that it deletes
        logger.experiment.metrics_keys = names
    if names:
        kept.replace(path)
