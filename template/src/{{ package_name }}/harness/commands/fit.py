# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""train; runs/NAME keeps everything, and the same command resumes"""

from pathlib import Path

from lightning.pytorch import LightningDataModule, LightningModule

from ..arguments import Arguments
from ..callbacks.epoch_metrics import EpochMetrics
from ..callbacks.frozen_parts import FrozenParts
from ..callbacks.last_checkpoint import CheckpointAtEnd, LastCheckpoint
from ..callbacks.shared_buffers import SharedBuffers
from ..callbacks.step_seeds import StepSeeds
from ..callbacks.time_limit import TimeLimit
from ..checkpoints import (
    LOGGED_STEPS,
    AtomicCheckpointIO,
    Checkpoint,
    checkpoint_to_resume,
    delete_later_checkpoints,
    restore_copies,
)
from ..config import DeferredCLI
from ..config_files import chosen_layers, project_layers
from ..errors import UserError
from ..experiment import (
    check_same_facts,
    check_same_model,
    fill_run_names,
    new_run_id,
    parse_experiment,
)
from ..lightning_internals import call_after_data_is_prepared, start_resumed_epoch_exactly
from ..messages import is_rank_zero, program_name
from ..results import check_finite, final_metrics, save_metrics
from ..resume import (
    check_keeps_checkpoints,
    check_same_options,
    ended_at_time_limit,
    has_time_left,
    without_recorded,
)
from ..resumed_loggers import resume_loggers
from ..run_folder import RunFolder, run_folder_for_fit
from ..unsupported import check_callbacks
from ..weights import load_weights


def run(
    arguments: Arguments,
    model_class: type[LightningModule],
    data_class: type[LightningDataModule],
) -> None:
    """Start a run, or resume it if it was interrupted."""
    folder = run_folder_for_fit(arguments.run, arguments.configs)
    if folder.is_finished() and not arguments.restart and not ended_at_time_limit(folder):
        say_finished(folder)
        return
    is_new = not folder.path.exists()
    try:
        train(arguments, folder, model_class, data_class)
    except Exception:
        if is_new and is_rank_zero():
            folder.delete_if_unused()
        raise


def train(
    arguments: Arguments,
    folder: RunFolder,
    model_class: type[LightningModule],
    data_class: type[LightningDataModule],
) -> None:
    cli = read_configuration(arguments, folder, model_class, data_class)
    ckpt_path: str | None = None
    checkpoint: Checkpoint = {}
    if not arguments.restart and not cli.config.trainer.fast_dev_run:
        ckpt_path, checkpoint = checkpoint_to_resume(folder.checkpoints)
    check_same_model(checkpoint, model_class, ckpt_path)
    if folder.is_finished() and not arguments.restart and not has_time_left(cli, checkpoint):
        say_finished(folder)
        return
    check_same_options(cli, checkpoint, folder)
    check_keeps_checkpoints(cli, folder)
    run_id = new_run_id()
    # A recorded configuration keeps {run} and {run_dir}, so that a run can be moved, but not {id}.
    config_text = f"{arguments.describe()}\n{cli.recorded_config()}".replace("{id}", run_id)
    fill_run_names(cli.config, folder, run_id)

    cli.build()
    check_callbacks(cli.trainer)
    check_same_facts(cli, checkpoint.get("hyper_parameters", {}))
    is_resumed = bool(checkpoint)
    if is_resumed and is_rank_zero():
        print(f"run   {folder.path} resumes after step {checkpoint['global_step']}")
    if cli.config.weights and not is_resumed:
        load_weights(cli.model, cli.config.weights, cli.config.new_head)

    if cli.keeps_checkpoints():
        make_resumable(cli, folder, checkpoint, config_text, arguments.restart)
    if ckpt_path is not None:
        start_resumed_epoch_exactly(cli.trainer, cli.config.weights_only)
    try:
        cli.trainer.fit(
            cli.model,
            datamodule=cli.datamodule,
            ckpt_path=ckpt_path,
            weights_only=cli.config.weights_only,
        )
    finally:
        folder.close()
    report(cli, folder, checkpoint)


def say_finished(folder: RunFolder) -> None:
    print(f"{folder.path} is finished; choose another --run, or start over with --restart")


def read_configuration(
    arguments: Arguments,
    folder: RunFolder,
    model_class: type[LightningModule],
    data_class: type[LightningDataModule],
) -> DeferredCLI:
    """The configuration of a new run, or the recorded one of a run to resume.

    The command line overrides both.

    Raises:
        UserError: if an option cannot be used with `fit`.
    """
    layers = project_layers()
    recorded = None if arguments.restart else folder.recorded_config()
    if recorded is not None:
        layers = [folder.config_file]
        arguments = without_recorded(arguments, recorded)
    cli = parse_experiment(arguments, layers + chosen_layers(arguments), model_class, data_class)
    if cli.config.ckpt_path:
        raise UserError(
            "fit resumes a run with --run NAME, and starts from weights with --weights PATH;"
            " ckpt_path is for validate, test and predict"
        )
    if cli.config.weights and "pretrained" in cli.config.model:
        cli.config.model.pretrained = False  # published weights would replace those asked for
    return cli


def make_resumable(
    cli: DeferredCLI,
    folder: RunFolder,
    checkpoint: Checkpoint,
    config_text: str,
    restart: bool,
) -> None:
    """Let training write into the run's folder, so that it can be resumed from any step."""
    trainer = cli.trainer
    time_limits = [callback for callback in trainer.callbacks if isinstance(callback, TimeLimit)]
    time_limit = time_limits[0] if time_limits else None
    last_checkpoint = LastCheckpoint(folder, checkpoint, time_limit)
    # First in the list: last.ckpt is saved when a batch starts, before other callbacks log anything
    # for that step, which a resumed run will log.
    trainer.callbacks[:0] = [
        last_checkpoint,
        EpochMetrics(checkpoint),
        StepSeeds(),
        SharedBuffers(),
        FrozenParts(),
    ]
    trainer.callbacks.append(CheckpointAtEnd(last_checkpoint))
    trainer.strategy.checkpoint_io = AtomicCheckpointIO()

    def open_folder() -> None:
        if trainer.is_global_zero:
            folder.open(config_text, restart)
            restore_copies(folder.checkpoints)
            delete_later_checkpoints(folder.path, checkpoint)
            resume_loggers(trainer.loggers, checkpoint.get(LOGGED_STEPS))

    call_after_data_is_prepared(trainer, open_folder)


def report(cli: DeferredCLI, folder: RunFolder, checkpoint: Checkpoint) -> None:
    """Save the final metrics, and print where everything is."""
    metrics = final_metrics(cli.trainer, checkpoint)
    check_finite(metrics)
    save_metrics(cli.trainer, folder, "fit", metrics)
    best_path = getattr(cli.trainer.checkpoint_callback, "best_model_path", "")
    if best_path and cli.trainer.is_global_zero:
        print(f"run   {folder.path}")
        print(f"best  {Path(best_path).name}")
        print(f"next  {program_name()} test --run {folder.name}")
