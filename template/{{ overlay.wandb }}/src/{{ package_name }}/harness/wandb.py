# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Weights & Biases that works before there is an account."""

import os
from typing import Any

import wandb
from lightning.pytorch import loggers


class WandbLogger(loggers.WandbLogger):
    """Lightning's WandbLogger, offline until you log in or set WANDB_MODE.

    Args:
        project: W&B's project.
        name: the run's name there.
        id: by which a run that goes on is known; W&B never takes one twice.
        save_dir: the folder that holds `wandb/`.
        kwargs: see `lightning.pytorch.loggers.WandbLogger`.
    """

    def __init__(self, project: str, name: str, save_dir: str, id: str, **kwargs: Any) -> None:
        if "WANDB_MODE" not in os.environ and not wandb.login(prompt=False, verify=False):
            kwargs["mode"] = "offline"  # Lightning's own `offline` sets a variable that is read no more
        super().__init__(project=project, name=name, save_dir=save_dir, id=id, resume="allow", **kwargs)

    def finalize(self, status: str) -> None:
        super().finalize(status)
        wandb.finish()  # W&B knows one run in a process, and a second one would write into it
