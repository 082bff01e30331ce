# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The optimizer and the learning-rate schedule that most experiments start from."""

import math
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

LAYERS_WITH_MATRICES = (
    nn.Linear,
    nn.Embedding,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
STEPS_PER_WARMUP_STEP = 10  # the warm-up takes at most a tenth of the run
FINAL_LR_SHARE = 0.1  # of the peak learning rate


def adamw_warmup_cosine(
    module: LightningModule, lr: float, weight_decay: float, warmup_steps: int
) -> OptimizerLRSchedulerConfig:
    """AdamW (arXiv 1711.05101) with linear warm-up and cosine decay to a tenth (arXiv 1608.03983).

    Weight decay applies to matrices and kernels, not to biases, norms and scales. The warm-up takes
    `warmup_steps` optimizer steps, at most a tenth of the run. A run without an end does not decay.

    Returns:
        What `configure_optimizers` returns: the optimizer, and a scheduler stepped after each step.
    """
    optimizer = AdamW(parameter_groups(module, weight_decay), lr=lr)
    scheduler = InitialGroupsLR(optimizer, warmup_cosine(module, warmup_steps))
    return {
        "optimizer": optimizer,
        "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
    }


class InitialGroupsLR(LambdaLR):
    """A LambdaLR for the parameter groups that the optimizer was made with.

    Groups that are added during training, as by BackboneFinetuning, keep the learning rates that
    they are given. A LambdaLR would fail at the next step.
    """

    def get_lr(self) -> list[float | Tensor]:
        scheduled = super().get_lr()
        added_groups = self.optimizer.param_groups[len(scheduled) :]
        return scheduled + [group["lr"] for group in added_groups]


def parameter_groups(module: LightningModule, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters in two groups: matrices with weight decay, vectors without."""
    # fsdp has flattened the parameters by now, so that a matrix may have one dimension.
    matrix_ids = set()
    for layer in module.modules():
        if isinstance(layer, LAYERS_WITH_MATRICES):
            matrix_ids.add(id(layer.weight))

    matrices = []
    vectors = []
    for parameter in module.parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim > 1 or id(parameter) in matrix_ids:
            matrices.append(parameter)
        else:
            vectors.append(parameter)

    groups = []
    if matrices:
        groups.append({"params": matrices, "weight_decay": weight_decay})
    if vectors:
        groups.append({"params": vectors, "weight_decay": 0.0})
    return groups


def warmup_cosine(module: LightningModule, warmup_steps: int) -> Callable[[int], float]:
    """A function from the optimizer step to the share of the peak learning rate."""
    total_steps = module.trainer.estimated_stepping_batches
    warmup = max(1, min(warmup_steps, total_steps / STEPS_PER_WARMUP_STEP))
    middle = (1 + FINAL_LR_SHARE) / 2
    amplitude = (1 - FINAL_LR_SHARE) / 2

    def share_of_peak(step: int) -> float:
        warmup_share = min(1.0, (step + 1) / warmup)
        progress = min(1.0, step / total_steps)
        return warmup_share * (middle + amplitude * math.cos(math.pi * progress))

    return share_of_peak
