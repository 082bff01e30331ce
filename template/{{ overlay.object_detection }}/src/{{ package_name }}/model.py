"""Torchvision's detectors, and its FCOS on any timm backbone.

Yours: updates of the template leave this file alone.
"""

import json
from typing import Annotated, Any

import timm
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from PIL import Image
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only
from torchmetrics.detection import MeanAveragePrecision
from torchvision import models
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, remove_small_boxes

from .figures.boxes import Detection, draw_detections
from .harness.errors import UserError
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range

# Of torchvision's detectors, those that predict boxes alone.
TORCHVISION_DETECTORS = [
    name
    for name in models.list_models(module=detection)
    if not name.startswith(("mask", "keypoint"))
]
# Parts of a detector that return losses in training mode and boxes in evaluation mode.
MODE_DEPENDENT_PARTS = (
    detection.FCOS,
    detection.RetinaNet,
    detection.FasterRCNN,
    detection.ssd.SSD,
    detection.rpn.RegionProposalNetwork,
    detection.roi_heads.RoIHeads,
)
MAX_DETECTIONS = 100  # per image: COCO's metric counts no more
MIN_SIZE_FOR_STRIDE_32 = 128  # pixels: a smaller image would have fewer than 4 cells a side
MIN_SCORE = 0.05  # of a detection of FCOS; `score_threshold` applies to `predict` alone
MIN_BOX_SIDE = 1e-3  # pixels


