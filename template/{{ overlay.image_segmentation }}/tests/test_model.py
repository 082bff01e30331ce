"""The model. Yours: change this as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.test_harness import ModelSuite
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
SMALL: dict[str, Any] = {"encoder": "tu-test_resnet"}


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none."""

    floor = 0.3
    options = ("--data.augment=0", "--data.batch_size=2", "--data.image_size=32", "--model.encoder=tu-test_resnet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images, 24 wide and 12 high: red on the left, of class 1, and blue on the right, of class 2."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(12):
        classes = np.repeat(np.array([[1] * (8 + i) + [2] * (16 - i)], np.uint8), 12, axis=0)
        colours = np.array([[0, 0, 0], [200, i, 0], [0, i, 200]], np.uint8)
        Image.fromarray(colours[classes]).save(tmp_path / "images" / f"{i:02d}.png")
        classes[0, 0] = 0
        Image.fromarray(classes).save(tmp_path / "masks" / f"{i:02d}.png")
    (tmp_path / "classes.txt").write_text("none\nred\nblue\n")
    return tmp_path


def batch_of(data: Any, split: str) -> dict:
    data.setup("fit")
    return next(iter(getattr(data, f"{split}_dataloader")()))


@pytest.mark.parametrize("size", [(32, 32), (40, 70)])
def test_logits_have_a_plane_for_each_class(size: tuple[int, int]) -> None:
    """Images (B, 3, H, W) of any size give logits (B, classes, H, W)."""
    model = Model(class_names=["a", "b", "c"], **SMALL)
    assert model(torch.rand(2, 3, *size)).shape == (2, 3, *size)


def test_ignored_pixels_make_no_difference() -> None:
    """Neither the loss nor a metric sees what is under 255; a batch of it alone has no loss."""
    torch.manual_seed(0)
    model, image = Model(class_names=["a", "b"], **SMALL).eval(), torch.rand(1, 3, 32, 32)
    model.log = model.log_dict = lambda *args, **kwargs: None
    mask, found = torch.full((1, 32, 32), 255), model(image).argmax(dim=1)
    assert model.step({"image": image, "mask": mask}, "train") == 0
    mask[:, :9] = found[:, :9]
    model.step({"image": image, "mask": mask}, "val")
    assert {name: value.item() for name, value in model.val_metrics.compute().items()} == {"val/miou": 1, "val/dice": 1}


def test_a_class_that_is_nowhere_does_not_count() -> None:
    """The mean is over the classes that are in the masks or predicted."""
    model = Model(class_names=["a", "b", "c"], **SMALL)
    model.val_metrics.update(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 1]]))
    found = {name: value.item() for name, value in model.val_metrics.compute().items()}
    assert found == pytest.approx({"val/miou": (1 / 2 + 2 / 3) / 2, "val/dice": (2 / 3 + 4 / 5) / 2})


def test_predictions_are_as_large_as_their_images(folder: Path) -> None:
    """`predict` gives a mask, and the image with it drawn over, at the image's own size; no mask is needed."""
    data = DataModule(path=str(folder), predict_path=str(folder / "images"), image_size=32, batch_size=4)
    columns = Model(class_names=data.class_names, **SMALL).eval().predict_step(batch_of(data, "predict"), 0)
    assert {len(column) for column in columns.values()} == {4}
    assert [Path(name).name for name in columns["input"]] == ["00.png", "01.png", "02.png", "03.png"]
    assert {mask.size for mask in columns["mask"]} == {(24, 12)}
    assert {(mask.mode, np.asarray(mask).max() < 3) for mask in columns["mask"]} == {("P", True)}
    assert all(image.mode == "RGB" and image.width >= 256 for image in columns["prediction"])
    assert all(0 < confidence <= 1 for confidence in columns["confidence"])
    data = DataModule(path=str(folder), predict_path=str(folder / "images" / "03.png"))
    data.setup("predict")
    assert len(data.predict) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet10x"}, "model.encoder=resnet10x with unet: Wrong encoder name"),
        ({"encoder": "tu-resnet10x"}, "model.encoder=tu-resnet10x with unet: Unknown model"),
        ({"architecture": "unet9"}, "model.architecture is one of unet, .*not 'unet9'"),
    ],
)
def test_unknown_networks_are_named(options: dict, message: str) -> None:
    """A name that the library does not know is refused."""
    with pytest.raises(UserError, match=message):
        Model(class_names=["a", "b"], **options)
