"""A linear model and a residual network for tables. Yours: updates of the template leave it alone."""

from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, Metric, MetricCollection, R2Score
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
        dropout: in the blocks, and of the whole network; the fewer the rows, the more of it.
        lr: peak learning rate, after the warm-up; the more steps, the less of it.
        weight_decay: AdamW's, on matrices alone; the noisier the target, the more of it.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any

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
        lr: float = 2e-2,
        weight_decay: float = 0.1,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = Net(self.hparams)
        metrics: dict[str, Metric | MetricCollection] = {"mae": MeanAbsoluteError(), "r2": R2Score()}
        if count := len(class_names):
            metrics = {"auroc": MulticlassAUROC(count), "accuracy": MulticlassAccuracy(count, average="micro")}
        collection = MetricCollection(metrics)
        self.val_metrics, self.test_metrics = collection.clone(prefix="val/"), collection.clone(prefix="test/")

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Logits (B, classes), or standardised predictions (B, 1), of columns as `encode` gives them."""
        return self.net(numbers, categories)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        outputs, target = self(batch["numbers"], batch["categories"]).squeeze(dim=-1), batch["target"]
        loss = F.cross_entropy(outputs, target) if self.hparams.class_names else F.mse_loss(outputs, target)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=split != "train", batch_size=len(target))
        if split != "train":
            metrics = self.val_metrics if split == "val" else self.test_metrics
            if self.hparams.class_names:
                metrics.update(outputs.softmax(dim=-1), target)
            else:  # in the target's unit; its mean makes no difference to these metrics
                std = self.hparams.target_scale[1]
                metrics.set_dtype(torch.float32)  # bf16-true has made their sums bf16
                metrics.update(outputs.float() * std, target.float() * std)
            self.log_dict(metrics, batch_size=len(target))
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        names, (mean, std) = self.hparams.class_names, self.hparams.target_scale
        outputs = self(batch["numbers"], batch["categories"]).squeeze(dim=-1).float()
        inputs = {key.removeprefix("input "): cells for key, cells in batch.items() if key.startswith("input ")}
        if not names:
            return {"row": batch["row"], **inputs, "prediction": outputs * std + mean}
        confidence, index = outputs.softmax(dim=-1).max(dim=-1)
        predicted = {"prediction": [names[i] for i in index.tolist()], "confidence": confidence}
        return {"row": batch["row"], **inputs, **predicted}


class Net(nn.Module):
    """A linear model plus a residual network (arXiv 2106.11959, section 3.2, with layer norm).

    Both read the numbers and the embedded categories. The network starts at zero, and in training
    it is left out for a share of the rows (arXiv 1603.09382): it corrects the linear model, which
    is hard to beat where rows are few.
    """

    def __init__(self, hp: Any) -> None:
        super().__init__()
        counts = [len(values) + 1 for values in hp.categories]
        sizes = [min(16, count) for count in counts]
        self.embeddings = nn.ModuleList(nn.Embedding(*pair, padding_idx=0) for pair in zip(counts, sizes))
        inputs, outputs = len(hp.scales) + sum(sizes), max(1, len(hp.class_names))
        self.linear, self.stem = nn.Linear(inputs, outputs), nn.Linear(inputs, hp.width)
        self.blocks, self.dropout, width = nn.ModuleList(), nn.Dropout(hp.dropout), hp.width
        for _ in range(hp.blocks):
            inner = [nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(hp.dropout)]
            self.blocks.append(nn.Sequential(*inner, nn.Linear(2 * width, width), nn.Dropout(hp.dropout)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, outputs))
        for start in (*self.linear.parameters(), *self.head[-1].parameters()):
            nn.init.zeros_(start)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Outputs (B, O) of numbers (B, N) and indices (B, C)."""
        inputs = torch.cat([numbers, *(embed(i) for embed, i in zip(self.embeddings, categories.unbind(dim=1)))], dim=1)
        hidden = self.stem(inputs)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.linear(inputs) + self.head(hidden) * self.dropout(torch.ones_like(hidden[:, :1]))
