# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The optimizer that most experiments start from."""

import math

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn
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
    kinds = nn.Linear | nn.Embedding | nn.modules.conv._ConvNd
    weights = {id(m.weight) for m in module.modules() if isinstance(m, kinds)}
    trained = [p for p in module.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim > 1 or id(p) in weights]
    vectors = [p for p in trained if p.ndim < 2 and id(p) not in weights]
    groups = [(weight_decay, matrices), (0.0, vectors)]
    optimizer = AdamW([{"params": ps, "weight_decay": decay} for decay, ps in groups if ps], lr=lr)
    total = module.trainer.estimated_stepping_batches
    warmup = max(1, min(warmup_steps, total / 10))

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warmup) * (0.55 + 0.45 * math.cos(math.pi * min(1.0, step / total)))

    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}
