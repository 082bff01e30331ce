# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The optimizer that most experiments start from."""

import math

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig


def adamw_warmup_cosine(
    module: LightningModule, lr: float, weight_decay: float, warmup_steps: int
) -> OptimizerLRSchedulerConfig:
    """AdamW (arXiv 1711.05101), linear warm-up, cosine decay to a tenth (arXiv 1608.03983).

    Weight decay spares vectors: biases, norms and scales. The warm-up takes `warmup_steps`
    optimizer steps, and at most a tenth of the run; a run without an end does not decay.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr)
    total = module.trainer.estimated_stepping_batches
    warmup = max(1, min(warmup_steps, total // 10 if math.isfinite(total) else warmup_steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total - warmup))
        return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
