# Managed by copier-lightning: an update may replace this file; your tests are beside this folder.
"""Tests that hold for every model: inherit `ModelSuite` in a test of yours."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from harness.project import ONE_PROCESS, command
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor


@dataclass
class Observations:
    """What `Observer` saw in a run."""

    metrics: list[dict[str, float]] = field(default_factory=list)
    weights: set[str] = field(default_factory=set)
    weights_with_gradient: set[str] = field(default_factory=set)
    changed_by_validation: set[str] = field(default_factory=set)


# The command makes the callback from its name, so that a test cannot pass it an object.
observed = Observations()


class Observer(Callback):
    """Observes each step's metrics, which weights get a gradient, and what a validation changes."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, weight in pl_module.named_parameters():
            if weight.requires_grad:
                observed.weights.add(name)
                self.watch_gradient(name, weight)

    def watch_gradient(self, name: str, weight: Tensor) -> None:
        def remember(updated: Tensor) -> None:
            if updated.grad is not None and updated.grad.any():
                observed.weights_with_gradient.add(name)

        weight.register_post_accumulate_grad_hook(remember)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        observed.metrics.append(metrics)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.before = {name: value.clone() for name, value in pl_module.state_dict().items()}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name, value in pl_module.state_dict().items():
            if not torch.equal(value, self.before[name]):
                observed.changed_by_validation.add(name)


class ModelSuite:
    """Trains on one batch again and again, and checks what that does.

    Attributes:
        loss: the name of the loss that is logged for each step.
        floor: the value it falls below.
        options: further options of that `fit`.
    """

    loss = "train/loss"
    floor = 0.05
    options: tuple[str, ...] = ()

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def overfit(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        global observed
        observed = Observations()
        arguments = ["-c", "preset/overfit", f"--trainer.callbacks+={__name__}.Observer"]
        arguments += ["--trainer.enable_progress_bar=false", *ONE_PROCESS, *cls.options]
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.chdir(tmp_path_factory.mktemp("overfit"))
            command(monkeypatch, "fit", *arguments)

    def test_one_batch_is_learned(self) -> None:
        """The loss on one repeated batch falls below its floor."""
        losses = [metrics[self.loss] for metrics in observed.metrics]
        assert losses[0] > self.floor
        assert min(losses[-5:]) < self.floor

    def test_gradients_reach_every_weight(self) -> None:
        """No trainable weight is left out of training."""
        assert observed.weights <= observed.weights_with_gradient

    def test_validation_changes_nothing(self) -> None:
        """A validation leaves every weight, statistic and buffer as it was."""
        assert not observed.changed_by_validation
