"""Forecasts of many series, as quantiles: a patch transformer, or a linear map. Yours: updates leave it alone."""

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, WeightedMeanAbsolutePercentageError

from .harness import UserError
from .harness.forecasts import make_table
from .harness.optim import adamw_warmup_cosine


class Model(LightningModule):
    """The pinball loss (Koenker and Bassett, Econometrica 1978) of quantiles, in units of each series' naive error.

    Each window is of one series, and the network sees it with mean 0 and standard deviation 1; what
    it forecasts is turned back (RevIN, Kim et al., ICLR 2022, as PatchTST has it: without weights).

    Args:
        context: steps that the network sees; filled in from the data, as are the next two.
        horizon: steps that it forecasts.
        step_length: by the names of pandas, such as h.
        network: `patch`, a transformer over patches (PatchTST), or `linear` (DLinear).
        quantiles: levels between 0 and 1, each above the one before; 0.5, the median, among them.
        patch: steps of a patch.
        stride: steps from one patch to the next.
        dim: width of the transformer.
        depth: its blocks.
        heads: attention heads; each is dim / heads wide.
        dropout: in the blocks, and before the last layer.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any
    levels: Tensor
    metrics: Any

    def __init__(
        self,
        context: int,
        horizon: int,
        step_length: str,
        network: Literal["patch", "linear"] = "patch",
        quantiles: list[float] = [0.1, 0.5, 0.9],  # noqa: B006
        patch: int = 24,
        stride: int = 24,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if list(quantiles) != sorted({q for q in quantiles if 0 < q < 1}) or 0.5 not in quantiles:
            raise UserError(f"model.quantiles={quantiles}: levels between 0 and 1, each above the last, 0.5 among them")
        if not 1 <= stride <= patch <= context:
            limits = f"from 1 to model.patch={patch}, which is at most data.context={context}"
            raise UserError(f"model.stride={stride} is {limits}: change one of them")
        if dim % heads:
            raise UserError(f"model.dim is a multiple of model.heads = {heads}, not {dim}: change one of them")
        self.net = PatchTransformer(self.hparams) if network == "patch" else DLinear(self.hparams)
        self.register_buffer("levels", torch.tensor(quantiles), persistent=False)
        metrics: dict[str, Any] = {"mase": MeanAbsoluteError(), "mae": MeanAbsoluteError(), "coverage": MeanMetric()}
        metrics["quantile_loss"] = WeightedMeanAbsolutePercentageError()
        splits = ("val", "test")
        self.metrics = nn.ModuleDict({f"{split}/{name}": m.clone() for split in splits for name, m in metrics.items()})

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, history: Tensor) -> Tensor:
        """Quantiles (B, horizon, Q) of what follows each history (B, context), in its unit.

        They are sorted, so that none crosses another (Chernozhukov et al., arXiv 0704.3649).
        """
        mean, std = history.mean(dim=1, keepdim=True), history.std(dim=1, keepdim=True).clamp_min(1e-5)
        outputs = self.net((history - mean) / std).unflatten(1, (self.hparams.horizon, -1))  # (B, H * Q) -> (B, H, Q)
        return outputs.sort(dim=-1).values * std[..., None] + mean[..., None]

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        known = ~batch["target"].isnan()
        forecast, target = self(batch["history"])[known], batch["target"][known]  # (K, Q) and (K,)
        loss = pinball(forecast, target, self.levels).sum() / max(1, target.numel()) / len(self.levels)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=split != "train", batch_size=len(known))
        if split != "train":
            units = (batch[name][:, None].expand_as(known)[known].float() for name in ("scale", "level"))
            self.score(split, forecast.float(), target.float(), *units, batch_size=len(known))
        return loss

    def score(
        self, split: str, forecast: Tensor, target: Tensor, scale: Tensor, level: Tensor, batch_size: int
    ) -> None:
        """MASE, MAE, the quantile loss, and the share within the outer quantiles, of the K values that are known.

        Forecasts (K, Q) and targets (K,) are in units of the seasonal naive error, so that their mean absolute
        error is the MASE (Hyndman and Koehler, Int. J. of Forecasting 2006). The quantile loss is weighted: twice
        the sum of the pinball losses over that of the absolute values (wQL; DeepAR's risk, arXiv 1704.04110).
        """
        median, values = forecast[:, self.hparams.quantiles.index(0.5)], target * scale + level
        loss = 2 * pinball(forecast, target, self.levels.float()).mean(dim=-1) * scale
        inside = ((forecast[:, 0] <= target) & (target <= forecast[:, -1])).float()
        found = {"mase": (median, target), "mae": (median * scale, target * scale), "coverage": (inside,)}
        for name, pair in (found | {"quantile_loss": (values + loss, values)}).items():
            metric = self.metrics[f"{split}/{name}"].set_dtype(torch.float32)  # bf16-true has made its sums bf16
            metric.update(*pair)
            self.log(f"{split}/{name}", metric, batch_size=batch_size)

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        """Columns with a row for each series and step; the first row of a series has its plot."""
        level, scale = np.array(batch["unit"]).T[..., None, None]  # (2, B, 1, 1); in float64, whatever the model has
        forecast = self(batch["history"]).float().cpu().numpy() * scale + level
        return make_table(batch, forecast, self.hparams.quantiles)


class PatchTransformer(nn.Module):
    """PatchTST (arXiv 2211.14730), with layer norm ahead of each part. B: batch, N: patches, P: patch, D: dim."""

    def __init__(self, hp: Any) -> None:
        super().__init__()
        self.patch, self.stride, count = hp.patch, hp.stride, (hp.context - hp.patch) // hp.stride + 2
        self.embed, self.place = nn.Linear(hp.patch, hp.dim), nn.Parameter(0.02 * torch.randn(count, hp.dim))
        options: Any = {"activation": "gelu", "batch_first": True, "norm_first": True}
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(hp.dim, hp.heads, 2 * hp.dim, hp.dropout, **options) for _ in range(hp.depth)
        )
        self.norm, self.dropout = nn.LayerNorm(hp.dim), nn.Dropout(hp.dropout)
        self.head = nn.Linear(count * hp.dim, hp.horizon * len(hp.quantiles))

    def forward(self, history: Tensor) -> Tensor:
        """Outputs (B, horizon * Q) of histories (B, context)."""
        padded = F.pad(history[:, None], (0, self.stride), mode="replicate")[:, 0]  # its last value, again
        x = self.embed(padded.unfold(1, self.patch, self.stride)) + self.place  # (B, N, P) -> (B, N, D)
        for block in self.blocks:
            x = block(x)
        return self.head(self.dropout(self.norm(x).flatten(1)))


class DLinear(nn.Module):
    """A linear map of the moving average, and one of the rest (arXiv 2205.13504)."""

    def __init__(self, hp: Any, window: int = 25) -> None:
        super().__init__()
        self.window = min(window, hp.context // 2 * 2 - 1)
        self.trend, self.rest = (nn.Linear(hp.context, hp.horizon * len(hp.quantiles)) for _ in range(2))

    def forward(self, history: Tensor) -> Tensor:
        """Outputs (B, horizon * Q) of histories (B, context)."""
        side = self.window // 2
        padded = F.pad(history[:, None], (side, side), mode="replicate")
        trend = F.avg_pool1d(padded, self.window, stride=1)[:, 0]
        return self.trend(trend) + self.rest(history - trend)


def pinball(forecast: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """The loss (K, Q) of quantiles (K, Q) of these levels (Q,), for targets (K,)."""
    error = target[..., None] - forecast
    return torch.maximum(levels * error, (levels - 1) * error)
