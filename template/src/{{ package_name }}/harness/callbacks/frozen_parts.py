# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Remembers which parts of a network are frozen, which no state_dict says."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

# Attributes of modules that freezing sets to False, and no state_dict holds.
MODULE_FLAGS = ("training", "track_running_stats")

FROZEN_PARAMETERS = "frozen_parameters"
CLEARED_FLAGS = "cleared_flags"


class FrozenParts(Callback):
    """Saves and restores what owners and callbacks such as BackboneFinetuning freeze and unfreeze.

    A resumed run is built with what is frozen at the start, although it may have been unfrozen
    since.
    """

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        parameters = pl_module.named_parameters()
        frozen = [name for name, parameter in parameters if not parameter.requires_grad]
        checkpoint[FROZEN_PARAMETERS] = frozen
        checkpoint[CLEARED_FLAGS] = {flag: cleared(pl_module, flag) for flag in MODULE_FLAGS}

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if FROZEN_PARAMETERS not in checkpoint:  # saved by an older version
            return
        for name, parameter in pl_module.named_parameters():
            parameter.requires_grad = name not in checkpoint[FROZEN_PARAMETERS]
        for flag, names in checkpoint[CLEARED_FLAGS].items():
            for name, module in pl_module.named_modules():
                if hasattr(module, flag):
                    setattr(module, flag, name not in names)


def cleared(root: LightningModule, flag: str) -> list[str]:
    """The names of the modules that have the flag, set to False."""
    return [name for name, module in root.named_modules() if getattr(module, flag, None) is False]
