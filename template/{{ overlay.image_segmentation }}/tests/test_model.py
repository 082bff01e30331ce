"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.model_suite import ModelSuite
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

SMALL_ENCODER = "tu-test_resnet"
IGNORED = 255


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none."""

    floor = 0.3
    options = (
        f"--model.encoder={SMALL_ENCODER}",
        "--data.image_size=32",
        "--data.batch_size=2",
        "--data.augment=0",
    )


def make_model(class_names: list[str]) -> Any:
    return Model(class_names=class_names, encoder=SMALL_ENCODER)


def compute(metrics: Any) -> dict[str, float]:
    return {name: value.item() for name, value in metrics.compute().items()}


def do_nothing(*args: Any, **options: Any) -> None:
    """Stands in for `log`, which needs a trainer."""


@pytest.mark.parametrize("size", [(32, 32), (40, 70)])
def test_logits_have_a_plane_for_each_class(size: tuple[int, int]) -> None:
    """Images (B, 3, H, W) of any size give logits (B, classes, H, W)."""
    model = make_model(["a", "b", "c"])
    logits = model(torch.rand(2, 3, *size))
    assert logits.shape == (2, 3, *size)


def test_ignored_pixels_do_not_count() -> None:
    """Neither the loss nor the metrics depend on pixels of value 255."""
    torch.manual_seed(0)
    model = make_model(["a", "b"]).eval()
    model.log = do_nothing
    model.log_dict = do_nothing
    images = torch.rand(1, 3, 32, 32)
    predicted = model(images).argmax(dim=1)

    masks = torch.full((1, 32, 32), IGNORED)
    assert model.step({"image": images, "mask": masks}, "train") == 0
    masks[:, :9] = predicted[:, :9]
    model.step({"image": images, "mask": masks}, "val", model.val_metrics)
    assert compute(model.val_metrics) == {"val/miou": 1, "val/dice": 1}


def test_classes_that_do_not_occur_do_not_count() -> None:
    """The metrics are means over the classes that are in the masks or predicted."""
    model = make_model(["a", "b", "c"])
    model.val_metrics.update(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 1]]))
    expected = {"val/miou": (1 / 2 + 2 / 3) / 2, "val/dice": (2 / 3 + 4 / 5) / 2}
    assert compute(model.val_metrics) == pytest.approx(expected)


def test_predictions_have_the_size_of_their_images() -> None:
    """`predict` gives the mask at the image's own size, and a drawing that is enlarged."""
    size = torch.tensor([[12, 24], [12, 24]])
    batch = {
        "image": torch.rand(2, 3, 32, 32),
        "name": torch.tensor([5, 6]),
        "size": size,
        "scaled_size": torch.tensor([[16, 32], [16, 32]]),
    }
    columns = make_model(["a", "b", "c"]).eval().predict_step(batch, 0)
    assert columns["input"] == [5, 6]
    for mask in columns["mask"]:
        assert mask.mode == "P"
        assert mask.size == (24, 12)
        assert np.asarray(mask).max() < 3
    for drawing in columns["prediction"]:
        assert drawing.mode == "RGB"
        assert drawing.width >= 256
    for confidence in columns["confidence"]:
        assert 0 < confidence <= 1


def test_predictions_of_files(tmp_path: Path) -> None:
    """The images of `predict_path` are named by their paths, and drawn as they are."""
    for i in range(3):
        Image.new("RGB", (24, 12), (0, 200, 0)).save(tmp_path / f"{i}.png")
    data = DataModule(predict_path=str(tmp_path), image_size=32, batch_size=4)
    data.setup("predict")
    batch = next(iter(data.predict_dataloader()))
    model = Model(class_names=data.class_names, encoder=SMALL_ENCODER).eval()
    columns = model.predict_step(batch, 0)
    assert columns["input"] == [str(path) for path in sorted(tmp_path.glob("*.png"))]
    assert [mask.size for mask in columns["mask"]] == [(24, 12)] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet10x"}, "model.encoder=resnet10x with unet: Wrong encoder name"),
        ({"encoder": "tu-resnet10x"}, "model.encoder=tu-resnet10x with unet: Unknown model"),
        ({"architecture": "unet9"}, "model.architecture=unet9: there is no such architecture"),
    ],
)
def test_unknown_networks_are_errors(options: dict, message: str) -> None:
    """A name that the library does not know is refused, and the error names the option."""
    with pytest.raises(UserError, match=message):
        Model(class_names=["a", "b"], **options)
