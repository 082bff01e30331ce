"""Any network, loss and metrics that the configuration names. Yours: updates of the template leave it alone."""

from inspect import isclass
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torchmetrics import Metric, MetricCollection

from .harness import Faults, UserError
from .harness.objects import attempt, called, describe, find, make
from .harness.optim import adamw_warmup_cosine


class Model(LightningModule):
    """A network as it is: `net` in the checkpoint has the keys of its own state dict.

    Classes and functions are named as `package.module.Name`, `.module.Name` for this project's own, or
    `path/to/file.py:Name`. Their arguments are plain values; `{call: NAME, ...}` among them is what that makes.

    Args:
        network: a class or function that makes an `nn.Module`.
        network_args: its arguments.
        weights: a file of the network's own state dict, to start from.
        output: which part of what the network returns counts, an index or key; default: all.
        loss: a function of (outputs, target), or a class that makes one.
        loss_args: its further arguments.
        metrics: by name, torchmetrics that take (outputs, target), with arguments as `{call: NAME, ...}`.
        predict: the `class` of outputs (B, classes), or of a logit (B,), or the `value` as it is.
        optimizer: a class that takes the parameters and `lr`, which stays constant; default: AdamW with warm-up.
        optimizer_args: its further arguments.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices and kernels alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.

    Raises:
        UserError: with all that is wrong in these.
    """

    hparams: Any

    def __init__(
        self,
        network: str = ".toy.Net",
        network_args: dict[str, Any] | None = None,
        weights: str | None = None,
        output: int | str | None = None,
        loss: str = "torch.nn.functional.cross_entropy",
        loss_args: dict[str, Any] | None = None,
        metrics: dict[str, Any] | None = None,
        predict: Literal["class", "value"] = "class",
        optimizer: str | None = None,
        optimizer_args: dict[str, Any] | None = None,
        lr: float = 3e-3,
        weight_decay: float = 0.01,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        faults, made = Faults(), {}
        with faults:
            self.net = make(network, "model.network", network_args)
            if not isinstance(self.net, nn.Module) or not any(w.requires_grad for w in self.net.parameters()):
                raise UserError(
                    f"model.network={network} makes a {type(self.net).__name__}, not a module with weights to train"
                )
        with faults:  # a class makes the loss; a function is it
            self.loss = make(loss, "model.loss", loss_args, first=0 if isclass(find(loss, "model.loss")) else 2)
        for name, metric in (metrics or {}).items():
            with faults:
                call = {"call": metric} if isinstance(metric, str) else metric
                if not isinstance(made.setdefault(name, called(call, f"model.metrics.{name}")), Metric):
                    raise UserError(f"model.metrics.{name}={metric} is no torchmetrics.Metric: say {{call: NAME, ...}}")
        with faults:
            arguments = {"lr": lr, **(optimizer_args or {})}
            self.optimizer = make(optimizer, "model.optimizer", arguments, first=1) if optimizer else None
        faults.refuse()
        if self.optimizer:
            self.configure_optimizers()  # what it refuses is said now, and not when training starts
        self.val_metrics, self.test_metrics = (MetricCollection(made).clone(f"{name}/") for name in ("val", "test"))

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.hparams.weights and self.trainer.ckpt_path is None:
            with attempt(f"model.weights={self.hparams.weights} is no state dict of this network"):
                state = torch.load(self.hparams.weights, map_location="cpu", weights_only=True)
                self.net.load_state_dict(state.get("state_dict", state))

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> Any:
        if self.optimizer:
            with attempt(f"model.optimizer={self.hparams.optimizer} refuses {self.hparams.optimizer_args}"):
                return self.optimizer(self.parameters())
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, *inputs: Any) -> Any:
        """What the network returns of a batch of inputs, or the part of it that `model.output` names."""
        outputs = self.net(*inputs)
        return outputs if self.hparams.output is None else outputs[self.hparams.output]

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        outputs, target, size = self(*batch["inputs"]), batch["target"], len(batch["index"])
        loss = self.loss(outputs, target)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=split != "train", batch_size=size)
        if split != "train":
            metrics = self.val_metrics if split == "val" else self.test_metrics
            for metric in metrics.values():  # bf16-true has made their sums bf16
                vars(metric).update({name: single(vars(metric)[name]) for name in metric.metric_state})
            metrics.update(single(outputs), single(target))
            self.log_dict(metrics, batch_size=size)
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        outputs = single(self(*batch["inputs"]))
        if self.hparams.predict == "value":
            return {"input": batch["index"], "prediction": outputs}
        if outputs.ndim == 1 or outputs.shape[-1] == 1:  # a logit: that of the other class is 0
            outputs = torch.stack([torch.zeros_like(outputs), outputs], dim=-1).flatten(1)
        confidence, index = outputs.softmax(dim=-1).max(dim=-1)
        return {"input": batch["index"], "prediction": index, "confidence": confidence}

    def rehearse(self, batch: dict) -> int:
        """Bring a batch through the network, the loss and the metrics, before a run is begun with them.

        Returns:
            The number of classes that the outputs (B, classes) are of; 0 where they are of none.

        Raises:
            UserError: that says which of them refuses what.
        """
        hp, modes = self.hparams, [(module, module.training) for module in self.modules()]
        self.eval()
        with attempt(f"model.network={hp.network} takes no inputs {describe(batch['inputs'])}"):
            outputs = self(*batch["inputs"])
        given = f"outputs {describe(outputs)} and target {describe(batch.get('target'))}"
        with attempt(f"model.loss={hp.loss} takes no {given}"):
            loss = self.loss(outputs, batch["target"])
        if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
            raise UserError(f"model.loss={hp.loss} makes {describe(loss)} of {given}, not a number with a gradient")
        for name, metric in self.val_metrics.clone().items():
            with attempt(f"model.metrics.{name.removeprefix('val/')} makes no number of {given}"):
                metric(single(outputs), single(batch["target"])).item()
        for module, mode in modes:
            module.training = mode
        shape = outputs.shape if isinstance(outputs, Tensor) else ()
        return shape[1] if hp.predict == "class" and len(shape) == 2 and shape[1] > 1 else 0


def single(value: Any) -> Any:
    """Fractions in the single precision that metrics and NumPy take."""
    return tree_map(lambda leaf: leaf.float() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf, value)
