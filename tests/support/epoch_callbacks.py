"""Callbacks for the resume tests that change training when an epoch starts, as owners' do."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning
from torch import nn
from torch.optim import Optimizer
from torchmetrics import CatMetric, MaxMetric, MeanMetric, MetricCollection, SumMetric


class Temperature(Callback):
    """Sets an attribute of the model, which is saved nowhere, and scales the gradient by it."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.temperature = 1.0 + trainer.current_epoch

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        scale_gradients(pl_module, pl_module.temperature)


class EpochCounter(Callback):
    """Counts epochs in its state, and scales the gradient by their number and by a random draw."""

    def __init__(self) -> None:
        self.epochs = 0
        self.draw = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs += 1
        # Each rank draws another number, and scaled differently, their weights would drift apart.
        self.draw = trainer.strategy.broadcast(float(torch.rand(())))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        scale_gradients(pl_module, self.epochs + self.draw)

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = state_dict["epochs"]


class EpochMetrics(Callback):
    """Logs metrics of the training epoch in each of the ways that Lightning has."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        pl_module.mean_loss = MeanMetric()
        pl_module.loss_of_run = SumMetric()
        losses = {"largest": MaxMetric(), "sum": SumMetric(), "all": CatMetric()}
        pl_module.losses = MetricCollection(losses)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.losses.reset()
        pl_module.log("epoch/started", 1.0, on_epoch=True, on_step=False, reduce_fx="sum")

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        loss = outputs["loss"]
        for way in ("mean", "sum", "max"):
            pl_module.log(f"epoch/{way}", loss, on_epoch=True, on_step=False, reduce_fx=way)
        pl_module.log("epoch/both", loss, on_epoch=True, on_step=True)
        pl_module.mean_loss.update(loss)
        pl_module.log("epoch/metric", pl_module.mean_loss, on_epoch=True, on_step=False)
        pl_module.losses.update(loss)
        pl_module.loss_of_run.update(loss)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        computed = pl_module.losses.compute()
        pl_module.log("epoch/of_run", pl_module.loss_of_run.compute())
        pl_module.log("epoch/largest", computed["largest"])
        pl_module.log("epoch/total", computed["sum"])
        pl_module.log("epoch/median", computed["all"].median())


class LateHead(BaseFinetuning):
    """Freezes the network's first layer in the first epoch, as BackboneFinetuning does."""

    def freeze_before_training(self, pl_module: LightningModule) -> None:
        self.freeze(first_layer(pl_module))

    def finetune_function(
        self, pl_module: LightningModule, epoch: int, optimizer: Optimizer
    ) -> None:
        if epoch == 1:
            self.unfreeze_and_add_param_group(first_layer(pl_module), optimizer)


def first_layer(module: LightningModule) -> nn.Module:
    return next(layer for layer in module.modules() if isinstance(layer, nn.Linear))


def scale_gradients(module: LightningModule, factor: float) -> None:
    for parameter in module.parameters():
        if parameter.grad is not None:
            parameter.grad.mul_(factor)
