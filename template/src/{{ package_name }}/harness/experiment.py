# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reads the configuration of an experiment, and compares it with a checkpoint."""

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule

from .arguments import Arguments
from .checkpoints import Checkpoint
from .config import DeferredCLI
from .config_files import check_yaml
from .errors import UserError
from .lightning_internals import INSTANTIATOR, silence_known_warnings
from .placeholders import fill_placeholders
from .run_folder import RunFolder
from .unsupported import note_ignored_variables

MAX_VALUE_LENGTH = 99  # characters of a value in an error message
ID_BYTES = 4


def parse_experiment(
    arguments: Arguments,
    layers: list[Path],
    model_class: type[LightningModule],
    data_class: type[LightningDataModule],
) -> DeferredCLI:
    """Read a configuration: files, the last of which wins, then the command line.

    Also sets what holds for the whole process: ignored warnings, and the precision of matmuls.

    Raises:
        UserError: for an unknown key, a wrong type, or a number outside its range.
    """
    silence_known_warnings()
    note_ignored_variables()
    check_yaml(layers)
    torch.set_float32_matmul_precision("high")  # TF32 on NVIDIA GPUs; nothing changes elsewhere
    words = [f"--config={layer}" for layer in layers] + arguments.overrides
    return DeferredCLI(model_class, data_class, words, arguments.command)


def new_run_id() -> str:
    """A random identifier, for loggers that keep the runs of all projects in one place."""
    return token_hex(ID_BYTES)


def fill_run_names(config: Namespace, folder: RunFolder, run_id: str) -> None:
    """Replace the placeholders that trainer.yaml explains."""
    names = {"{id}": run_id, "{run_dir}": str(folder.path), "{run}": folder.name}
    fill_placeholders(config, names)


def check_same_model(checkpoint: Checkpoint, model_class: type, path: str | None) -> None:
    """Refuse a checkpoint whose hyperparameters the model does not have.

    Raises:
        UserError: naming them.
    """
    known = {*signature(model_class).parameters, INSTANTIATOR}
    unknown = set(checkpoint.get("hyper_parameters", {})) - known
    if unknown:
        raise UserError(f"{path} is of another model: this one has no {', '.join(sorted(unknown))}")


def check_same_facts(cli: DeferredCLI, hyperparameters: Mapping[str, Any]) -> None:
    """Refuse data that differs from the data of the checkpoint in what the model depends on.

    Raises:
        UserError: naming the first fact that differs.
    """
    for name in cli.facts:
        current = cli.model.hparams[name]
        trained_with = hyperparameters.get(name, current)
        if trained_with != current:
            raise UserError(
                f"the checkpoint was trained with {name} {abbreviate(trained_with)},"
                f" the data has {abbreviate(current)}"
            )


def abbreviate(value: Any) -> str:
    return str(value)[:MAX_VALUE_LENGTH]
