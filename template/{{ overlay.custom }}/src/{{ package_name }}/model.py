"""Any network, loss and metrics. Yours: updates of the template leave this file alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import isclass
from typing import Annotated, Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torchmetrics import Metric, MetricCollection

from .harness.errors import ErrorCollector, UserError
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range
from .readers.objects import (
    Arguments,
    as_user_error,
    bind_arguments,
    find_object,
    make_object,
    make_value,
)
from .readers.samples import describe


class Model(LightningModule):
    """A network as it is: in the checkpoint, `net` has the keys of its own state dict.

    Classes and functions are named as `package.module.Name`, `.module.Name` of this project, or
    `path/to/file.py:Name`. Their arguments are plain values; `{call: NAME, ...}` among them is
    replaced by what that call returns.

    Steps take batches of the samples of data.py, B of them: `inputs`, a list of what the network
    takes; `target`, for the loss and the metrics, not needed by `predict`; and `index` (B,), int64,
    the samples' positions in the dataset. Shapes, dtypes and values are those of the dataset.

    Args:
        network: a class or function that makes an `nn.Module`.
        network_args: its arguments.
        weights: a file with the network's own state dict, to start from.
        output: index or key of the part of the network's outputs to use; by default all.
        loss: a function of (outputs, target), or a class that makes one.
        loss_args: its other arguments.
        metrics: torchmetrics of (outputs, target) by name, with arguments as `{call: NAME, ...}`.
        predict: `class` for outputs (B, classes), or a logit (B,); `value` for outputs as they are.
        optimizer: a class that takes the parameters and `lr`, which stays constant; by default
            AdamW with a warm-up and a cosine decay.
        optimizer_args: its other arguments.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.

    Raises:
        UserError: with a line for each of these that cannot be used.
    """

    hparams: Any

    def __init__(
        self,
        network: str = ".toy.Net",
        network_args: Arguments | None = None,
        weights: str | None = None,
        output: int | str | None = None,
        loss: str = "torch.nn.functional.cross_entropy",
        loss_args: Arguments | None = None,
        metrics: Arguments | None = None,
        predict: Literal["class", "value"] = "class",
        optimizer: str | None = None,
        optimizer_args: Arguments | None = None,
        lr: Annotated[float, Range(min=0)] = 3e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.01,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        errors = ErrorCollector()
        with errors:
            self.net = make_network(network, network_args)
        with errors:
            self.loss = make_loss(loss, loss_args)
        with errors:
            self.optimizer = make_optimizer(optimizer, optimizer_args, lr)
        collection = make_metrics(metrics or {}, errors)
        errors.raise_if_any()
        if self.optimizer:
            self.configure_optimizers()  # reports now what it rejects, not when training starts
        self.val_metrics = collection.clone(prefix="val/")
        self.test_metrics = collection.clone(prefix="test/")

    def setup(self, stage: str) -> None:
        path = self.hparams.weights
        starts_anew = stage == "fit" and self.trainer.ckpt_path is None
        if path and starts_anew:
            with as_user_error(f"model.weights={path} is not a state dict of this network"):
                state = torch.load(path, map_location="cpu", weights_only=True)
                state = state.get("state_dict", state)
                self.net.load_state_dict(state)

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> Any:
        options = self.hparams
        if self.optimizer:
            place = f"model.optimizer={options.optimizer}"
            with as_user_error(f"{place} rejects {options.optimizer_args}"):
                return self.optimizer(self.parameters())
        return adamw_warmup_cosine(
            self,
            options.lr,
            options.weight_decay,
            options.warmup_steps,
        )

    def forward(self, *inputs: Any) -> Any:
        """The network's outputs for a batch of its inputs, or the part that `output` names."""
        outputs = self.net(*inputs)
        if self.hparams.output is None:
            return outputs
        return outputs[self.hparams.output]

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        outputs = self(*batch["inputs"])
        loss = self.loss(outputs, batch["target"])
        self.log(
            "train/loss",
            loss,
            prog_bar=True,
            batch_size=len(batch["index"]),
        )
        return loss

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, "val", self.val_metrics)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, "test", self.test_metrics)

    def evaluate(self, batch: dict, split: str, metrics: MetricCollection) -> None:
        """Log the loss and the metrics of a batch of `val` or `test`."""
        outputs = self(*batch["inputs"])
        target = batch["target"]
        loss = self.loss(outputs, target)
        batch_size = len(batch["index"])
        self.log(
            f"{split}/loss",
            loss,
            prog_bar=True,
            sync_dist=True,
            batch_size=batch_size,
        )
        for metric in metrics.values():
            restore_single_sums(metric)
        metrics.update(to_single(outputs), to_single(target))
        self.log_dict(metrics, batch_size=batch_size)

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        """Columns with B values each: the sample's index, and its prediction.

        For `predict: class` that is the class with its confidence, from 0 to 1.
        """
        outputs = to_single(self(*batch["inputs"]))
        if self.hparams.predict == "value":
            return {"input": batch["index"], "prediction": outputs}
        if outputs.ndim == 1 or outputs.shape[-1] == 1:
            # A single logit is that of class 1; the logit of class 0 is 0.
            logits = [torch.zeros_like(outputs), outputs]
            outputs = torch.stack(logits, dim=-1).flatten(1)
        confidence, label = outputs.softmax(dim=-1).max(dim=-1)
        return {
            "input": batch["index"],
            "prediction": label,
            "confidence": confidence,
        }

    def try_batch(self, batch: dict) -> int:
        """Run a batch through the network, the loss and the metrics, before training starts.

        Returns:
            The number of classes of outputs (B, classes); 0 for other outputs.

        Raises:
            UserError: that names the network, loss or metric that does not fit the batch.
        """
        options = self.hparams
        inputs = batch["inputs"]
        target = batch.get("target")
        with evaluation_mode(self):
            with as_user_error(
                f"model.network={options.network} rejects inputs {describe(inputs)}"
            ):
                outputs = self(*inputs)
            given = f"outputs {describe(outputs)} and target {describe(target)}"
            with as_user_error(f"model.loss={options.loss} rejects {given}"):
                loss = self.loss(outputs, target)
            is_number = isinstance(loss, Tensor) and loss.numel() == 1
            if not is_number or not loss.requires_grad:
                raise UserError(
                    f"model.loss={options.loss} makes {describe(loss)} of {given}; it must make "
                    "a single number with a gradient"
                )
            metrics = self.val_metrics.clone()
            for name, metric in metrics.items(keep_base=True):
                with as_user_error(f"model.metrics.{name} makes no number of {given}"):
                    value = metric(to_single(outputs), to_single(target))
                    value.item()
        if options.predict == "value":
            return 0
        return count_classes(outputs)


