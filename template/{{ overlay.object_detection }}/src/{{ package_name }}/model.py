"""Torchvision's detectors, and its FCOS on any timm backbone. Yours: updates of the template leave it alone."""

import json
from typing import Any

import timm
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torchmetrics.detection import MeanAveragePrecision
from torchvision import models
from torchvision.models import detection
from torchvision.ops import FeaturePyramidNetwork

from .harness import UserError
from .harness.boxes import draw, drop_empty, widen
from .harness.optim import adamw_warmup_cosine

NAMES = [name for name in models.list_models(module=detection) if not name.startswith(("mask", "keypoint"))]
# These choose between losses and boxes by being in training or not; norms and dropout are none of them.
CHOOSERS = (detection.FCOS, detection.RetinaNet, detection.FasterRCNN, detection.ssd.SSD)
CHOOSERS += (detection.rpn.RegionProposalNetwork, detection.roi_heads.RoIHeads)


class Model(LightningModule):
    """The sum of a detector's losses, such as FCOS' (arXiv 2006.09214): classes, boxes and centerness.

    Args:
        class_names: filled in from the data, as is the next.
        image_size: the longer side in pixels.
        detector: `fcos`, a small one on `backbone`, or a name from
            `torchvision.models.list_models(module=torchvision.models.detection)`.
        backbone: of `fcos`: a name from `timm.list_models()` that has feature maps.
        width: channels of the feature pyramid and the head of `fcos`, a multiple of 32.
        pretrained: start from COCO's weights of a detector of torchvision's, with fresh classes; they are
            fetched when training starts, and the backbone's norms keep their statistics.
        score_threshold: the least confidence of the boxes that `predict` shows.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices and kernels alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the backbone through `torch.compile`; what follows depends on the number of boxes.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        image_size: int,
        detector: str = "fcos",
        backbone: str = "resnet10t",
        width: int = 64,
        pretrained: bool = False,
        score_threshold: float = 0.5,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = adapt(build(self.hparams), self.hparams)
        self.val_map, self.test_map = MeanAveragePrecision(), MeanAveragePrecision()

    def setup(self, stage: str) -> None:
        name, own = self.hparams.detector, self.net.state_dict()
        if stage == "fit" and self.hparams.pretrained and not self.trainer.ckpt_path:
            try:
                there = models.get_model_weights(name)["DEFAULT"].get_state_dict(progress=False)
            except Exception as error:  # offline, or none are published, as for `fcos`
                raise UserError(f"model.pretrained=true, but {name}: {error}".splitlines()[0]) from error
            fit = {name: weight for name, weight in there.items() if getattr(own.get(name), "shape", 0) == weight.shape}
            self.net.load_state_dict(fit, strict=False)

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.backbone.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """For each RGB image (3, H, W) with values from 0 to 1 its `boxes` (N, 4), x1, y1, x2, y2 in pixels,
        `scores` (N,) and `labels` (N,), from 1; in training, losses by name, for the targets' `boxes` and `labels`."""
        return drop_empty(self.net(images, targets))

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.loss(batch, self.targets(batch), "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        targets = self.targets(batch)
        self.loss(batch, targets, "val")
        self.val_map.update(self(batch["image"]), targets)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.test_map.update(self(batch["image"]), self.targets(batch))

    def on_validation_epoch_end(self) -> None:
        self.log_map(self.val_map, "val")

    def on_test_epoch_end(self) -> None:
        self.log_map(self.test_map, "test")

    def log_map(self, metric: MeanAveragePrecision, split: str) -> None:
        found = metric.compute()
        self.log_dict({f"{split}/{name}": found[name] for name in ("map", "map_50")}, prog_bar=True, sync_dist=True)
        metric.reset()

    def targets(self, batch: dict) -> list[dict[str, Tensor]]:
        """Boxes and labels, from 1, as torchvision takes them; in single precision at least, like what meets them."""
        wide = {"dtype": torch.promote_types(batch["image"][0].dtype, torch.float32), "device": self.device}
        pairs = zip(batch["boxes"], [torch.tensor(labels, device=self.device).long() for labels in batch["labels"]])
        return [{"boxes": torch.tensor(boxes, **wide).reshape(-1, 4), "labels": labels + 1} for boxes, labels in pairs]

    def loss(self, batch: dict, targets: list[dict[str, Tensor]], split: str) -> Tensor:
        choosers = [part for part in self.net.modules() if isinstance(part, CHOOSERS)]
        for part in choosers:
            part.training = True
        losses = self(batch["image"], targets)
        for part in choosers:
            part.training = self.training
        loss = torch.stack([*losses.values()]).sum()
        options = {"sync_dist": split != "train", "batch_size": len(targets)}
        self.log(f"{split}/loss", loss, prog_bar=True, **options)
        self.log_dict({f"{split}/{name}": value for name, value in losses.items()}, **options)
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        columns: dict[str, list] = {"input": batch["name"], "prediction": [], "boxes": [], "detections": []}
        for pixels, picture, found in zip(batch["image"], batch["picture"], self(batch["image"])):
            scale = torch.tensor([picture.width / pixels.shape[2], picture.height / pixels.shape[1]] * 2)
            keep = found["scores"] >= self.hparams.score_threshold
            boxes = (found["boxes"][keep].double().cpu() * scale).round(decimals=1).tolist()
            scores = found["scores"][keep].double().round(decimals=3).tolist()
            names = [self.hparams.class_names[label - 1] for label in found["labels"][keep].tolist()]
            rows = [{"label": n, "confidence": s, "box": box} for n, s, box in zip(names, scores, boxes)]
            columns["prediction"].append(draw(picture, rows, self.hparams.class_names))
            columns["boxes"].append(len(rows))
            columns["detections"].append(json.dumps(rows, ensure_ascii=False))
        return columns


class Pyramid(nn.Module):
    """The feature maps of a timm backbone in a feature pyramid (arXiv 1612.03144)."""

    def __init__(self, body: Any, width: int) -> None:
        super().__init__()
        self.body, self.out_channels, self.strides = body, width, body.feature_info.reduction()
        self.fpn = FeaturePyramidNetwork(body.feature_info.channels(), width)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.fpn({str(level): features for level, features in enumerate(self.body(images))})


def build(hp: Any) -> Any:
    """The detector, with as many classes as the data and torchvision's background, 0."""
    classes = len(hp.class_names) + 1
    if hp.detector in NAMES:
        return models.get_model(hp.detector, weights=None, weights_backbone=None, num_classes=classes)
    if hp.detector != "fcos":
        raise UserError(f"model.detector={hp.detector}: take fcos, or one of {', '.join(NAMES)}")
    try:
        levels = (-4, -3, -2, -1) if hp.image_size >= 128 else (-4, -3, -2)  # every 4th to 32nd, or 16th, pixel
        body = timm.create_model(hp.backbone, features_only=True, out_indices=levels)
        pyramid, head = Pyramid(body, hp.width), detection.fcos.FCOSHead(hp.width, 1, classes, num_convs=2)
    except Exception as error:  # timm has none of this name, or without such feature maps; 32 groups of channels
        raise UserError(f"model.backbone={hp.backbone}, model.width={hp.width}: {error}".splitlines()[0]) from error
    # Distances end in a ReLU: from 0, where they would begin, half of them find no way up, and a side may be lost.
    head.state_dict()["regression_head.bbox_reg.bias"].fill_(1)
    sizes = tuple((stride,) for stride in pyramid.strides)
    anchors = detection.anchor_utils.AnchorGenerator(sizes, ((1.0,),) * len(sizes))
    pixels: Any = timm.data.resolve_model_data_config(body)
    options: Any = {"image_mean": pixels["mean"], "image_std": pixels["std"], "score_thresh": 0.05}
    return detection.FCOS(pyramid, classes, anchor_generator=anchors, head=head, **options)


def adapt(net: Any, hp: Any) -> Any:
    """Sizes, norms, and single precision at least for what a head gives and for what follows.

    In bfloat16, 256 is the last whole pixel, and torchvision lacks `nms` and `roi_align`.
    """
    if hp.pretrained:
        timm.layers.freeze_batch_norm_2d(net.backbone)
    net.transform.min_size, net.transform.max_size = (hp.image_size,), hp.image_size  # but for SSD's, which are fixed
    if hasattr(net, "rpn"):  # of two stages
        heads, last = [net.rpn.head, net.roi_heads.box_predictor], net.roi_heads
        wide = [net.rpn.anchor_generator, last.box_roi_pool]
        last.box_head.register_forward_pre_hook(lambda part, args: args[0].to(next(part.parameters()).dtype))
    else:
        heads, last, wide = [net.head], net, [net.anchor_generator]
    last.detections_per_img = 100  # all that COCO's metric counts
    for part in heads:
        part.register_forward_hook(lambda part, args, outputs: widen(outputs))
    for part in wide:
        part.register_forward_pre_hook(lambda part, args: widen(args))
    return net
