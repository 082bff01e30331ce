# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""An exponential moving average of a network's weights."""

from contextlib import AbstractContextManager, nullcontext

import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel


@torch.no_grad()
def update_average(
    average: nn.Module,
    network: nn.Module,
    decay: float,
    trainer: Trainer,
) -> None:
    """Move the averaged weights towards those of a network that has just made an optimizer step.

    The average keeps the share `decay` of itself, and less in the first steps, because it starts
    from untrained weights; TensorFlow's `ExponentialMovingAverage` uses the same formula.

    Some dtypes cannot represent a change as small as `1 - decay`, such as bfloat16 with a `decay`
    over 0.992. An average would not move there, so the latest weights are copied instead.
    """
    step = trainer.global_step
    kept = min(decay, (1 + step) / (10 + step))
    with whole_weights(trainer.model):
        for averaged, latest in zip(average.parameters(), network.parameters()):
            smallest_change = torch.finfo(averaged.dtype).eps
            if smallest_change < 1 - decay:
                averaged.lerp_(latest, 1 - kept)
            else:
                averaged.copy_(latest)


def whole_weights(model: nn.Module | None) -> AbstractContextManager:
    """A context in which each rank has all of the model's weights.

    fsdp, unlike fsdp2, shards all weights as one flat tensor, so that a rank's shards of the
    average and of the network do not belong to the same weights.
    """
    if isinstance(model, FullyShardedDataParallel):
        return FullyShardedDataParallel.summon_full_params(model)
    return nullcontext()
