# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Ends training after `trainer.max_time`, in a way that a larger limit resumes it."""

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer


class TimeLimit(Timer):
    """Measures training time, over all processes of a run; `LastCheckpoint` acts on it.

    Lightning's Timer ends training after a batch, when it is too late to save the run as if it went
    on: the epoch counts as complete, though it is not.
    """

    @property
    def state_key(self) -> str:
        return "Timer"  # under which Lightning's own is saved

    def is_over(self) -> bool:
        remaining = self.time_remaining()
        return remaining is not None and remaining <= 0

    def on_fit_start(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Lets a run resume whose time is over: it may have been killed before it validated."""

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Leaves the end of training to LastCheckpoint."""
