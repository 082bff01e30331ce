# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Seeds the random draws of each training step, and of the start of each epoch."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ..seeding import run_seed, seed_at


class StepSeeds(Callback):
    """Seeds dropout and the like by (seed, epoch, batch, rank).

    A resumed run then draws in each step what an uninterrupted run draws.
    """

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seed_at(run_seed(), "epoch", trainer.current_epoch, trainer.global_rank)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        seed_at(run_seed(), "step", trainer.current_epoch, batch_idx, trainer.global_rank)
