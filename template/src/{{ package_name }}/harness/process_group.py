# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""How ranks exchange what is on the CPU."""

from typing import Any

import torch
from lightning.pytorch import Trainer


def new_cpu_group(trainer: Trainer) -> Any:
    """A process group of all ranks; None if there is one rank, or torch does not connect them.

    gloo works on the CPU, so that a GPU need not wait. All ranks must call this at the same time.
    """
    if trainer.world_size > 1 and torch.distributed.is_initialized():
        return torch.distributed.new_group(backend="gloo")
    return None
