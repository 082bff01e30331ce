"""A linear model and a residual network for tables. Yours: updates of the template leave it alone."""

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MetricCollection, R2Score
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

from .harness.optim import adamw_warmup_cosine


class Model(LightningModule):
    """Cross-entropy on the logits of the classes, or squared error on the standardised target.

    Args:
        columns: the inputs, numbers first; filled in from the data, as are the next four.
        scales: mean and standard deviation of each column of numbers.
        categories: the known values of each other column.
        class_names: none for regression.
        target_scale: mean and standard deviation of the target of a regression.
        width: of the residual blocks.
        blocks: their number.
        dropout: in the blocks, and of their inputs; much of it suits few rows.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    def __init__(
        self,
        columns: list[str],
        scales: list[list[float]],
        categories: list[list[str]],
        class_names: list[str],
        target_scale: list[float],
        width: int = 32,
        blocks: int = 2,
        dropout: float = 0.5,
        lr: float = 1e-2,
        weight_decay: float = 0.1,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        outputs = max(1, len(class_names))
        self.net = Net(len(scales), [len(values) for values in categories], outputs, width, blocks, dropout)
        metrics = {"mae": MeanAbsoluteError(), "r2": R2Score()}
        if class_names:
            metrics = {"auroc": MulticlassAUROC(outputs), "accuracy": MulticlassAccuracy(outputs, average="micro")}
        self.metrics = nn.ModuleDict({split: MetricCollection(metrics).clone(f"{split}/") for split in ("val", "test")})

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits (B, classes), or predictions (B,) in standard deviations from the mean, of encoded columns."""
        return self.net(numbers, categories) if self.hparams.class_names else self.net(numbers, categories)[:, 0]

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        outputs, target, classify = (
            self(batch["numbers"], batch["categories"]),
            batch["target"],
            self.hparams.class_names,
        )
        loss = F.cross_entropy(outputs, target) if classify else F.mse_loss(outputs, target)
        self.log(f"{split}/loss", loss, prog_bar=split == "train", sync_dist=split != "train", batch_size=len(target))
        if split != "train":
            std = self.hparams.target_scale[1]  # the mean drops out of both metrics of a regression
            self.metrics[split].update(*((outputs.softmax(-1), target) if classify else (outputs * std, target * std)))
            self.log_dict(self.metrics[split], prog_bar=True, batch_size=len(target))
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        outputs, (mean, std) = self(batch["numbers"], batch["categories"]).float(), self.hparams.target_scale
        if not self.hparams.class_names:
            return {"row": batch["row"], "prediction": outputs * std + mean}
        confidence, index = outputs.softmax(dim=-1).max(dim=-1)
        names = [self.hparams.class_names[i] for i in index.tolist()]
        return {"row": batch["row"], "prediction": names, "confidence": confidence}


class Net(nn.Module):
    """The sum of a linear model and a residual network (arXiv 2106.11959, section 3.2; layer norm for batch norm).

    Both read the numbers and the embedded categories. The network starts at zero, so that training
    starts from the linear model, which is hard to beat when there are few rows.
    """

    def __init__(
        self, numbers: int, categories: list[int], outputs: int, width: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        sizes = [min(16, count) for count in categories]
        self.embeddings = nn.ModuleList(nn.Embedding(count + 1, size) for count, size in zip(categories, sizes))
        inputs = numbers + sum(sizes)
        self.linear, self.head = nn.Linear(inputs, outputs), nn.Linear(width, outputs)
        self.stem = nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 2 * width),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(2 * width, width),
            )
            for _ in range(blocks)
        )
        for start in (self.linear.weight, self.head.weight, *(embed.weight[0] for embed in self.embeddings)):
            nn.init.zeros_(start)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        embedded = [embed(column) for embed, column in zip(self.embeddings, categories.unbind(dim=1))]
        inputs = torch.cat([numbers, *embedded], dim=1)  # (B, inputs)
        hidden = self.stem(inputs)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.linear(inputs) + self.head(F.relu(hidden))
