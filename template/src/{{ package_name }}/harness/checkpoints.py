# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reads and chooses checkpoints, and writes them so that a crash leaves the previous one."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from .errors import UserError
from .lightning_internals import SHARDED_METADATA
from .messages import is_rank_zero, note

LAST_CHECKPOINT = "last.ckpt"
# The folder beside it that holds the other checkpoints as they were before a time limit.
COPIES = "before_time_limit"

# What the harness adds to a checkpoint.
LOGGED_STEPS = "stepped"  # the number of steps that the loggers have seen
METRICS = "metrics"  # the last value of each metric, as a tensor
EPOCH_METRICS = "epoch_metrics"  # what is accumulated over the epoch under way, for each rank
ENDED_BY_TIME = "ended_by_time"  # whether training ends after this, because of trainer.max_time
HAS_LAST = "has_last"  # whether last.ckpt had been written before
SEED = "seed"  # of the run
SHOULD_STOP = "should_stop"  # whether a callback has asked to end training, as early stopping does

Checkpoint = dict[str, Any]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The contents of a checkpoint, with tensors left on disk until they are used.

    Of fsdp2's sharded checkpoint it reads everything but the weights, of a DeepSpeed folder
    nothing.

    Raises:
        UserError: if the file is not a checkpoint.
    """
    file = Path(path)
    if file.is_dir():
        file = file / SHARDED_METADATA
        if not file.exists():
            return {}
    try:
        checkpoint = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        checkpoint["pytorch-lightning_version"]  # a KeyError if Lightning did not save the file
        checkpoint["hyper_parameters"] = dict(checkpoint.get("hyper_parameters", {}))
    except Exception as error:  # torch raises many kinds
        raise UserError(
            f"{path} cannot be read: it is missing, truncated, or not a checkpoint of fit"
        ) from error
    checkpoint.setdefault(LOGGED_STEPS, 0)
    return checkpoint


def checkpoint_to_resume(folder: Path) -> tuple[str | None, Checkpoint]:
    """The checkpoint that a run resumes from, and its contents; (None, {}) if there is none.

    That is `last.ckpt`. Other callbacks save in the middle of a step, so their checkpoints are used
    only if `last.ckpt` was lost. A run that was interrupted before it wrote one starts over, which
    takes little time.

    Raises:
        UserError: if there are checkpoints, and none of them can be read.
    """
    last = folder / LAST_CHECKPOINT
    try:
        return str(last), read_checkpoint(last)
    except UserError:
        path, contents = newest_checkpoint(folder)
    if path is None:
        return None, {}
    if not last.exists() and not contents.get(HAS_LAST, True):
        note(
            f"{folder.parent} starts over, since it was interrupted before {last.name} was written"
        )
        return None, {}
    note(f"{last} is missing or damaged; resumes from {Path(path).name}, which is not exact")
    return path, contents


def delete_later_checkpoints(run_folder: Path, checkpoint: Checkpoint) -> None:
    """Delete the checkpoints that a run will write again after it resumes from `checkpoint`.

    Left in place, ModelCheckpoint would give the new ones other names.
    """
    for path in sorted(run_folder.rglob("*.ckpt")):
        try:
            found = read_checkpoint(path)
        except UserError:
            continue
        if finished_batches(found) > finished_batches(checkpoint):
            delete(path)


def keep_copies(folder: Path) -> None:
    """Link the checkpoints into a folder, before the end at a time limit may replace the best."""
    copies = folder / COPIES
    copies.mkdir(exist_ok=True)
    for path in folder.glob("*.ckpt"):
        if path.name == LAST_CHECKPOINT:
            continue
        if path.is_dir():
            shutil.copytree(path, copies / path.name, copy_function=os.link)
        else:
            os.link(path, copies / path.name)


def restore_copies(folder: Path) -> None:
    """Put back what `keep_copies` linked, since the run goes on as if it had not ended."""
    copies = folder / COPIES
    for path in copies.glob("*.ckpt"):
        target = folder / path.name
        if not target.exists():
            path.rename(target)
    if copies.exists():
        delete(copies)


def finished_batches(checkpoint: Checkpoint) -> int:
    """How many training batches were done, over all epochs; 0 if the checkpoint does not say."""
    loops = checkpoint.get("loops", {}).get("fit_loop", {})
    progress = loops.get("epoch_loop.batch_progress", {})
    return progress.get("total", {}).get("processed", 0)


def delete(path: Path) -> None:
    """Delete a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def newest_checkpoint(folder: Path) -> tuple[str | None, Checkpoint]:
    """The checkpoint that is furthest in training, and its contents; (None, {}) if there is none.

    Checkpoints that cannot be read are skipped and named.

    Raises:
        UserError: if there are checkpoints, and none of them can be read.
    """
    newest = None
    contents: Checkpoint = {}
    unreadable = []
    for path in folder.glob("*.ckpt"):
        try:
            found = read_checkpoint(path)
            progress = (found.get(LOGGED_STEPS, 0), path.stat().st_mtime, path)
        except (UserError, OSError):
            if path.exists():  # otherwise a process that trains has just deleted it
                unreadable.append(path.name)
            continue
        if newest is None or progress > newest:
            newest = progress
            contents = found

    names = ", ".join(sorted(unreadable))
    if newest is None:
        if unreadable:
            raise UserError(
                f"{folder}: every checkpoint is truncated ({names}); --restart starts over"
            )
        return None, {}
    if unreadable and is_rank_zero():
        print(f"skipped {names}, which cannot be read")
    return str(newest[-1]), contents


def best_checkpoint(folder: Path) -> str:
    """The best checkpoint, by what the newest one recorded, or else the newest one itself."""
    newest, contents = newest_checkpoint(folder)
    for key, state in contents.get("callbacks", {}).items():
        if not key.startswith("ModelCheckpoint"):
            continue
        name = Path(state["best_model_path"]).name
        if name and (folder / name).is_file():
            return str(folder / name)
    return newest or str(folder)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Names a checkpoint only when it is complete, so that a crash leaves the previous one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            UserError: if the disk is full or the folder cannot be written.
        """
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
            raise UserError(
                f"{path} cannot be written: {error}; free space, and run the same command to resume"
            ) from error
