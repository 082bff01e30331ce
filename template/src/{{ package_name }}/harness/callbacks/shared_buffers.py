# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Gives all ranks the same buffers before a validation."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class SharedBuffers(Callback):
    """Sends rank 0's buffers, such as batch norm's statistics, to the other ranks.

    Each rank has its own statistics, only ddp synchronizes them, and a checkpoint holds rank 0's.
    Without this a resumed run would validate with other statistics than an uninterrupted one.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size == 1 or not torch.distributed.is_initialized():
            return
        for buffer in pl_module.buffers():
            torch.distributed.broadcast(buffer, 0)
