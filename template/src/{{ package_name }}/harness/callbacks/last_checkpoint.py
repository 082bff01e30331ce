# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Writes the checkpoint that a run resumes from."""

import time
from enum import IntEnum
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ..checkpoints import (
    ENDED_BY_TIME,
    HAS_LAST,
    LOGGED_STEPS,
    METRICS,
    SEED,
    SHOULD_STOP,
    Checkpoint,
    keep_copies,
)
from ..errors import Preempted
from ..lightning_internals import (
    logged_steps,
    restore_logged_steps,
    restore_metrics,
)
from ..process_group import new_cpu_group
from ..run_folder import RunFolder
from ..seeding import run_seed
from ..signals import StopRequest
from .time_limit import TimeLimit

SECONDS_BETWEEN_CHECKPOINTS = 600  # where neither an epoch nor a validation ends


class Request(IntEnum):
    """What a rank asks for between two steps. The largest request of all ranks is carried out."""

    CONTINUE = 0
    SAVE = 1
    SAVE_AND_END = 2  # as after the last epoch: validate, and keep what is best
    SAVE_AND_STOP = 3  # at once


class LastCheckpoint(Callback):
    """Saves `last.ckpt` between two optimizer steps, so that a run resumes from it bit for bit.

    It saves after every validation and epoch, every ten minutes, when training ends, and before
    the run stops on a signal or ends at its time limit. It waits for the start of the next epoch or
    batch: within the hooks of a step, Lightning has not logged that step yet, nor its validation,
    and a resume would lose a row. It is the first callback, so that at the start of an epoch no
    other hook has run yet, and a resumed run calls all of them.

    Args:
        folder: the run's folder.
        checkpoint: contents of the checkpoint to resume from; empty for a new run.
        time_limit: when to end training, if there is a limit.

    Raises:
        Preempted: after a signal, when the checkpoint is written.
    """

    def __init__(
        self, folder: RunFolder, checkpoint: Checkpoint, time_limit: TimeLimit | None
    ) -> None:
        self.folder = folder
        self.checkpoint = checkpoint
        self.time_limit = time_limit
        self.logged_steps_to_restore: int | None = checkpoint.get(LOGGED_STEPS)
        self.stop_request = StopRequest()
        self.has_last = bool(checkpoint)
        self.is_due = False
        self.ends_by_time = False
        self.is_last_batch = False
        self.last_save = time.monotonic()
        self.process_group: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Now, to replace Lightning's handlers: under SLURM they save within the signal handler.
        self.stop_request.listen()
        restore_metrics(trainer, self.checkpoint.get(METRICS, {}))
        if self.checkpoint.get(SHOULD_STOP):
            trainer.should_stop = True
        self.process_group = new_cpu_group(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_due = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_due = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        is_replayed = trainer.fit_loop.restarted_mid_epoch
        if not is_replayed:
            self.save_if_requested(trainer)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.logged_steps_to_restore is not None:
            restore_logged_steps(trainer, self.logged_steps_to_restore)
            self.logged_steps_to_restore = None
        is_between_steps = batch_idx % trainer.accumulate_grad_batches == 0
        if not is_between_steps or self.is_last_batch:
            return
        request = self.save_if_requested(trainer)
        if request == Request.SAVE_AND_END:
            self.is_last_batch = True
            trainer.should_stop = True
            if trainer.is_global_zero:
                keep_copies(self.folder.checkpoints)

    def save_if_requested(self, trainer: Trainer) -> Request:
        """Save if a rank requests it, and return what all of them do.

        Raises:
            Preempted: if one of them got a signal.
        """
        request = self.agree(self.own_request())
        self.ends_by_time = request == Request.SAVE_AND_END
        if request >= Request.SAVE:
            self.save(trainer)
        if request == Request.SAVE_AND_STOP:
            raise Preempted(
                f"stopped after step {trainer.global_step}; run the same command to resume"
            )
        return request

    def own_request(self) -> Request:
        if self.stop_request.received:
            return Request.SAVE_AND_STOP
        if self.time_limit is not None and self.time_limit.is_over():
            return Request.SAVE_AND_END
        is_overdue = time.monotonic() > self.last_save + SECONDS_BETWEEN_CHECKPOINTS
        if self.is_due or is_overdue:
            return Request.SAVE
        return Request.CONTINUE

    def agree(self, request: Request) -> Request:
        """The largest request of all ranks, so that all of them save and stop at the same step."""
        if self.process_group is None:
            return request
        largest = torch.tensor(int(request))
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX, self.process_group)
        return Request(int(largest))

    def save_at_end(self, trainer: Trainer) -> None:
        ended_at_time_limit = self.is_last_batch
        if not ended_at_time_limit:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.folder.last_checkpoint, weights_only=False)
        self.has_last = True
        self.is_due = False
        self.last_save = time.monotonic()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what a resume needs to every checkpoint, ModelCheckpoint's included."""
        for logger in trainer.loggers:
            logger.save()
        checkpoint[METRICS] = dict(trainer.callback_metrics)
        checkpoint[LOGGED_STEPS] = logged_steps(trainer)
        checkpoint[SEED] = run_seed()
        checkpoint[ENDED_BY_TIME] = self.ends_by_time
        checkpoint[HAS_LAST] = self.has_last
        checkpoint[SHOULD_STOP] = trainer.should_stop


class CheckpointAtEnd(Callback):
    """Saves `last.ckpt` when training ends.

    It is the last callback, since others may average weights when training ends.
    """

    def __init__(self, last_checkpoint: LastCheckpoint) -> None:
        self.last_checkpoint = last_checkpoint

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.last_checkpoint.save_at_end(trainer)
