"""Semantic segmentation by any model of segmentation-models-pytorch.

Yours: updates of the template leave this file alone.
"""

from typing import Annotated, Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex
from torchvision.transforms.v2.functional import to_pil_image

from .figures.masks import draw_mask, make_palette_image
from .harness.errors import UserError
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range
from .readers.images import read_image
from .readers.masks import IGNORED

ARCHITECTURES_WITH_DEPTH = ("unet", "unetplusplus", "manet")
DECODER_CHANNELS = (256, 128, 64, 32, 16)  # the library's default, which has a depth of 5


class Model(LightningModule):
    """Trains on cross-entropy plus soft Dice (arXiv 1606.04797) of the logits of each pixel.

    All steps take a batch with `image`, float (B, 3, S, S) with values from 0 to 1, and `mask`,
    uint8 (B, S, S) with class indices and 255 for pixels that are ignored. `predict_step` does not
    read `mask`, but `name`, a list of B paths, or int64 (B,), the numbers of images in memory;
    `size`, int64 (B, 2), the height and width of each image before scaling; and `scaled_size`,
    int64 (B, 2), those of the part of the square that is not padding.

    Args:
        class_names: filled in from the data; the indices in masks refer to this list.
        architecture: a name that `smp.create_model` takes, such as unet, unetplusplus, fpn,
            deeplabv3plus or segformer.
        encoder: one of `smp.encoders.get_encoder_names()`, or `tu-` and a name from
            `timm.list_models()`.
        depth: how often the encoder of a unet, unetplusplus or manet halves the resolution, 3 to 5.
        pretrained: start the encoder from its published ImageNet weights, which are downloaded
            when training starts.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.

    Raises:
        UserError: if there is no such architecture or encoder, or the two do not fit together.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        architecture: str = "unet",
        encoder: str = "tu-resnet10t",
        depth: Annotated[int, Range(min=1)] = 4,
        pretrained: bool = False,
        lr: Annotated[float, Range(min=0)] = 2e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.05,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net: Any = create_network(self.hparams)
        mean, std = pixel_statistics(self.net.encoder)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.dice = smp.losses.DiceLoss("multiclass", ignore_index=IGNORED)
        metrics = create_metrics(len(class_names))
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")

    def setup(self, stage: str) -> None:
        starts_anew = stage == "fit" and not self.trainer.ckpt_path
        if self.hparams.pretrained and starts_anew:
            load_pretrained_encoder(self.net, self.hparams)

    def configure_model(self) -> None:
        if self.hparams.compile:
            # In place, so that the keys in checkpoints stay those of the plain network.
            self.net.compile()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(
            self,
            lr=self.hparams.lr,
            weight_decay=self.hparams.weight_decay,
            warmup_steps=self.hparams.warmup_steps,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, C, H, W), a plane for each class, of RGB images (B, 3, H, W) from 0 to 1."""
        height, width = images.shape[-2:]
        stride = self.net.encoder.output_stride  # the network takes multiples of it
        normalized = (images - self.get_buffer("mean")) / self.get_buffer("std")
        padded = F.pad(normalized, (0, -width % stride, 0, -height % stride))
        logits = self.net(padded)
        return logits[..., :height, :width].clone()  # fsdp2 refuses a view

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val", self.val_metrics)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test", self.test_metrics)

    def step(self, batch: dict, split: str, metrics: MetricCollection | None = None) -> Tensor:
        """Log the loss and update the metrics; the class docstring describes the batch."""
        masks = batch["mask"].long()
        logits = self(batch["image"]).float()
        loss = self.compute_loss(logits, masks)
        self.log(
            f"{split}/loss",
            loss,
            prog_bar=True,
            sync_dist=split != "train",
            batch_size=len(masks),
        )
        if metrics is not None:
            metrics.update(logits.argmax(dim=1), masks)
            self.log_dict(metrics, batch_size=len(masks))
        return loss

    def compute_loss(self, logits: Tensor, masks: Tensor) -> Tensor:
        """The loss of logits (B, C, H, W) for class indices (B, H, W)."""
        # As rows of pixels, for which CUDA has a deterministic kernel.
        rows = logits.movedim(1, -1).flatten(0, -2)  # (B, C, H, W) -> (BHW, C)
        targets = masks.flatten()
        total = F.cross_entropy(rows, targets, ignore_index=IGNORED, reduction="sum")
        pixel_count = (targets != IGNORED).sum()
        cross_entropy = total / pixel_count.clamp(min=1)  # a batch may have ignored pixels only
        return cross_entropy + self.dice(logits, masks)

    def predict_step(self, batch: dict, batch_idx: int) -> dict[str, list]:
        """Columns for `predictions.csv`, with a row for each image of the batch.

        `mask` and `prediction`, the classes drawn over the image, have the image's own size,
        `classes` has the share of pixels of each class, and `confidence` is the mean over pixels.
        """
        columns: dict[str, list] = {
            "input": [],
            "prediction": [],
            "mask": [],
            "classes": [],
            "confidence": [],
        }
        logits = self(batch["image"]).float().cpu()
        images = batch["image"].float().cpu()
        for index, name in enumerate(batch["name"]):
            height, width = batch["size"][index].tolist()
            scaled_height, scaled_width = batch["scaled_size"][index].tolist()
            inner_image = images[index, :, :scaled_height, :scaled_width]
            inner_logits = logits[index, :, :scaled_height, :scaled_width]

            if isinstance(name, str):
                source = name
                photo = read_image(name)
            else:
                source = int(name)
                photo = to_pil_image(inner_image).resize((width, height))
            class_indices = predict_classes(inner_logits, (height, width))
            mask = make_palette_image(class_indices.byte().numpy())
            descriptions = self.describe_classes(class_indices)
            columns["input"].append(source)
            columns["prediction"].append(draw_mask(photo, mask, descriptions))
            columns["mask"].append(mask)
            columns["classes"].append(", ".join(descriptions.values()))
            columns["confidence"].append(mean_confidence(inner_logits))
        return columns

    def describe_classes(self, class_indices: Tensor) -> dict[int, str]:
        """Name and share of each class that has pixels in (H, W), by its index."""
        counts = class_indices.flatten().bincount().tolist()
        descriptions = {}
        for class_index, count in enumerate(counts):
            if count > 0:
                name = self.hparams.class_names[class_index]
                share = count / class_indices.numel()
                descriptions[class_index] = f"{name} {share:.1%}"
        return descriptions


