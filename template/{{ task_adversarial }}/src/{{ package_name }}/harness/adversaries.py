# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What networks need that are trained against each other: optimizers of their own, and an average of weights."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from . import UserError


def adams_warmup_cosine(
    module: LightningModule, networks: dict[str, nn.Module], lr: float, weight_decay: float, warmup_steps: int
) -> list[Any]:
    """For each network AdamW (arXiv 1711.05101), linear warm-up, and cosine decay to a tenth (arXiv 1608.03983).

    They have no momentum, which would carry each network on to where the other was. The warm-up takes
    `warmup_steps`, and at most a tenth of the run; a run without an end does not decay.

    Raises:
        UserError: for DeepSpeed, which takes one optimizer, and fsdp, which cannot clip by norm.
    """
    if isinstance(module.trainer.strategy, DeepSpeedStrategy | FSDPStrategy):
        kind = type(module.trainer.strategy).__name__
        raise UserError(f"trainer.strategy={kind} trains no two networks against each other: answer strategy=fsdp2")
    total, found = module.trainer.estimated_stepping_batches, []
    warmup = max(1, min(warmup_steps, total / 10))

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warmup) * (0.55 + 0.45 * math.cos(math.pi * min(1.0, step / total)))

    for name, network in networks.items():
        optimizer = AdamW(network.parameters(), lr, betas=(0.0, 0.99), weight_decay=weight_decay)
        found.append({"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "name": name}})
    return found


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move an average of weights on to those of the network, of which it keeps less in the first steps.

    An average that moves by less than its numbers can tell apart, as in bf16, would stand still: it is the weights.
    """
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        exact = torch.finfo(mean.dtype).eps < 1 - decay
        mean.lerp_(weight, 1 - min(decay, (1 + step) / (10 + step)) if exact else 1.0)