def make_network(name: str, arguments: Arguments | None) -> nn.Module:
    """The network; a UserError if it is not a module with weights to train."""
    network = make_object(name, "model.network", arguments)
    place = f"model.network={name}"
    kind = type(network).__name__
    if not isinstance(network, nn.Module):
        raise UserError(f"{place} makes a {kind}, which is not a module; name another")
    if not any(weight.requires_grad for weight in network.parameters()):
        raise UserError(f"{place} makes a {kind}, which has no weights to train; name another")
    return network


def make_loss(name: str, arguments: Arguments | None) -> Callable[..., Any]:
    """The loss: the object that a class makes, or a function with its other arguments."""
    if isclass(find_object(name, "model.loss")):
        return make_object(name, "model.loss", arguments)
    return bind_arguments(name, "model.loss", arguments, leading=2)


def make_metrics(metrics: dict[str, Any], errors: ErrorCollector) -> MetricCollection:
    """The metrics by name; what is wrong with them is added to `errors`."""
    made: dict[str, Metric | MetricCollection] = {}
    for name, metric in metrics.items():
        with errors:
            made[name] = make_metric(name, metric)
    return MetricCollection(made)


def make_metric(name: str, metric: Any) -> Metric:
    """A metric, from its class name or `{call: NAME, ...}`; a UserError if it is something else."""
    call = {"call": metric} if isinstance(metric, str) else metric
    made = make_value(call, f"model.metrics.{name}")
    if not isinstance(made, Metric):
        raise UserError(
            f"model.metrics.{name}={metric} is not a torchmetrics.Metric; write {{call: NAME, ...}}"
        )
    return made


def make_optimizer(
    name: str | None, arguments: Arguments | None, lr: float
) -> Callable[..., Any] | None:
    """A function of the parameters that makes the optimizer; None without a name."""
    if not name:
        return None
    values = {"lr": lr}
    values.update(arguments or {})
    return bind_arguments(name, "model.optimizer", values, leading=1)


def count_classes(outputs: Any) -> int:
    """The number of classes of outputs (B, classes); 0 for other outputs."""
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        return 0
    classes = outputs.shape[1]
    return classes if classes > 1 else 0


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switch a model to evaluation inside the block, and each module back to its mode after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    yield
    for module, mode in modes:
        module.training = mode


def restore_single_sums(metric: Metric) -> None:
    """Restore a metric's sums to single precision; bf16-true turns them into bfloat16."""
    for name, value in metric.metric_state.items():
        setattr(metric, name, to_single(value))


def to_single(value: Any) -> Any:
    """Floating-point tensors in single precision, as metrics and NumPy take them."""
    return tree_map(leaf_to_single, value)


def leaf_to_single(leaf: Any) -> Any:
    if isinstance(leaf, Tensor) and leaf.is_floating_point():
        return leaf.float()
    return leaf