def create_network(hparams: Any, encoder_weights: Any = None) -> Any:
    """The network; a name, or True for an encoder of timm, loads published weights.

    Raises:
        UserError: if there is no such architecture or encoder, the two do not fit together, or
            the weights cannot be downloaded.
    """
    if hparams.architecture not in smp.MODEL_ARCHITECTURES_MAPPING:
        names = ", ".join(smp.MODEL_ARCHITECTURES_MAPPING)
        raise UserError(
            f"model.architecture={hparams.architecture}: there is no such architecture;"
            f" use one of {names}"
        )
    options = {}
    if hparams.architecture in ARCHITECTURES_WITH_DEPTH:
        options["encoder_depth"] = hparams.depth
        options["decoder_channels"] = DECODER_CHANNELS[-hparams.depth :]
    try:
        return smp.create_model(
            hparams.architecture,
            hparams.encoder,
            encoder_weights,
            classes=len(hparams.class_names),
            **options,
        )
    except Exception as error:  # the library raises many kinds
        fix = "choose another encoder or architecture"
        if encoder_weights is not None:
            fix = "connect to the network, or set model.pretrained=false"
        raise UserError(
            f"model.encoder={hparams.encoder} with {hparams.architecture}:"
            f" {shorten_message(error)}; {fix}"
        ) from error


def shorten_message(error: Exception) -> str:
    """The first line of an error, without the list of all names that the library supports."""
    message = str(error)
    if error.args:
        message = str(error.args[0])  # str(error) puts a KeyError's message in quotes
    first_line = message.partition("\n")[0]
    return first_line.partition(", supported")[0][:200]


def load_pretrained_encoder(net: Any, hparams: Any) -> None:
    """Load the published ImageNet weights of the encoder.

    Raises:
        UserError: if they cannot be downloaded.
    """
    is_timm_encoder = hparams.encoder.startswith("tu-")
    weights = True if is_timm_encoder else "imagenet"
    pretrained = create_network(hparams, weights)
    net.encoder.load_state_dict(pretrained.encoder.state_dict())


def pixel_statistics(encoder: Any) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (3, 1, 1), of the pixels that the encoder was trained on."""
    # An encoder of timm describes itself; all others were trained with ImageNet's statistics.
    timm_model = getattr(encoder, "model", None)
    description = getattr(timm_model, "pretrained_cfg", {})
    mean = description.get("mean", IMAGENET_DEFAULT_MEAN)
    std = description.get("std", IMAGENET_DEFAULT_STD)
    return torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)


def create_metrics(num_classes: int) -> MetricCollection:
    """Mean IoU and Dice, which is F1, over all pixels of a split.

    A class that is neither in the masks nor predicted does not count.
    """
    options: Any = {"num_classes": num_classes, "ignore_index": IGNORED, "validate_args": False}
    return MetricCollection(
        {
            "miou": MulticlassJaccardIndex(**options),
            "dice": MulticlassF1Score(**options),
        }
    )


def predict_classes(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The most likely class of each pixel, (H, W) of the given size, from logits (C, h, w)."""
    enlarged = F.interpolate(logits[None], size, mode="bilinear")
    return enlarged[0].argmax(dim=0)


def mean_confidence(logits: Tensor) -> float:
    """The mean over pixels of the highest probability, of logits (C, h, w)."""
    probabilities = logits.softmax(dim=0)
    return probabilities.amax(dim=0).mean().item()
