# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What networks need that are trained against each other: optimizers of their own, and steps that count as one."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from . import UserError
from .optim import warmup_cosine


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
    factor, found = warmup_cosine(module, warmup_steps), []
    for name, network in networks.items():
        optimizer = AdamW(network.parameters(), lr, betas=(0.0, 0.99), weight_decay=weight_decay)
        found.append({"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "name": name}})
    return found


def step_uncounted(trainer: Trainer, optimizer: Optimizer) -> None:
    """A step that is one with the next optimizer's: neither `trainer.global_step` nor 16-mixed's scale counts it.

    One backward pass has put the scale on the gradients of both networks. Lightning's plugin updates it after each
    step, so that the second network's gradients would be divided by another; torch's rule is one update, after both.
    """
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is not None:
        scaler.update = lambda: None  # hides the method; what this step finds infinite counts in the next one's update
    try:
        # A LightningOptimizer counts its own steps (Lightning's issue 17958); the strategy's method does not.
        trainer.strategy.optimizer_step(optimizer, lambda: None)
    finally:
        if scaler is not None:
            del scaler.update