class Model(LightningModule):
    """Trains on the sum of a detector's losses, such as those of FCOS (arXiv 2006.09214).

    All steps take a batch of lists with an entry for each image: `image`, float (3, H, W) with
    values from 0 to 1; `boxes`, a list of [x1, y1, x2, y2] in pixels of `image`; `labels`, a list
    of class indices from 0; `name`, a path or a number.

    Args:
        class_names: filled in from the data, as is the next one.
        image_size: longer side of an image in pixels.
        detector: `fcos`, a small one on `backbone`, or a name from
            `torchvision.models.list_models(module=torchvision.models.detection)`.
        backbone: for `fcos`: a name from `timm.list_models()` that has feature maps.
        width: channels of the feature pyramid and the head of `fcos`, a multiple of 32.
        pretrained: start from the COCO weights of a torchvision detector, with a new head where
            the number of classes differs. They are downloaded when training starts, and the
            batch norms of the backbone keep their statistics.
        score_threshold: lowest confidence of the boxes that `predict` shows.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the backbone with `torch.compile`; shapes in the rest of the network
            depend on the number of boxes.

    Raises:
        UserError: if the detector or the backbone does not exist.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        image_size: int,
        detector: str = "fcos",
        backbone: str = "resnet10t",
        width: Annotated[int, Range(min=1)] = 64,
        pretrained: bool = False,
        score_threshold: float = 0.5,
        lr: Annotated[float, Range(min=0)] = 2e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.05,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = build_detector(self.hparams)
        if pretrained:
            timm.layers.freeze_batch_norm_2d(self.net.backbone)
        set_image_size(self.net, image_size)
        limit_detections(self.net)
        keep_single_precision(self.net)
        self.val_map = MeanAveragePrecision()
        self.test_map = MeanAveragePrecision()

    def setup(self, stage: str) -> None:
        starts_anew = stage == "fit" and not self.trainer.ckpt_path
        if self.hparams.pretrained and starts_anew:
            load_coco_weights(self.net, self.hparams.detector)

    def configure_model(self) -> None:
        if self.hparams.compile:
            # In place, so that the keys in checkpoints stay those of the plain network.
            self.net.backbone.compile()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(
            self,
            lr=self.hparams.lr,
            weight_decay=self.hparams.weight_decay,
            warmup_steps=self.hparams.warmup_steps,
        )

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """Detect objects, or compute losses if the detector is in training mode.

        Args:
            images: RGB, float (3, H, W) with values from 0 to 1.
            targets: for losses, the `boxes` and `labels` of each image, as in the result.

        Returns:
            For each image a dict with `boxes` (N, 4), x1, y1, x2, y2 in pixels, `scores` (N,) and
            `labels` (N,), from 1, the highest score first. In training mode, losses by name.
        """
        output = self.net(images, targets)
        if isinstance(output, dict):
            return output
        return drop_empty(output)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        """The loss on a batch, described in the class docstring."""
        targets = self.make_targets(batch)
        losses = self.compute_losses(batch, targets)
        return self.log_losses(losses, "train", batch_size=len(targets))

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        """Log the losses of a batch, described in the class docstring, and update mAP with it."""
        targets = self.make_targets(batch)
        losses = self.compute_losses(batch, targets)
        self.log_losses(losses, "val", batch_size=len(targets))
        self.val_map.update(self(batch["image"]), targets)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        """Update mAP with a batch, described in the class docstring."""
        self.test_map.update(self(batch["image"]), self.make_targets(batch))

    def on_validation_epoch_end(self) -> None:
        self.log_map(self.val_map, "val")

    def on_test_epoch_end(self) -> None:
        self.log_map(self.test_map, "test")

    def predict_step(self, batch: dict, batch_idx: int) -> dict[str, list]:
        """Columns for `predictions.csv`, with a row for each image.

        Besides the keys in the class docstring, the batch has `original`, the image before
        resizing. Boxes are in pixels of the original.
        """
        columns: dict[str, list] = {
            "input": batch["name"],
            "prediction": [],
            "boxes": [],
            "detections": [],
        }
        found_in_batch = self(batch["image"])
        for image, original, found in zip(batch["image"], batch["original"], found_in_batch):
            detections = self.list_detections(found, image, original)
            drawing = draw_detections(original, detections, self.hparams.class_names)
            columns["prediction"].append(drawing)
            columns["boxes"].append(len(detections))
            columns["detections"].append(json.dumps(detections, ensure_ascii=False))
        return columns

    def make_targets(self, batch: dict) -> list[dict[str, Tensor]]:
        """The boxes and labels of a batch as torchvision takes them: labels count from 1.

        Boxes have single precision at least, like the anchors that they are compared with.
        """
        dtype = torch.promote_types(batch["image"][0].dtype, torch.float32)
        targets = []
        for boxes, labels in zip(batch["boxes"], batch["labels"]):
            box_tensor = torch.tensor(boxes, dtype=dtype, device=self.device)
            label_tensor = torch.tensor(labels, dtype=torch.long, device=self.device)
            targets.append({"boxes": box_tensor.reshape(-1, 4), "labels": label_tensor + 1})
        return targets

    def compute_losses(self, batch: dict, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The losses by name, in validation too, where norms and dropout stay in evaluation."""
        parts = [part for part in self.net.modules() if isinstance(part, MODE_DEPENDENT_PARTS)]
        for part in parts:
            part.training = True
        losses = self(batch["image"], targets)
        for part in parts:
            part.training = self.training
        return losses

    def log_losses(self, losses: dict[str, Tensor], split: str, batch_size: int) -> Tensor:
        """Log the losses and return their sum."""
        total = torch.stack([*losses.values()]).sum()
        sync_dist = split != "train"
        self.log(
            f"{split}/loss",
            total,
            prog_bar=True,
            sync_dist=sync_dist,
            batch_size=batch_size,
        )
        named_losses = {f"{split}/{name}": loss for name, loss in losses.items()}
        self.log_dict(named_losses, sync_dist=sync_dist, batch_size=batch_size)
        return total

    def log_map(self, metric: MeanAveragePrecision, split: str) -> None:
        values = metric.compute()
        metric.reset()
        self.log(f"{split}/map", values["map"], prog_bar=True, sync_dist=True)
        self.log(f"{split}/map_50", values["map_50"], prog_bar=True, sync_dist=True)

    def list_detections(
        self, found: dict[str, Tensor], image: Tensor, original: Image.Image
    ) -> list[Detection]:
        """The detections with enough confidence, in pixels of the original."""
        height, width = image.shape[1:]
        x_scale = original.width / width
        y_scale = original.height / height
        scale = torch.tensor([x_scale, y_scale, x_scale, y_scale])
        is_confident = found["scores"] >= self.hparams.score_threshold
        labels = found["labels"][is_confident]
        scores = found["scores"][is_confident].double().round(decimals=3)
        boxes = found["boxes"][is_confident].double().cpu()
        scaled_boxes = (boxes * scale).round(decimals=1)
        detections: list[Detection] = []
        for label, score, box in zip(labels.tolist(), scores.tolist(), scaled_boxes.tolist()):
            detections.append(
                {
                    "label": self.hparams.class_names[label - 1],
                    "confidence": score,
                    "box": box,
                }
            )
        return detections


