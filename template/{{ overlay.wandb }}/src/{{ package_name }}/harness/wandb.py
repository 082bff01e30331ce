# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""A Weights & Biases logger that works without an account."""

import os
from typing import Any

import wandb
from lightning.pytorch import loggers


class WandbLogger(loggers.WandbLogger):
    """Lightning's WandbLogger, which records offline until you log in or set WANDB_MODE.

    Args:
        project: the project in W&B.
        name: the name of the run in W&B.
        save_dir: the folder that holds `wandb/`.
        id: identifies the run when it is resumed. W&B does not accept the id of a deleted run.
        kwargs: see `lightning.pytorch.loggers.WandbLogger`.
    """

    def __init__(self, project: str, name: str, save_dir: str, id: str, **kwargs: Any) -> None:
        if "WANDB_MODE" not in os.environ and not is_logged_in():
            # Lightning's own `offline` sets a variable that W&B no longer reads.
            kwargs["mode"] = "offline"
        super().__init__(
            project=project, name=name, save_dir=save_dir, id=id, resume="allow", **kwargs
        )

    def finalize(self, status: str) -> None:
        super().finalize(status)
        # W&B knows one run per process, and a second one would write into it.
        wandb.finish()


def is_logged_in() -> bool:
    return wandb.login(prompt=False, verify=False)
