"""Semantic segmentation by any model of segmentation-models-pytorch. Yours: updates leave it alone."""

from colorsys import hsv_to_rgb
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from PIL import Image, ImageDraw, ImageOps
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex
from torchvision.transforms.v2.functional import to_pil_image

from .harness import UserError
from .harness.masks import IGNORED
from .harness.optim import adamw_warmup_cosine
from .harness.scenes import read_image

# Hues a golden ratio of the circle apart, so that neighbours differ; class 0 is black.
PALETTE = [0, 0, 0, *(round(255 * c) for i in range(255) for c in hsv_to_rgb(i * 0.618 % 1, 0.8, 1 - 0.2 * (i % 2)))]


class Model(LightningModule):
    """Cross-entropy plus soft Dice (arXiv 1606.04797) on the logits of each pixel.

    Args:
        class_names: filled in from the data; the index in a mask is the place in this list.
        architecture: of `smp.create_model`: unet, unetplusplus, fpn, deeplabv3plus, segformer, ...
        encoder: one of `smp.encoders.get_encoder_names()`, or `tu-` and a name from `timm.list_models()`.
        depth: how often the encoder of a unet, unetplusplus or manet halves the resolution, 3 to 5.
        pretrained: start the encoder from its published ImageNet weights, fetched when training starts.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices and kernels alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        architecture: str = "unet",
        encoder: str = "tu-resnet10t",
        depth: int = 4,
        pretrained: bool = False,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net: Any = create(self.hparams)
        # Those of timm's encoders are in their description; segmentation-models-pytorch's own were trained with these.
        pixels = getattr(getattr(self.net.encoder, "model", None), "pretrained_cfg", {})
        for name, usual in (("mean", IMAGENET_DEFAULT_MEAN), ("std", IMAGENET_DEFAULT_STD)):
            self.register_buffer(name, torch.tensor(pixels.get(name, usual)).view(3, 1, 1), persistent=False)
        self.dice = smp.losses.DiceLoss("multiclass", ignore_index=IGNORED)
        # Counted over the whole split; a class that is neither there nor predicted does not count. F1 is Dice.
        kinds, options = {"miou": MulticlassJaccardIndex, "dice": MulticlassF1Score}, {"ignore_index": IGNORED}
        metrics = MetricCollection({k: f(len(class_names), validate_args=False, **options) for k, f in kinds.items()})
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.hparams.pretrained and not self.trainer.ckpt_path:
            weights = True if self.hparams.encoder.startswith("tu-") else "imagenet"
            self.net.encoder.load_state_dict(create(self.hparams, weights).encoder.state_dict())

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes, H, W) of RGB images (B, 3, H, W) with values from 0 to 1."""
        height, width = images.shape[-2:]
        stride = self.net.encoder.output_stride  # a multiple of it fits
        images = (images - self.get_buffer("mean")) / self.get_buffer("std")
        logits = self.net(F.pad(images, (0, -width % stride, 0, -height % stride)))
        return logits[..., :height, :width].clone()  # fsdp2 refuses a view

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        logits, masks = self(batch["image"]).float(), batch["mask"].long()
        # As rows of pixels, for which CUDA has a deterministic kernel; a batch may be all ignored.
        rows, classes = logits.movedim(1, -1).flatten(0, -2), masks.flatten()  # (B, C, H, W) -> (BHW, C)
        entropy = F.cross_entropy(rows, classes, ignore_index=IGNORED, reduction="sum")
        loss = entropy / (classes != IGNORED).sum().clamp(min=1) + self.dice(logits, masks)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=split != "train", batch_size=len(masks))
        if split != "train":
            metrics = self.val_metrics if split == "val" else self.test_metrics
            metrics.update(logits.argmax(dim=1), masks)
            self.log_dict(metrics, batch_size=len(masks))
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        """The mask of each image at its own size, and coloured over it; `confidence` is the mean over its pixels."""
        logits, images = self(batch["image"]).float().cpu(), batch["image"].float().cpu()
        columns: dict[str, Any] = {key: [] for key in ("input", "prediction", "mask", "classes", "confidence")}
        for name, size, image, scores in zip(batch["name"], batch["size"].tolist(), images, logits):
            scale = max(image.shape) / max(size)
            inner = [slice(max(1, round(side * scale))) for side in size]  # the rest is padding
            scores = scores[:, *inner]
            index = F.interpolate(scores[None], size, mode="bilinear")[0].argmax(dim=0)  # (C, h, w) -> (H, W)
            mask = Image.fromarray(index.byte().numpy())
            mask.putpalette(PALETTE)
            found = {i: n / index.numel() for i, n in enumerate(index.flatten().bincount().tolist()) if n}
            shares = {i: f"{self.hparams.class_names[i]} {share:.1%}" for i, share in found.items()}
            named = isinstance(name, str)  # what was in memory is numbered
            photo = read_image(name) if named else to_pil_image(image[:, *inner]).resize(size[::-1])
            row = [name if named else int(name), draw(photo, mask, shares), mask, ", ".join(shares.values())]
            for column, cell in zip(columns.values(), [*row, scores.softmax(dim=0).amax(dim=0).mean().item()]):
                column.append(cell)
        return columns


def create(hp: Any, weights: Any = None) -> Any:
    """The network, its encoder with published weights or without; a UserError where there is none, or it is offline."""
    if hp.architecture not in (known := smp.MODEL_ARCHITECTURES_MAPPING):
        raise UserError(f"model.architecture is one of {', '.join(known)}, not {hp.architecture!r}")
    channels = (256, 128, 64, 32, 16)[-hp.depth :]  # as in the library, which has a depth of 5
    options: Any = {"encoder_depth": hp.depth, "decoder_channels": channels}
    options = options if hp.architecture in ("unet", "unetplusplus", "manet") else {}
    try:
        return smp.create_model(hp.architecture, hp.encoder, weights, classes=len(hp.class_names), **options)
    except Exception as error:  # unknown to both libraries, no match for the architecture, no weights, offline
        said = str(error.args[0] if error.args else error).split(", supported")[0].splitlines()[0]
        pretrained = "model.pretrained=true, " * bool(weights)
        raise UserError(f"{pretrained}model.encoder={hp.encoder} with {hp.architecture}: {said:.200}") from error


def draw(photo: Image.Image, mask: Image.Image, shares: dict[int, str]) -> Image.Image:
    """The photo with all that is not class 0 coloured, magnified to 256 pixels at least, and a legend below."""
    covered = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8) * 128)
    factor = -(-256 // max(photo.size))
    shown = ImageOps.scale(
        Image.composite(mask.convert("RGB"), photo, covered), max(1, factor), Image.Resampling.NEAREST
    )
    size, entries = max(12, shown.width // 40), [(i, text) for i, text in shares.items() if i]
    canvas = Image.new("RGB", (shown.width, shown.height + 2 * size * len(entries)), "white")
    canvas.paste(shown)
    pen = ImageDraw.Draw(canvas)
    for top, (i, text) in zip(range(shown.height, canvas.height, 2 * size), entries):
        pen.rectangle(
            (size // 2, top + size // 2, size * 3 // 2, top + size * 3 // 2), tuple(PALETTE[3 * i : 3 * i + 3])
        )
        pen.text((2 * size, top + size // 2), text, "black", font_size=size)
    return canvas
