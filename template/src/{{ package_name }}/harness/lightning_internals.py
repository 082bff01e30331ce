# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Everything that relies on private or undocumented names of Lightning.

Each entry states why it is needed. All were checked against Lightning 2.6.6; `pyproject.toml`
bounds Lightning accordingly. When the bound is raised, check these first.
"""

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection
from lightning.pytorch.utilities import move_data_to_device
from torch.utils.data import DistributedSampler
from torchmetrics import Metric

# Lightning keeps this key among the hyperparameters, to build the class again; it is not a
# parameter of the model.
INSTANTIATOR = "_instantiator"
# A sharded checkpoint of fsdp2 is a folder; this file in it holds all but the weights. Lightning
# does not export the name.
SHARDED_METADATA = "meta.pt"


def silence_known_warnings() -> None:
    """Hide warnings and tips that no user of the project can act on.

    - `LeafSpec`: Lightning calls what torch 2.15 deprecates.
    - `Checkpoint directory ... exists`: a resumed run has one.
    - `has __len__ defined`: the workers of a stream share its samples.
    """
    for message in (
        ".*LeafSpec",
        "Checkpoint directory .* exists and is not empty",
        ".*has `__len__` defined",
    ):
        warnings.filterwarnings("ignore", message)
    rank_zero_logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    rank_zero_logger.addFilter(is_wanted)


def is_wanted(record: logging.LogRecord) -> bool:
    """False for tips, which advertise other products, and for the end of training.

    The latter is written into the line of the progress bar, and `fit` says the same at its end.
    """
    message = str(record.msg)
    return "Tip:" not in message and "`Trainer.fit` stopped" not in message


def call_after_data_is_prepared(trainer: Trainer, action: Callable[[], None]) -> None:
    """Have `trainer.fit` call `action` once, after `prepare_data`, before any logger opens a file.

    A run folder must not appear before the data is known to be good, and it must be locked before a
    logger writes into it. Lightning calls no hook between these two points.
    """
    connector: Any = trainer._data_connector
    prepare_data = connector.prepare_data

    def prepare_data_then_act() -> None:
        connector.prepare_data = prepare_data
        prepare_data()
        action()

    connector.prepare_data = prepare_data_then_act


def training_position(trainer: Trainer | None) -> tuple[int, int]:
    """The epoch, and how many of its batches are done; (0, 0) outside of training.

    The loops are public, but their progress counters are not documented.
    """
    if trainer is None or not trainer.training:
        return 0, 0
    return trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.ready


def start_resumed_epoch_exactly(trainer: Trainer, weights_only: bool | None) -> None:
    """Have a resumed run start its first epoch as an uninterrupted run does.

    At the start of an epoch, where `last.ckpt` is usually written, Lightning takes the epoch before
    for unfinished. Within an epoch it does not call `on_train_epoch_start`, and what that hook sets
    is lost, such as a temperature that depends on the epoch. Lightning calls no hook where both can
    be put right.

    Args:
        trainer: of a run that resumes.
        weights_only: how `torch.load` reads the checkpoint.
    """
    fit_loop = trainer.fit_loop
    on_advance_start = fit_loop.on_advance_start

    def start_resumed_epoch() -> None:
        fit_loop.on_advance_start = on_advance_start
        if fit_loop.restarted_mid_epoch:
            on_advance_start()
            replay_epoch_start(trainer, weights_only)
            # Else a ReduceLROnPlateau would not step at the end of this epoch.
            fit_loop._restarting = False
        elif fit_loop.restarted_on_epoch_end or fit_loop.resumed_on_epoch_end:
            on_advance_start()  # a checkpoint of ModelCheckpoint, which Lightning resumes well
        else:
            forget_restart(trainer)
            on_advance_start()
        restore_reload_schedule(trainer)

    fit_loop.on_advance_start = start_resumed_epoch


def replay_epoch_start(trainer: Trainer, weights_only: bool | None) -> None:
    """Call `on_train_epoch_start` for an epoch that is resumed, then restore all states again.

    Attributes that the hook sets are there afterwards, and a state that it changes, such as a
    number of epochs, is not changed twice. Nothing is logged twice either.
    """
    loggers = trainer.loggers
    trainer.loggers = [DummyLogger() for _ in loggers]
    call._call_callback_hooks(trainer, "on_train_epoch_start")
    call._call_lightning_module_hook(trainer, "on_train_epoch_start")
    trainer.loggers = loggers

    connector = trainer._checkpoint_connector
    connector._restore_modules_and_callbacks(connector._ckpt_path, weights_only)
    connector.restore_precision_plugin_state()
    connector.restore_optimizers_and_schedulers()
    connector.resume_end()


def restore_reload_schedule(trainer: Any) -> None:
    """Reload the loaders in the epochs in which an uninterrupted run reloads them.

    The Trainer has attributes that its connectors set, and type checkers do not see.
    """
    epochs = trainer.reload_dataloaders_every_n_epochs
    if epochs:
        epoch = trainer.current_epoch
        trainer.fit_loop._last_train_dl_reload_epoch = epoch - epoch % epochs


def epoch_sums(trainer: Trainer) -> dict[str, dict[str, torch.Tensor]]:
    """What `self.log(..., on_epoch=True)` has accumulated in the epoch, by Lightning's keys."""
    sums = {}
    for key, result in trainer.fit_loop.epoch_loop._results.items():
        if result.meta.on_epoch and result.is_tensor:
            sums[key] = dict(result.metric_state)
    return sums


