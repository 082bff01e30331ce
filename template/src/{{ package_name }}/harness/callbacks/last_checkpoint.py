# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Writes the checkpoint that a run resumes from."""

import time
from enum import IntEnum
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ..checkpoints import LOGGED_STEPS, METRICS, Checkpoint
from ..errors import Preempted
from ..lightning_internals import logged_steps, restore_logged_steps
from ..run_folder import RunFolder
from ..signals import StopRequest

SECONDS_BETWEEN_CHECKPOINTS = 600  # where neither an epoch nor a validation ends


class Request(IntEnum):
    """What a rank asks for between two steps. The largest request of all ranks is carried out."""

    CONTINUE = 0
    SAVE = 1
    SAVE_AND_STOP = 2


class LastCheckpoint(Callback):
    """Saves `last.ckpt` between two optimizer steps, so that a run resumes from it bit for bit.

    It saves after every validation and epoch, every ten minutes, when training ends, and before
    the run stops on a signal. It waits for the start of the next batch: within the hooks of a step,
    Lightning has not logged that step yet, nor its validation, and a resume would lose a row.

    Args:
        folder: the run's folder.
        checkpoint: contents of the checkpoint to resume from; empty for a new run.

    Raises:
        Preempted: after a signal, when the checkpoint is written.
    """

    def __init__(self, folder: RunFolder, checkpoint: Checkpoint) -> None:
        self.folder = folder
        self.logged_steps_to_restore: int | None = checkpoint.get(LOGGED_STEPS)
        self.stop_request = StopRequest()
        self.is_due = False
        self.last_save = time.monotonic()
        self.process_group: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Now, to replace Lightning's handlers: under SLURM they save within the signal handler.
        self.stop_request.listen()
        if trainer.world_size > 1 and torch.distributed.is_initialized():
            # gloo compares on the CPU, so that a GPU need not wait.
            self.process_group = torch.distributed.new_group(backend="gloo")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_due = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.is_due = True

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.logged_steps_to_restore is not None:
            restore_logged_steps(trainer, self.logged_steps_to_restore)
            self.logged_steps_to_restore = None
        is_between_steps = batch_idx % trainer.accumulate_grad_batches == 0
        if not is_between_steps:
            return
        request = self.agree(self.own_request())
        if request >= Request.SAVE:
            self.save(trainer)
        if request == Request.SAVE_AND_STOP:
            raise Preempted(
                f"stopped after step {trainer.global_step}; run the same command to resume"
            )

    def own_request(self) -> Request:
        if self.stop_request.received:
            return Request.SAVE_AND_STOP
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

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.folder.last_checkpoint, weights_only=False)
        self.is_due = False
        self.last_save = time.monotonic()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what a resume needs to every checkpoint, ModelCheckpoint's included."""
        for logger in trainer.loggers:
            logger.save()
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint[METRICS] = metrics
        checkpoint[LOGGED_STEPS] = logged_steps(trainer)
