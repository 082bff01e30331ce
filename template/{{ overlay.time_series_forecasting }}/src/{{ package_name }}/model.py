"""Quantile forecasts of many time series. Yours: updates of the template leave this file alone."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, WeightedMeanAbsolutePercentageError

from .harness.errors import UserError
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range

# Parameters of this type are checked before the model is built.
Count = Annotated[int, Range(min=1)]

MEDIAN = 0.5
SMALLEST_DEVIATION = 1e-5  # of a history; a constant one is not divided by zero
POSITION_STD = 0.02  # of the position embeddings at the start
MOVING_AVERAGE = 25  # steps


class Model(LightningModule):
    """A patch transformer or a linear map, trained with the pinball loss of several quantiles.

    The pinball loss (Koenker and Bassett, Econometrica 1978) is in units of each series' seasonal
    naive error. Each window is of one series; the network sees it with mean 0 and standard
    deviation 1, and its forecast is scaled back (RevIN, Kim et al., ICLR 2022, without weights as
    in PatchTST).

    Steps take the batches of `Windows` in data.py, with B windows: `history` (B, context) and
    `target` (B, horizon), NaN where missing, in the unit given by `level` and `scale` (B,). All are
    float32, or in the precision of the model.

    Args:
        context: steps of history; filled in from the data, as are the next two.
        horizon: steps to forecast.
        step_length: pandas' name of a step, such as h.
        network: `patch`, a transformer over patches (PatchTST), or `linear` (DLinear).
        quantiles: quantiles to forecast, such as 0.9, in increasing order, including 0.5.
        patch: steps per patch.
        stride: steps from one patch to the next.
        dim: width of the transformer.
        depth: number of transformer blocks.
        heads: attention heads per block, each dim / heads wide.
        dropout: share of dropped activations, in the blocks and before the last layer.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.

    Raises:
        UserError: for quantiles or sizes that make no network.
    """

    hparams: Any
    quantiles: Tensor

    def __init__(
        self,
        context: int,
        horizon: int,
        step_length: str,
        network: Literal["patch", "linear"] = "patch",
        quantiles: list[float] = [0.1, 0.5, 0.9],  # noqa: B006 - it is never changed
        patch: Count = 24,
        stride: Count = 24,
        dim: Count = 64,
        depth: Count = 2,
        heads: Count = 4,
        dropout: Annotated[float, Range(min=0, max=1)] = 0.1,
        lr: Annotated[float, Range(min=0)] = 2e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.05,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_quantiles(quantiles)
        check_patches(context, patch, stride, dim, heads)
        outputs = horizon * len(quantiles)
        if network == "patch":
            self.net = PatchTransformer(
                context=context,
                outputs=outputs,
                patch=patch,
                stride=stride,
                dim=dim,
                depth=depth,
                heads=heads,
                dropout=dropout,
            )
        else:
            self.net = DLinear(context, outputs)
        self.register_buffer("quantiles", torch.tensor(quantiles), persistent=False)
        self.val_metrics = make_metrics()
        self.test_metrics = make_metrics()

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(
            self,
            self.hparams.lr,
            self.hparams.weight_decay,
            self.hparams.warmup_steps,
        )

    def forward(self, history: Tensor) -> Tensor:
        """Forecasts (B, horizon, Q) after histories (B, context), in the unit of each.

        They are sorted, so that no quantile crosses another (Chernozhukov et al., arXiv 0704.3649).
        """
        mean = history.mean(dim=1, keepdim=True)  # (B, 1)
        std = history.std(dim=1, keepdim=True)
        std = std.clamp_min(SMALLEST_DEVIATION)
        normalised = (history - mean) / std
        outputs = self.net(normalised)  # (B, horizon * Q)
        forecast = outputs.unflatten(1, (self.hparams.horizon, -1))
        forecast = forecast.sort(dim=-1).values
        return forecast * std.unsqueeze(-1) + mean.unsqueeze(-1)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        loss = self.shared_step(batch).loss
        self.log(
            "train/loss",
            loss,
            prog_bar=True,
            batch_size=len(batch["target"]),
        )
        return loss

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, "val", self.val_metrics)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, "test", self.test_metrics)

    def shared_step(self, batch: dict) -> "StepOutput":
        """The loss and the forecasts of a batch, over its known targets."""
        known = ~batch["target"].isnan()  # (B, horizon)
        forecast = self(batch["history"])[known]
        target = batch["target"][known]
        losses = pinball(forecast, target, self.quantiles)
        target_count = max(1, len(target))
        loss = losses.sum() / target_count / len(self.quantiles)
        return StepOutput(loss, forecast, target)

    def evaluate(self, batch: dict, split: str, metrics: Any) -> None:
        """Log the loss and the metrics of a batch of `val` or `test`.

        Forecasts and targets are in units of the seasonal naive error, so their mean absolute error
        is the MASE (Hyndman and Koehler, Int. J. of Forecasting 2006). The quantile loss is
        weighted: twice the sum of the pinball losses, divided by the sum of the absolute values
        (wQL; DeepAR's risk, arXiv 1704.04110). The coverage is the share of targets between the
        lowest and the highest quantile.
        """
        output = self.shared_step(batch)
        forecast = output.forecast.float()
        target = output.target.float()
        scale = select_known(batch["scale"], batch["target"])
        level = select_known(batch["level"], batch["target"])
        values = target * scale + level
        losses = pinball(forecast, target, self.quantiles.float())
        losses = losses.mean(dim=-1) * scale
        lowest = forecast[:, 0]
        highest = forecast[:, -1]
        is_inside = (lowest <= target) & (target <= highest)
        middle = self.hparams.quantiles.index(MEDIAN)
        median = forecast[:, middle]
        for metric in metrics.values():
            metric.set_dtype(torch.float32)  # the precision bf16-true makes their sums bfloat16
        metrics["mase"].update(median, target)
        metrics["mae"].update(median * scale, target * scale)
        metrics["coverage"].update(is_inside.float())
        # This metric divides the sum of |first - second| by the sum of |second|.
        metrics["quantile_loss"].update(values + 2 * losses, values)
        batch_size = len(batch["target"])
        self.log(
            f"{split}/loss",
            output.loss,
            prog_bar=True,
            sync_dist=True,
            batch_size=batch_size,
        )
        for name, metric in metrics.items():
            self.log(f"{split}/{name}", metric, batch_size=batch_size)

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        """Columns with a row for each series and step, from a batch of `DescribedWindows`."""
        forecast = self(batch["history"])  # (B, horizon, Q)
        # The unit is applied in double precision, whatever that of the model is.
        in_double = forecast.float().cpu().numpy().astype(float)
        return make_columns(batch, in_double, self.hparams.quantiles)


@dataclass(frozen=True)
class StepOutput:
    """What a step computes over the K known targets of a batch.

    Args:
        loss: a scalar.
        forecast: (K, Q), in the unit of its window.
        target: (K,), in the same unit.
    """

    loss: Tensor
    forecast: Tensor
    target: Tensor


def select_known(unit: Tensor, target: Tensor) -> Tensor:
    """Repeat the level or scale (B,) of each window for its known targets: (K,)."""
    known = ~target.isnan()
    units = unit.unsqueeze(1).expand_as(known)
    return units[known].float()


def check_quantiles(quantiles: list[float]) -> None:
    """Raise a UserError unless quantiles increase, lie between 0 and 1, and include the median."""
    is_increasing = list(quantiles) == sorted(set(quantiles))
    is_in_range = all(0 < quantile < 1 for quantile in quantiles)
    if not is_increasing or not is_in_range or MEDIAN not in quantiles:
        raise UserError(
            f"model.quantiles={quantiles}: quantiles must increase, lie between 0 and 1, and "
            "include 0.5; correct them"
        )


def check_patches(context: int, patch: int, stride: int, dim: int, heads: int) -> None:
    """Raise a UserError if patches do not cover the context, or heads do not divide the width."""
    if stride > patch or patch > context:
        raise UserError(
            f"model.stride={stride} must be at most model.patch={patch}, and that at most "
            f"data.context={context}; change one of them"
        )
    if dim % heads != 0:
        raise UserError(
            f"model.dim={dim} must be a multiple of model.heads={heads}; change one of them"
        )


def make_metrics() -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            "mase": MeanAbsoluteError(),
            "mae": MeanAbsoluteError(),
            "coverage": MeanMetric(),
            "quantile_loss": WeightedMeanAbsolutePercentageError(),
        }
    )


class PatchTransformer(nn.Module):
    """PatchTST (arXiv 2211.14730), with layer norm before each sublayer.

    B: batch, N: patches, P: steps per patch, D: dim.
    """

    def __init__(
        self,
        context: int,
        outputs: int,
        patch: int,
        stride: int,
        dim: int,
        depth: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.stride = stride
        patches = (context - patch) // stride + 2
        self.embed = nn.Linear(patch, dim)
        positions = POSITION_STD * torch.randn(patches, dim)
        self.place = nn.Parameter(positions)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            block = nn.TransformerEncoderLayer(
                dim,
                heads,
                dim_feedforward=2 * dim,
                dropout=dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            self.blocks.append(block)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(patches * dim, outputs)

    def forward(self, history: Tensor) -> Tensor:
        """Outputs (B, outputs) for histories (B, context) with mean 0 and deviation 1."""
        # The last value is repeated for a stride, so that the last patch holds the newest values.
        channels = history.unsqueeze(1)  # (B, 1, context), as `pad` takes it
        padded = F.pad(channels, (0, self.stride), mode="replicate").squeeze(1)
        patches = padded.unfold(1, self.patch, self.stride)  # (B, N, P)
        x = self.embed(patches) + self.place  # (B, N, D)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x).flatten(1)  # (B, N * D)
        return self.head(self.dropout(x))


class DLinear(nn.Module):
    """A linear map of the moving average, and another of the rest (arXiv 2205.13504)."""

    def __init__(self, context: int, outputs: int) -> None:
        super().__init__()
        largest_odd = context // 2 * 2 - 1  # below the context
        self.window = min(MOVING_AVERAGE, largest_odd)
        self.trend = nn.Linear(context, outputs)
        self.rest = nn.Linear(context, outputs)

    def forward(self, history: Tensor) -> Tensor:
        """Outputs (B, outputs) for histories (B, context) with mean 0 and deviation 1."""
        side = self.window // 2
        channels = history.unsqueeze(1)  # (B, 1, context), as `pad` takes it
        padded = F.pad(channels, (side, side), mode="replicate")
        average = F.avg_pool1d(padded, self.window, stride=1)
        trend = average.squeeze(1)  # (B, context)
        rest = history - trend
        return self.trend(trend) + self.rest(rest)


def pinball(forecast: Tensor, target: Tensor, quantiles: Tensor) -> Tensor:
    """Pinball losses (K, Q) of forecasts (K, Q) of quantiles (Q,), for targets (K,)."""
    error = target.unsqueeze(-1) - forecast
    if_too_low = quantiles * error
    if_too_high = (quantiles - 1) * error
    return torch.maximum(if_too_low, if_too_high)


def make_columns(batch: dict, forecast: np.ndarray, quantiles: list[float]) -> dict:
    """The table of predictions, with a row for each series and step.

    Args:
        batch: of `DescribedWindows`, with B windows.
        forecast: (B, horizon, Q), in the unit of each window.
        quantiles: the Q quantiles that are forecast.

    Returns:
        By name: `input`, the series; `time`; a column for each quantile, such as `q0.5`; `truth`,
        empty where unknown; and `plot`, an image in the first row of each series that is drawn.
    """
    # Matplotlib takes half a second to import, which training does without.
    from .figures.forecasts import draw_forecast

    horizon = forecast.shape[1]
    columns: dict[str, list] = {
        "input": [],
        "time": [],
    }
    for quantile in quantiles:
        columns[f"q{quantile}"] = []
    columns["truth"] = []
    columns["plot"] = []
    for i, name in enumerate(batch["series"]):
        times = batch["times"][i]
        values = batch["values"][i]
        truth = values[-horizon:]
        level = batch["exact_level"][i]
        scale = batch["exact_scale"][i]
        predicted = forecast[i] * scale + level
        columns["input"].extend([name] * horizon)
        columns["time"].extend(times[-horizon:])
        for q, quantile in enumerate(quantiles):
            columns[f"q{quantile}"].extend(round_values(predicted[:, q]))
        columns["truth"].extend(round_values(truth))
        plots: list = [""] * horizon
        if batch["draw"][i]:
            plots[0] = draw_forecast(
                title=name,
                times=times,
                values=values,
                forecast=predicted,
                quantiles=quantiles,
            )
        columns["plot"].extend(plots)
    return columns


def round_values(values: Any) -> list[float | str]:
    """Values with 7 digits, empty for NaN."""
    rounded: list[float | str] = []
    for value in values:
        if np.isnan(value):
            rounded.append("")
        else:
            rounded.append(float(f"{value:.7g}"))
    return rounded
