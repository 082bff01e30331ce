"""A callback that makes the weights, and therefore every later loss, not a number."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class Diverging(Callback):
    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *arguments: Any
    ) -> None:
        for parameter in pl_module.parameters():
            parameter.fill_(torch.nan)
