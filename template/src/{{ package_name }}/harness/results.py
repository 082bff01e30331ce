# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The final metrics of a command, which are saved in the run's folder."""

import math
from collections.abc import Mapping
from typing import Any

from .checkpoints import METRICS, Checkpoint
from .errors import UserError
from .run_folder import RunFolder


def final_metrics(trainer: Any, checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The Trainer's metrics, or the checkpoint's if there was nothing left to train."""
    return trainer.callback_metrics or checkpoint.get(METRICS, {})


def check_finite(metrics: Mapping[str, Any]) -> None:
    """Refuse to call a diverged training finished.

    Raises:
        UserError: naming the first metric that is not finite.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise UserError(
                f"training diverged: {name} is not finite; lower model.lr, or see the README"
            )


def save_metrics(trainer: Any, folder: RunFolder, command: str, metrics: Mapping[str, Any]) -> None:
    """Write `runs/NAME/COMMAND.json` on rank 0, unless it is a dry run (`fast_dev_run`)."""
    if not trainer.is_global_zero or trainer.fast_dev_run or not folder.path.exists():
        return
    path = folder.save_metrics(command, metrics)
    print(f"saved to {path}")
