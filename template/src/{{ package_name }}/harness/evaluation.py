# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Loads a finished or running run for validate, test and predict."""

from dataclasses import dataclass
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule

from .arguments import Arguments
from .checkpoints import Checkpoint, best_checkpoint, read_checkpoint
from .config_files import chosen_layers, project_layers
from .experiment import (
    check_same_facts,
    check_same_model,
    fill_run_names,
    new_run_id,
    parse_experiment,
)
from .run_folder import RunFolder, existing_run_folder, run_folder_for_fit


@dataclass(frozen=True)
class Evaluation:
    """A run's model and data, with the checkpoint to evaluate."""

    folder: RunFolder
    trainer: Any  # for the same reason as in DeferredCLI
    model: LightningModule
    data: LightningDataModule
    ckpt_path: str
    weights_only: bool | None
    checkpoint: Checkpoint

    def trainer_arguments(self) -> dict[str, Any]:
        """The arguments that `Trainer.validate`, `test` and `predict` share."""
        return {
            "model": self.model,
            "datamodule": self.data,
            "ckpt_path": self.ckpt_path,
            "weights_only": self.weights_only,
        }


def load_evaluation(
    arguments: Arguments,
    model_class: type[LightningModule],
    data_class: type[LightningDataModule],
) -> Evaluation:
    """Build a run's model with its checkpoint's hyperparameters, except those given as options.

    Raises:
        UserError: if there is no such run, or its checkpoint does not fit the model or the data.
    """
    if arguments.wants_help():  # the parser prints it and exits, so that no run is needed
        folder = run_folder_for_fit(arguments.run, arguments.configs)
        layers = project_layers()
    else:
        folder = existing_run_folder(arguments.run)
        layers = [folder.config_file]
    cli = parse_experiment(arguments, layers + chosen_layers(arguments), model_class, data_class)
    ckpt_path = cli.config.ckpt_path or best_checkpoint(folder.checkpoints)
    checkpoint = read_checkpoint(ckpt_path)
    check_same_model(checkpoint, model_class, ckpt_path)
    hyperparameters = checkpoint.get("hyper_parameters", {})

    cli.use_hyperparameters(hyperparameters, arguments.overrides)
    cli.config.trainer.logger = False  # what training logged stays as it is
    fill_run_names(cli.config, folder, new_run_id())
    predicts_new_data = arguments.command == "predict" and cli.config.data.get("predict_path")
    cli.build(known_facts=hyperparameters if predicts_new_data else None)
    check_same_facts(cli, hyperparameters)
    return Evaluation(
        folder=folder,
        trainer=cli.trainer,
        model=cli.model,
        data=cli.datamodule,
        ckpt_path=ckpt_path,
        weights_only=cli.config.weights_only,
        checkpoint=checkpoint,
    )
