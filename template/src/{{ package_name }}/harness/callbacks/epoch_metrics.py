# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Remembers what metrics have accumulated, which Lightning does not save."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torchmetrics import Metric, MetricCollection

from ..checkpoints import EPOCH_METRICS, Checkpoint
from ..lightning_internals import epoch_sums, restore_epoch_sums, restore_metric
from ..messages import note
from ..process_group import new_cpu_group

SUMS = "sums"  # of `self.log(..., on_epoch=True)`
STATES = "states"  # of torchmetrics objects
UPDATES = "updates"  # how often each of these was updated


class EpochMetrics(Callback):
    """Lets a resumed run log the same metrics as one that was not interrupted.

    Each rank accumulates its own part, so a checkpoint holds a list with an entry for each.

    Args:
        checkpoint: contents of the checkpoint to resume from; empty for a new run.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.saved: list[dict[str, Any]] = checkpoint.get(EPOCH_METRICS, [])
        self.is_resumed_within_epoch = False
        self.process_group: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.process_group = new_cpu_group(trainer)
        if len(self.saved) not in (0, trainer.world_size):
            if is_accumulating(self.saved[0]):
                note(
                    f"metrics were accumulated on {len(self.saved)} devices, and this run has"
                    f" {trainer.world_size}: only what follows is counted"
                )
            self.saved = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.saved:
            return
        # Hooks that reset metrics when an epoch starts are called after this one. Within an epoch
        # they reset them before the interruption, so nothing is restored until the next batch.
        fit_loop = trainer.fit_loop
        self.is_resumed_within_epoch = fit_loop.restarted_mid_epoch
        if self.is_resumed_within_epoch:
            return
        is_after_epoch = fit_loop.restarted_on_epoch_end or fit_loop.resumed_on_epoch_end
        if not is_after_epoch:
            self.restore_states(trainer, pl_module)
        self.saved = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.is_resumed_within_epoch and self.saved:
            restore_epoch_sums(trainer, self.saved[trainer.global_rank][SUMS])
            self.restore_states(trainer, pl_module)
            self.saved = []

    def restore_states(self, trainer: Trainer, pl_module: LightningModule) -> None:
        saved = self.saved[trainer.global_rank]
        for name, metric in metrics_of(pl_module).items():
            if name in saved[STATES]:
                restore_metric(metric, saved[STATES][name], saved[UPDATES][name])

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        own = self.accumulated(trainer, pl_module)
        if self.process_group is None:
            checkpoint[EPOCH_METRICS] = [own]
            return
        gathered: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(gathered, own, self.process_group)
        checkpoint[EPOCH_METRICS] = gathered

    def accumulated(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        states = {}
        updates = {}
        for name, metric in metrics_of(pl_module).items():
            if metric.update_called:
                states[name] = to_cpu(metric.metric_state)
                updates[name] = metric.update_count
        return {SUMS: to_cpu(epoch_sums(trainer)), STATES: states, UPDATES: updates}


def is_accumulating(saved: dict[str, Any]) -> bool:
    return bool(saved[SUMS] or saved[STATES])


def metrics_of(pl_module: LightningModule) -> dict[str, Metric]:
    """The torchmetrics objects of a model, by the names of their modules."""
    found = {}
    for name, module in pl_module.named_modules():
        if isinstance(module, MetricCollection):
            list(module.values())  # those of a compute group share states, and have them now
        elif isinstance(module, Metric):
            found[name] = module
    return found


def to_cpu(value: Any) -> Any:
    """The tensors of dictionaries and lists, on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {name: to_cpu(item) for name, item in value.items()}
    if isinstance(value, list):
        return [to_cpu(item) for item in value]
    return value
