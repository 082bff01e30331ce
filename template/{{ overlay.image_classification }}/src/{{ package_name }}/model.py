"""Image classifier with a timm backbone. Yours: updates of the template leave this file alone."""

from typing import Annotated, Any

import timm
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from .harness.errors import UserError
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range


class Model(LightningModule):
    """Minimizes the cross-entropy of a timm backbone with a new classification head.

    Every step takes a batch with `image`, float (B, 3, H, W) with values from 0 to 1; `label`,
    int64 (B,), the index in `class_names`; and `name`, a list of B paths, or int64 (B,), the
    indices of images that are not files. `predict_step` does not read `label`.

    Args:
        class_names: filled in from the data.
        backbone: a name from `timm.list_models()`.
        pretrained: start from timm's published weights, downloaded when training starts.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.

    Raises:
        UserError: if timm has no such backbone.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        backbone: str = "resnet10t",
        pretrained: bool = False,
        lr: Annotated[float, Range(min=0)] = 3e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.05,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if not timm.is_model(backbone):
            raise UserError(
                f"model.backbone must be a name from timm.list_models(), got {backbone!r}"
            )
        self.net = timm.create_model(backbone, num_classes=len(class_names))

        # The mean and standard deviation of pixels, by channel, that the published weights expect.
        pixels = timm.data.resolve_model_data_config(self.net)
        self.register_buffer("mean", per_channel(pixels["mean"]), persistent=False)
        self.register_buffer("std", per_channel(pixels["std"]), persistent=False)

        metrics = create_metrics(len(class_names))
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")

    def setup(self, stage: str) -> None:
        starts_anew = stage == "fit" and not self.trainer.ckpt_path
        if self.hparams.pretrained and starts_anew:
            self.load_pretrained()

    def load_pretrained(self) -> None:
        """Replace all weights but the head's by those that timm publishes.

        Raises:
            UserError: if they cannot be downloaded, or there are none.
        """
        try:
            timm.models.load_pretrained(self.net, num_classes=len(self.hparams.class_names))
        except Exception as error:  # of many types: offline, or nothing is published
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"model.pretrained=true: cannot load weights of {self.hparams.backbone} "
                f"({reason}); choose another model.backbone, or set it to false"
            ) from error

    def configure_model(self) -> None:
        if self.hparams.compile:
            # In place, so that the checkpoint's keys stay those of the plain network.
            self.net.compile()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(
            self,
            lr=self.hparams.lr,
            weight_decay=self.hparams.weight_decay,
            warmup_steps=self.hparams.warmup_steps,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of RGB images (B, 3, H, W) with values from 0 to 1."""
        normalized = (images - self.get_buffer("mean")) / self.get_buffer("std")
        return self.net(normalized)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val", self.val_metrics)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test", self.test_metrics)

    def step(self, batch: dict, split: str, metrics: MetricCollection | None = None) -> Tensor:
        """The mean loss of a batch, which the class describes; logs it and the metrics."""
        labels = batch["label"]
        logits = self(batch["image"])  # (B, classes)
        loss = F.cross_entropy(logits, labels)
        self.log(
            f"{split}/loss",
            loss,
            prog_bar=True,
            sync_dist=split != "train",
            batch_size=len(labels),
        )
        if metrics is not None:
            metrics.update(logits, labels)
            self.log_dict(metrics, batch_size=len(labels))
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict[str, Any]:
        """Columns of `predictions.csv`, with a row for each image: its name, class, and confidence.

        The confidence is the probability of the predicted class.
        """
        probabilities = self(batch["image"]).softmax(dim=-1)  # (B, classes)
        confidence, labels = probabilities.max(dim=-1)
        class_names = [self.hparams.class_names[label] for label in labels.tolist()]
        return {"input": batch["name"], "prediction": class_names, "confidence": confidence}


def per_channel(values: tuple[float, float, float]) -> Tensor:
    """Shaped (3, 1, 1), to broadcast over images (B, 3, H, W)."""
    return torch.tensor(values).view(3, 1, 1)


def create_metrics(class_count: int) -> MetricCollection:
    """The share of images classified correctly, and F1 averaged over the classes."""
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(class_count, average="micro"),
            "f1": MulticlassF1Score(class_count),
        }
    )
