# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Keeps the best checkpoints."""

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor


class FiniteCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint that never counts a diverged model among the best."""

    @property
    def state_key(self) -> str:
        return super().state_key.replace(type(self).__name__, "ModelCheckpoint")

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        if current is not None and not current.isfinite():
            return False
        return super().check_monitor_top_k(trainer, current)