def restore_epoch_sums(trainer: Trainer, sums: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
    """Let `self.log` continue these sums when it is called for the first time since the resume."""
    epoch_loop = trainer.fit_loop.epoch_loop
    epoch_loop._results = ResumedResults(epoch_loop._results, sums, trainer)


class ResumedResults(_ResultCollection):
    """Lightning's collection of what was logged, whose new entries start with restored sums.

    Lightning creates an entry when something is first logged. Those that exist already were logged
    by the hooks of the epoch's start, which have been called again.
    """

    def __init__(
        self,
        results: _ResultCollection,
        sums: Mapping[str, Mapping[str, torch.Tensor]],
        trainer: Trainer,
    ) -> None:
        super().__init__(training=True)
        self.update(results)
        self.batch = results.batch
        self.batch_size = results.batch_size
        self.dataloader_idx = results.dataloader_idx
        self.sums = sums
        self.trainer = trainer
        self.epoch = trainer.current_epoch

    def __setitem__(self, key: str, result: Any) -> None:
        super().__setitem__(key, result)
        if self.trainer.current_epoch == self.epoch:
            for name, value in self.sums.get(key, {}).items():
                setattr(result, name, value)


def restore_metric(metric: Metric, state: Mapping[str, Any], updates: int) -> None:
    """Set the state of a torchmetrics object, which is not part of its `state_dict`.

    The private names are torchmetrics' (checked with 1.8).
    """
    for name, value in state.items():
        setattr(metric, name, move_data_to_device(value, metric.device))
    metric._update_count = updates
    metric._computed = None


def forget_restart(trainer: Trainer) -> None:
    """Set the loops as they are between two epochs.

    The checkpoint was written when an epoch had been made ready, and not started.
    """
    fit_loop = trainer.fit_loop
    fit_loop.restarting = False
    fit_loop.epoch_progress.total.ready = fit_loop.epoch_progress.total.completed
    fit_loop.epoch_progress.current.ready = fit_loop.epoch_progress.current.completed
    fit_loop.on_iteration_done()


def logged_steps(trainer: Trainer) -> int:
    """How many steps the loggers have seen, which is the step that they are given next.

    A validation runs before Lightning counts the training step that it follows.
    """
    steps = trainer.fit_loop.epoch_loop._batches_that_stepped
    if trainer.validating:
        steps += 1
    return steps


def restore_logged_steps(trainer: Trainer, steps: int) -> None:
    """Correct the counters of a resumed run, when its first batch starts.

    Lightning restores them as if every checkpoint were saved within a step, as those of
    `ModelCheckpoint` are; `last.ckpt` is saved between two steps.
    """
    loop = trainer.fit_loop.epoch_loop
    loop._batches_that_stepped = steps
    loop.batch_progress.total.ready = loop.batch_progress.total.completed + 1


def restore_metrics(trainer: Trainer, metrics: Mapping[str, float]) -> None:
    """Set the values last logged, which schedulers and callbacks look up between validations."""
    tensors = {name: torch.as_tensor(value) for name, value in metrics.items()}
    trainer._logger_connector._callback_metrics.update(tensors)


def purge_tensorboard_after(logger: TensorBoardLogger, steps: int) -> None:
    """Make TensorBoard hide the events of the steps that will be repeated.

    The option belongs to the writer, which the logger makes from its own keyword arguments.
    """
    logger._kwargs["purge_step"] = steps


def open_csv_with_columns(logger: CSVLogger, columns: list[str]) -> None:
    """Open a CSVLogger with the columns of an earlier file.

    Opening deletes an existing metrics.csv, with a warning; without its columns, the logger would
    rewrite the file when the first row arrives.
    """
    with warnings.catch_warnings(action="ignore"):
        logger.experiment.metrics_keys = columns


def set_data_parallel_size(strategy: ModelParallelStrategy, size: int) -> None:
    """Set the number of ranks that share the data, which is known once devices are counted.

    The constructor takes a number or "auto", and "auto" means the number of nodes.
    """
    strategy._data_parallel_size = size


def stop_refresh_thread(bar: RichProgressBar) -> None:
    """End the thread that redraws a progress bar, before the bar is drawn for the last time.

    Lightning ends it afterwards, and then the thread may draw the bar once more, on a new line. The
    thread is Lightning's, the private attribute is rich's (checked with 15.0).
    """
    if bar.progress is None:
        return
    live = bar.progress.live
    if live._refresh_thread is not None:
        live._refresh_thread.stop()
        live._refresh_thread.join()
        live._refresh_thread = None


class KeptSampler(DistributedSampler):
    """A sampler that Lightning leaves in place.

    With several devices it replaces every sampler that is not a `DistributedSampler`. Nothing but
    the type is used, so that a subclass need not call the constructor.
    """
