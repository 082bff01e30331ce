# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The optimizer that most experiments start from."""

import math
from collections.abc import Callable

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def adamw_warmup_cosine(
    module: LightningModule, lr: float, weight_decay: float, warmup_steps: int
) -> OptimizerLRSchedulerConfig:
    """AdamW (arXiv 1711.05101), linear warm-up, cosine decay to a tenth (arXiv 1608.03983).

    Weight decay spares vectors: biases, norms and scales. The warm-up takes `warmup_steps`
    optimizer steps, and at most a tenth of the run; a run without an end does not decay.
    """
    # fsdp has flattened the parameters by now, so the shape alone does not tell.
    weights = {id(m.weight) for m in module.modules() if isinstance(m, nn.Linear | nn.Embedding | _ConvNd)}
    matrices = [p for p in module.parameters() if p.requires_grad and (p.ndim > 1 or id(p) in weights)]
    vectors = [p for p in module.parameters() if p.requires_grad and p.ndim < 2 and id(p) not in weights]
    groups = [{"params": ps, "weight_decay": w} for w, ps in ((weight_decay, matrices), (0.0, vectors)) if ps]
    optimizer = AdamW(groups, lr=lr)
    scheduler = LambdaLR(optimizer, warmup_cosine(module, warmup_steps))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def warmup_cosine(module: LightningModule, warmup_steps: int) -> Callable[[int], float]:
    """The share of the peak learning rate at an optimizer step, as `adamw_warmup_cosine` has it."""
    total = module.trainer.estimated_stepping_batches
    warmup = max(1, min(warmup_steps, total / 10))
    return lambda step: min(1.0, (step + 1) / warmup) * (0.55 + 0.45 * math.cos(math.pi * min(1.0, step / total)))