class Pyramid(nn.Module):
    """The feature maps of a timm backbone in a feature pyramid (arXiv 1612.03144)."""

    def __init__(self, body: Any, width: int) -> None:
        super().__init__()
        self.body = body
        self.out_channels = width
        self.strides = body.feature_info.reduction()
        self.fpn = FeaturePyramidNetwork(body.feature_info.channels(), width)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps (B, width, H / stride, W / stride) by level, of normalized images (B, 3, H, W)."""
        levels = self.body(images)
        maps = {str(index): level for index, level in enumerate(levels)}
        return self.fpn(maps)


def build_detector(hparams: Any) -> Any:
    """The detector with fresh weights; class 0 is torchvision's background.

    Raises:
        UserError: if the detector or the backbone does not exist.
    """
    num_classes = len(hparams.class_names) + 1
    if hparams.detector == "fcos":
        return build_fcos(hparams, num_classes)
    if hparams.detector not in TORCHVISION_DETECTORS:
        names = ", ".join(["fcos", *TORCHVISION_DETECTORS])
        raise UserError(
            f"model.detector={hparams.detector}: there is no such detector; use one of {names}"
        )
    return models.get_model(
        hparams.detector,
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
    )


def build_fcos(hparams: Any, num_classes: int) -> Any:
    """Torchvision's FCOS with a head of two convolutions, on a timm backbone.

    Raises:
        UserError: if timm has no such backbone, it has no feature maps, or the width does not suit.
    """
    feature_levels = [-4, -3, -2, -1]  # strides 4, 8, 16, 32
    if hparams.image_size < MIN_SIZE_FOR_STRIDE_32:
        feature_levels = [-4, -3, -2]
    try:
        body = timm.create_model(
            hparams.backbone,
            features_only=True,
            out_indices=feature_levels,
        )
        pyramid = Pyramid(body, hparams.width)
        head: Any = detection.fcos.FCOSHead(hparams.width, 1, num_classes, num_convs=2)
    except Exception as error:  # timm and torch raise many kinds
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"model.backbone={hparams.backbone}, model.width={hparams.width}: cannot build FCOS"
            f" ({reason}); use a backbone of timm.list_models() and a multiple of 32"
        ) from error
    # The distances to a box's sides end in a ReLU: started at 0, half would get no gradient.
    nn.init.constant_(head.regression_head.bbox_reg.bias, 1)
    anchor_sizes = tuple((stride,) for stride in pyramid.strides)
    aspect_ratios = tuple((1.0,) for _ in pyramid.strides)
    statistics: Any = timm.data.resolve_model_data_config(body)
    return detection.FCOS(
        pyramid,
        num_classes,
        anchor_generator=AnchorGenerator(anchor_sizes, aspect_ratios),
        head=head,
        image_mean=statistics["mean"],
        image_std=statistics["std"],
        score_thresh=MIN_SCORE,
    )


def set_image_size(net: Any, image_size: int) -> None:
    """Make the detector keep the size that images have; SSD scales them to a fixed one."""
    net.transform.min_size = (image_size,)
    net.transform.max_size = image_size


def load_coco_weights(net: nn.Module, name: str) -> None:
    """Load torchvision's COCO weights, except those whose shape depends on the classes.

    Raises:
        UserError: if no weights are published, as for `fcos`, or they cannot be downloaded.
    """
    try:
        weights = models.get_model_weights(name)["DEFAULT"]
        published = weights.get_state_dict(progress=False)
    except Exception as error:  # torchvision and urllib raise many kinds
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"model.pretrained=true: cannot load weights of {name} ({reason});"
            " choose a detector of torchvision, connect to the network, or set it to false"
        ) from error
    own = net.state_dict()
    fitting = {}
    for key, weight in published.items():
        if key in own and own[key].shape == weight.shape:
            fitting[key] = weight
    net.load_state_dict(fitting, strict=False)


def limit_detections(net: Any) -> None:
    last_stage = net.roi_heads if is_two_stage(net) else net
    last_stage.detections_per_img = MAX_DETECTIONS


def keep_single_precision(net: Any) -> None:
    """Compute boxes in single precision at least, whatever the precision of the network.

    In bfloat16, whole numbers are exact up to 256 only, and torchvision lacks `nms` and
    `roi_align`.
    """
    if is_two_stage(net):
        net.rpn.anchor_generator.register_forward_pre_hook(widen_inputs)
        net.rpn.head.register_forward_hook(widen_outputs)
        net.roi_heads.box_roi_pool.register_forward_pre_hook(widen_inputs)
        net.roi_heads.box_head.register_forward_pre_hook(cast_input_like_weights)
        net.roi_heads.box_predictor.register_forward_hook(widen_outputs)
    else:
        net.anchor_generator.register_forward_pre_hook(widen_inputs)
        net.head.register_forward_hook(widen_outputs)


def is_two_stage(net: nn.Module) -> bool:
    """Whether a first stage proposes regions and a second one classifies them."""
    return hasattr(net, "rpn")


def widen_outputs(module: nn.Module, inputs: tuple, outputs: Any) -> Any:
    return widen(outputs)


def widen_inputs(module: nn.Module, inputs: tuple) -> Any:
    return widen(inputs)


def cast_input_like_weights(module: nn.Module, inputs: tuple) -> Tensor:
    weight = next(module.parameters())
    return inputs[0].to(weight.dtype)


def widen(values: Any) -> Any:
    """The same nested lists, tuples and dicts with all tensors in single precision at least."""
    return tree_map_only(Tensor, widen_tensor, values)


def widen_tensor(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def drop_empty(found_in_batch: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """Remove boxes without area: those found in a batch's padding are clipped to the image."""
    kept = []
    for found in found_in_batch:
        rows = remove_small_boxes(found["boxes"], MIN_BOX_SIDE)
        kept.append({key: values[rows] for key, values in found.items()})
    return kept
