# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Refuses, or mentions, what would not do what was asked for."""

import os
import re
from typing import Any

from lightning.pytorch.callbacks import (
    BaseFinetuning,
    ModelCheckpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.strategies import ModelParallelStrategy

from .errors import UserError
from .messages import note

# LightningCLI's variables, such as PL_TRAINER__MAX_EPOCHS.
CONFIG_VARIABLE = re.compile(r"PL_(?:FIT__)?([A-Z]\w*?__\w+)")


def note_ignored_variables() -> None:
    """Mention the environment variables that LightningCLI reads elsewhere; here, none are read."""
    for name in sorted(os.environ):
        match = CONFIG_VARIABLE.fullmatch(name)
        if match:
            key = match[1].lower().replace("__", ".")
            note(f"{name} is ignored; use --{key}")


def check_callbacks(trainer: Any) -> None:
    """Refuse callbacks that fail with the strategy, and let none but the harness write last.ckpt.

    Args:
        trainer: a Trainer; its connectors set attributes that type checkers do not see.

    Raises:
        UserError: naming the first one.
    """
    for callback in trainer.callbacks:
        name = type(callback).__name__
        if isinstance(callback, ModelCheckpoint) and callback.save_last:
            callback.save_last = False
            note(f"save_last of {name} is off, since the harness writes last.ckpt")
        averages = isinstance(callback, WeightAveraging | StochasticWeightAveraging)
        if averages and isinstance(trainer.strategy, ModelParallelStrategy):
            raise UserError(f"{name} cannot average weights that fsdp2 shards; use strategy ddp")
        if isinstance(callback, BaseFinetuning) and trainer.world_size > 1:
            raise UserError(
                f"{name} unfreezes weights whose gradients {trainer.world_size} processes would not"
                " exchange; use --trainer.devices 1"
            )
