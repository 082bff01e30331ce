"""An image classifier on any timm backbone. Yours: updates of the template leave it alone."""

from typing import Any

import timm
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from .harness import UserError
from .harness.optim import adamw_warmup_cosine


class Model(LightningModule):
    """Cross-entropy on the logits of a timm backbone with a fresh head.

    Args:
        class_names: filled in from the data.
        backbone: a name from `timm.list_models()`.
        pretrained: start from timm's published weights, fetched when training starts.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices and kernels alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        backbone: str = "resnet10t",
        pretrained: bool = False,
        lr: float = 3e-3,
        weight_decay: float = 0.05,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if not timm.is_model(backbone):
            raise UserError(f"model.backbone: timm has no {backbone!r}; see timm.list_models()")
        self.net = timm.create_model(backbone, num_classes=len(class_names))
        pixels = timm.data.resolve_model_data_config(self.net)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(pixels[name]).view(3, 1, 1), persistent=False)
        accuracy = MulticlassAccuracy(len(class_names), average="micro")
        metrics = MetricCollection({"accuracy": accuracy, "f1": MulticlassF1Score(len(class_names))})
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.hparams.pretrained and not self.trainer.ckpt_path:
            try:
                timm.models.load_pretrained(self.net, num_classes=len(self.hparams.class_names))
            except Exception as error:  # offline, or no weights are published for it
                reason = str(error).splitlines()[0]
                raise UserError(f"model.pretrained=true, but {self.hparams.backbone}: {reason}") from error

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes) of RGB images (B, 3, H, W) with values from 0 to 1."""
        return self.net((images - self.get_buffer("mean")) / self.get_buffer("std"))

    def training_step(self, batch: dict, batch_idx: int) -> torch.Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> torch.Tensor:
        logits, labels = self(batch["image"]), batch["label"]
        loss = F.cross_entropy(logits, labels)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=split != "train", batch_size=len(labels))
        if split != "train":
            metrics = self.val_metrics if split == "val" else self.test_metrics
            metrics.update(logits, labels)
            self.log_dict(metrics, batch_size=len(labels))
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        confidence, index = self(batch["image"]).softmax(dim=-1).max(dim=-1)
        names = [self.hparams.class_names[i] for i in index.tolist()]
        return {"input": batch["name"], "prediction": names, "confidence": confidence}
