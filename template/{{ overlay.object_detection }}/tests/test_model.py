"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.model_suite import ModelSuite
from PIL import Image
from torch import Tensor

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

CLASS_NAMES = ["blue", "red"]
IMAGE_SIZE = 32


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none.

    The loss of classes is watched: that of centerness, whose targets are not 0 or 1, ends near
    0.58.
    """

    loss = "train/classification"
    floor = 0.02
    options = (
        "--model.backbone=test_resnet",
        "--model.width=32",
        "--data.batch_size=4",
        "--data.augment=0",
        "--trainer.max_epochs=60",
    )


def make_model(**options: Any) -> Any:
    return Model(CLASS_NAMES, IMAGE_SIZE, backbone="test_resnet", width=32, **options)


@pytest.fixture
def batch() -> dict[str, list]:
    """Two images with a box, and one without."""
    torch.manual_seed(0)
    return {
        "image": list(torch.rand(3, 3, 16, IMAGE_SIZE)),
        "boxes": [[[8.0, 4.0, 24.0, 12.0]], [], [[2.0, 2.0, 12.0, 14.0]]],
        "labels": [[1], [], [0]],
        "name": [0, 1, 2],
    }


def convert_images(batch: dict[str, list], dtype: torch.dtype) -> None:
    batch["image"] = [image.to(dtype) for image in batch["image"]]


def copy_state(model: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def do_nothing(*args: Any, **options: Any) -> None:
    """Stands in for `log`, which needs a trainer."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_boxes_have_single_precision_at_least(dtype: torch.dtype, batch: dict[str, list]) -> None:
    """In every precision losses are finite, and boxes, scores and labels belong together."""
    convert_images(batch, dtype)
    model = make_model().to(dtype)
    targets = model.make_targets(batch)
    for loss in model(batch["image"], targets).values():
        assert loss.isfinite()

    model.net.score_thresh = 0.0
    expected_dtype = torch.promote_types(dtype, torch.float32)
    assert targets[0]["boxes"].dtype == expected_dtype
    for found in model.eval()(batch["image"]):
        assert found["boxes"].dtype == expected_dtype
        assert found["boxes"].shape == (len(found["scores"]), 4)
        assert found["labels"].shape == found["scores"].shape


@pytest.mark.parametrize(
    "detector", ["fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large"]
)
def test_other_detectors(detector: str, batch: dict[str, list]) -> None:
    """Torchvision's own detectors have losses in training and in validation, which changes none."""
    convert_images(batch, torch.bfloat16)
    model = make_model(detector=detector).bfloat16()
    model.log = do_nothing
    model.log_dict = do_nothing
    assert model.training_step(batch, 0).isfinite()

    model.eval()
    before = copy_state(model)
    model.validation_step(batch, 0)
    assert not any(part.training for part in model.net.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_map_of_the_targets_is_one(batch: dict[str, list]) -> None:
    """The metric is 1 if exactly the targets are found, and 0 if nothing is."""
    model = make_model()
    targets = model.make_targets(batch)
    found = []
    nothing = []
    for target in targets:
        scores = torch.ones(len(target["labels"]))
        found.append({**target, "scores": scores})
        nothing.append(
            {"boxes": target["boxes"][:0], "labels": target["labels"][:0], "scores": scores[:0]}
        )
    model.val_map.update(found, targets)
    assert model.val_map.compute()["map"] == 1
    model.test_map.update(nothing, targets)
    assert model.test_map.compute()["map"] == 0


def test_predictions_are_in_pixels_of_the_original(batch: dict[str, list]) -> None:
    """`predict` gives a drawing and JSON, with boxes in pixels of the image before resizing."""
    batch["original"] = [Image.new("RGB", (40, 20))] * 3
    model = make_model().eval()
    found = {
        "boxes": torch.tensor([[8.0, 4, 24, 12], [1.0, 1, 9, 9]]),
        "scores": torch.tensor([0.9, 0.1]),
        "labels": torch.tensor([2, 1]),
    }

    def find(images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [found] * len(images)

    model.forward = find
    columns = model.predict_step(batch, 0)
    assert columns["input"] == [0, 1, 2]
    assert columns["boxes"] == [1, 1, 1]
    assert columns["prediction"][0].size == (480, 240)
    expected = {"label": "red", "confidence": 0.9, "box": [10, 5, 30, 15]}
    assert json.loads(columns["detections"][0]) == [expected]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector": "yolo"}, "model.detector=yolo: there is no such detector"),
        ({"backbone": "resnet10x"}, "model.backbone=resnet10x"),
    ],
)
def test_unknown_names_are_errors(options: dict[str, str], message: str) -> None:
    """A detector or backbone that does not exist is refused, and the error names the option."""
    with pytest.raises(UserError, match=message):
        Model(CLASS_NAMES, IMAGE_SIZE, **options)
