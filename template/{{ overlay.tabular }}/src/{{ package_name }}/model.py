"""A linear model plus a residual network. Yours: updates of the template leave this file alone."""

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MetricCollection, R2Score
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range

MAX_EMBEDDING_SIZE = 16


class Model(LightningModule):
    """Predicts a class, or a number, from the columns of a row.

    The loss is cross-entropy, or the squared error of the standardised target. Every step takes a
    batch as `encode` in data.py makes it:

        numbers (B, N): float32, in standard deviations from the mean of the training rows.
        categories (B, C): int64, index in `categories` plus 1; 0 if missing or unknown.
        target (B,): int64, index in `class_names`, or float32, standardised; not for `predict`.
        row (B,): int64, number of the row in its file.
        "input NAME": arrays of B cells of column NAME as in the file; for `predict` only.

    Args:
        columns: input columns, numbers first; filled in from the data, as are the next four.
        scales: mean and standard deviation of each numeric column.
        categories: the known values of each other column.
        class_names: the classes; empty for regression.
        target_scale: mean and standard deviation of the target, for regression.
        width: width of the residual blocks.
        blocks: number of residual blocks.
        dropout: share of dropped activations, and of rows that skip the residual network; use more
            of it for fewer rows.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        columns: list[str],
        scales: list[list[float]],
        categories: list[list[str]],
        class_names: list[str],
        target_scale: list[float],
        width: Annotated[int, Range(min=1)] = 32,
        blocks: Annotated[int, Range(min=0)] = 2,
        dropout: Annotated[float, Range(min=0, max=1)] = 0.5,
        lr: Annotated[float, Range(min=0)] = 2e-2,
        weight_decay: Annotated[float, Range(min=0)] = 0.1,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = Net(
            numbers=len(scales),
            category_counts=[len(values) for values in categories],
            outputs=max(1, len(class_names)),
            width=width,
            blocks=blocks,
            dropout=dropout,
        )
        metrics = make_metrics(len(class_names))
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")

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

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits (B, classes), or standardised predictions (B, 1), of a batch's inputs."""
        return self.net(numbers, categories)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        loss, _ = self.shared_step(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["target"]))
        return loss

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, "val", self.val_metrics)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, "test", self.test_metrics)

    def shared_step(self, batch: dict) -> tuple[Tensor, Tensor]:
        """The loss, a scalar, and the logits (B, classes) or standardised predictions (B,)."""
        outputs = self(batch["numbers"], batch["categories"])
        if self.hparams.class_names:
            return F.cross_entropy(outputs, batch["target"]), outputs
        outputs = outputs.squeeze(dim=1)
        return F.mse_loss(outputs, batch["target"]), outputs

    def evaluate(self, batch: dict, split: str, metrics: MetricCollection) -> None:
        """Log the loss and the metrics of a batch of `val` or `test`."""
        loss, outputs = self.shared_step(batch)
        target = batch["target"]
        if self.hparams.class_names:
            metrics.update(outputs.softmax(dim=-1), target)
        else:
            # Errors are stated in the target's unit; its mean makes no difference to them.
            std = self.hparams.target_scale[1]
            metrics.set_dtype(torch.float32)  # the precision bf16-true makes their sums bfloat16
            metrics.update(outputs.float() * std, target.float() * std)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=True, batch_size=len(target))
        self.log_dict(metrics, batch_size=len(target))

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        """Columns with B values each: the row's number, its cells, and the prediction."""
        columns = {"row": batch["row"]}
        for key, cells in batch.items():
            if key.startswith("input "):
                columns[key.removeprefix("input ")] = cells
        outputs = self(batch["numbers"], batch["categories"]).float()
        class_names = self.hparams.class_names
        if class_names:
            confidence, indices = outputs.softmax(dim=-1).max(dim=-1)
            columns["prediction"] = [class_names[i] for i in indices.tolist()]
            columns["confidence"] = confidence
        else:
            mean, std = self.hparams.target_scale
            columns["prediction"] = outputs.squeeze(dim=1) * std + mean
        return columns


def make_metrics(classes: int) -> MetricCollection:
    """The metrics of a classification or, without classes, of a regression."""
    if classes == 0:
        return MetricCollection({"mae": MeanAbsoluteError(), "r2": R2Score()})
    return MetricCollection(
        {
            "auroc": MulticlassAUROC(classes),
            "accuracy": MulticlassAccuracy(classes, average="micro"),
        }
    )


class Net(nn.Module):
    """The sum of a linear model and a residual network (arXiv 2106.11959, section 3.2).

    Both read the numbers and the embedded categories. A linear model is hard to beat where rows
    are few, so the network only corrects it: it starts at zero, and in training a share of the
    rows skips it (stochastic depth, arXiv 1603.09382). Unlike in the paper, blocks use layer norm.

    Args:
        numbers: numeric columns, N.
        category_counts: known values of each categorical column; C entries.
        outputs: classes, or 1.
        width: width of the residual blocks.
        blocks: number of residual blocks.
        dropout: share of dropped activations, and of rows that skip the residual network.
    """

    def __init__(
        self,
        numbers: int,
        category_counts: list[int],
        outputs: int,
        width: int,
        blocks: int,
        dropout: float,
    ) -> None:
        super().__init__()
        inputs = numbers
        self.embeddings = nn.ModuleList()
        for count in category_counts:
            indices = count + 1  # index 0 stands for a missing or unknown value
            size = min(MAX_EMBEDDING_SIZE, indices)
            self.embeddings.append(nn.Embedding(indices, size, padding_idx=0))
            inputs += size
        self.linear = nn.Linear(inputs, outputs)
        self.stem = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList()
        for _ in range(blocks):
            self.blocks.append(residual_branch(width, dropout))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Linear(width, outputs),
        )
        for layer in (self.linear, self.head[-1]):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Outputs (B, outputs) of float numbers (B, N) and indices (B, C)."""
        parts = [numbers]
        for embedding, indices in zip(self.embeddings, categories.unbind(dim=1)):
            parts.append(embedding(indices))
        inputs = torch.cat(parts, dim=1)
        hidden = self.stem(inputs)  # (B, width)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        kept_rows = self.dropout(torch.ones_like(hidden[:, :1]))  # (B, 1)
        return self.linear(inputs) + self.head(hidden) * kept_rows


def residual_branch(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 2 * width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(2 * width, width),
        nn.Dropout(dropout),
    )
