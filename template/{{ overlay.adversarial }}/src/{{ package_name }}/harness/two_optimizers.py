# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Two networks that are trained against each other: an optimizer each, whose steps count as one.

What relies on undocumented behaviour of Lightning was checked against its version 2.6.6.
"""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ParallelStrategy
from torch import nn
from torch.optim import AdamW, Optimizer

from .errors import UserError
from .optim import InitialGroupsLR, warmup_cosine

# No momentum: it would push a network towards where the other one was some steps ago.
BETAS = (0.0, 0.99)


def adamw_for_each(
    module: LightningModule,
    networks: dict[str, nn.Module],
    lr: float,
    weight_decay: float,
    warmup_steps: int,
) -> list[Any]:
    """AdamW (arXiv 1711.05101), linear warm-up, and cosine decay to a tenth (arXiv 1608.03983).

    Args:
        module: what `configure_optimizers` is called on.
        networks: by the name under which their learning rates are logged.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run. A run without
            an end does not decay.

    Returns:
        What `configure_optimizers` returns: for each network an optimizer, and a scheduler to step
        after each of its steps.

    Raises:
        UserError: for DeepSpeed, which takes one optimizer, and fsdp, which cannot clip by norm.
    """
    strategy = module.trainer.strategy
    if isinstance(strategy, DeepSpeedStrategy | FSDPStrategy):
        raise UserError(
            f"trainer.strategy={type(strategy).__name__}: cannot train two networks against "
            "each other; use fsdp2, or ddp"
        )
    factor = warmup_cosine(module, warmup_steps)
    configurations = []
    for name, network in networks.items():
        optimizer = AdamW(network.parameters(), lr, betas=BETAS, weight_decay=weight_decay)
        scheduler = {"scheduler": InitialGroupsLR(optimizer, factor), "name": name}
        configurations.append({"optimizer": optimizer, "lr_scheduler": scheduler})
    return configurations


def local_gradients(trainer: Trainer) -> AbstractContextManager:
    """A context in which backward passes add up gradients without exchanging them among ranks."""
    strategy = trainer.strategy
    if isinstance(strategy, ParallelStrategy):
        return strategy.block_backward_sync()
    return nullcontext()


def step_uncounted(trainer: Trainer, optimizer: Optimizer) -> None:
    """Make an optimizer step that is one with that of the next optimizer.

    Neither `trainer.global_step` nor the loss scale of 16-mixed counts it.
    """
    with constant_loss_scale(trainer):
        # A LightningOptimizer's `step` would count (Lightning's issue 17958); that of the
        # strategy, which it calls, does not.
        trainer.strategy.optimizer_step(optimizer, no_closure)


@contextmanager
def constant_loss_scale(trainer: Trainer) -> Generator[None, None, None]:
    """Keep the loss scale of 16-mixed as it is.

    Lightning's plugin updates the scale after every optimizer's step. But one backward pass has
    scaled the gradients of both networks, and those of the second would be divided by another
    scale. torch's rule is one update, after all optimizers. Infinite gradients are not forgotten:
    that update counts those of both.
    """
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is None:
        yield
        return
    scaler.update = no_update  # hides the method of the class, until it is deleted
    try:
        yield
    finally:
        del scaler.update


def no_closure() -> None:
    """The gradients are there already: nothing is left to compute before the step."""


def no_update() -> None:
    """Leave the loss scale as it is."""
