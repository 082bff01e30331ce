"""The model and the data. Yours: change them as your experiment changes."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.test_harness import ModelSuite
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
SMALL = {"backbone": "test_resnet", "width": 32}


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none.

    A centerness is no 0 or 1, so that its cross-entropy ends near 0.58, and boxes are in pixels.
    """

    loss = "train/classification"
    floor = 0.02
    options = ("--model.backbone=test_resnet", "--model.width=32", "--data.batch_size=4", "--data.augment=0")
    options += ("--trainer.max_epochs=60",)


@pytest.fixture
def coco(tmp_path: Path) -> dict:
    """Twenty images of 40 x 20 pixels, each with a box of `red` or `blue`, and an empty one; written by `make`."""
    (tmp_path / "images").mkdir()
    images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 20} for i in range(21)]
    for i, image in enumerate(images):
        picture = Image.new("RGB", (40, 20), (i, 0, 0))
        picture.paste((200, 0, 0) if i % 2 else (0, 0, 200), (10, 5, 30, 15))
        picture.save(tmp_path / "images" / image["file_name"])
    boxes = [{"id": i, "image_id": i, "category_id": 7 + i % 2, "bbox": [10, 5, 20, 10]} for i in range(20)]
    names = [{"id": 7, "name": "blue"}, {"id": 8, "name": "red"}]
    return {"folder": tmp_path, "images": images, "annotations": boxes, "categories": names}


def make(coco: dict, file: str = "annotations.json", **changes: Any) -> Any:
    text = {kind: coco[kind] for kind in ("images", "annotations", "categories")}
    (coco["folder"] / file).write_text(json.dumps(text))
    return DataModule(path=str(coco["folder"]), **{"image_size": 32, "batch_size": 4, **changes})


def batch_of(data: Any, split: str) -> dict:
    data.setup("fit")
    return next(iter(getattr(data, f"{split}_dataloader")()))


def build(data: Any, **changes: Any) -> Any:
    return Model(data.class_names, data.image_size, **{**SMALL, **changes})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_losses_and_boxes_in_every_precision(coco: dict, dtype: torch.dtype) -> None:
    """Losses are finite, and boxes, scores and labels in single precision at least, without any box in an image too."""
    data = make(coco)
    batch, model = batch_of(data, "val"), build(data).to(dtype)
    batch["image"] = [image.to(dtype) for image in batch["image"]]
    batch["boxes"][0], batch["labels"][0] = [], []
    targets = model.targets(batch)
    assert all(value.isfinite() for value in model.net(batch["image"], targets).values())
    model.net.score_thresh = 0.0
    for found in model.eval()(batch["image"]):
        assert found["boxes"].dtype == targets[0]["boxes"].dtype == torch.promote_types(dtype, torch.float32)
        assert found["boxes"].shape == (len(found["scores"]), 4)
        assert found["labels"].shape == found["scores"].shape


@pytest.mark.parametrize("detector", ["fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large"])
def test_other_detectors(coco: dict, detector: str) -> None:
    """Torchvision's own give losses in training, and in a validation, which changes nothing, and then boxes."""
    data = make(coco)
    batch, model = batch_of(data, "val"), build(data, detector=detector).bfloat16().eval()
    batch["image"] = [image.bfloat16() for image in batch["image"]]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(value.isfinite() for value in model.net.train()(batch["image"], model.targets(batch)).values())
    model.load_state_dict(before)
    model.eval().log = model.log_dict = lambda *args, **options: None
    model.validation_step(batch, 0)
    assert not any(part.training for part in model.net.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_perfect_boxes_have_a_map_of_one(coco: dict) -> None:
    """The metric of the targets themselves is 1; without any box found it is 0."""
    model = build(data := make(coco))
    targets = model.targets(batch_of(data, "val"))
    found = [{**target, "scores": torch.ones(len(target["labels"]))} for target in targets]
    for keep, value in ((10, 1), (0, 0)):
        model.val_map.update([{key: values[:keep] for key, values in one.items()} for one in found], targets)
        assert model.val_map.compute()["map"] == value
        model.val_map.reset()


def test_coco_folder(coco: dict) -> None:
    """Boxes follow the image to its new size, labels the order of the categories; empty images are kept."""
    coco["annotations"].append({"id": 99, "image_id": 1, "category_id": 7, "bbox": [0, 0, 40, 20], "iscrowd": 1})
    data = make(coco)
    batch = batch_of(data, "val")
    assert data.class_names == ["blue", "red"]
    assert [image.shape for image in batch["image"]] == [(3, 16, 32)] * len(batch["name"])
    for image, boxes, labels in zip(batch["image"], batch["boxes"], batch["labels"]):
        assert boxes in ([[8, 4, 24, 12]], [])
        assert labels == [int(image[0, 8, 16] > 0.5)][: len(boxes)]
    assert sum(len(sample.labels) for part in data.splits.values() for sample in part) == 20
    assert sum(len(part) for part in data.splits.values()) == 21


def test_files_for_splits(coco: dict) -> None:
    """{train,val,test}.json are used as they are; what is not there is cut from train."""
    make(coco, "train.json")
    data = make(coco, "test.json")
    assert [len(data.splits[name]) for name in ("train", "val", "test")] == [19, 2, 21]


def test_splits_are_apart_and_repeat(coco: dict) -> None:
    """The splits share no image, cover all, a seed gives the same again, and folds test each image once."""
    data = make(coco)
    for splits in (data.splits, make(coco, split_seed=1).splits):
        names = [sample.image for part in splits.values() for sample in part]
        assert len(names) == len(set(names)) == 21
    assert data.splits == make(coco).splits != make(coco, split_seed=1).splits
    tested = [sample.image for fold in range(3) for sample in make(coco, folds=3, fold=fold).splits["test"]]
    assert len(tested) == len(set(tested)) == 21


def test_only_training_images_vary() -> None:
    """The training split is augmented anew each time, boxes staying inside; the others are as they are."""
    DataModule(augment=20).setup("fit")  # a strength over 9 is no mistake
    (data := DataModule()).setup("fit")
    first, second = (data.train.__getitems__([*range(40)]) for _ in range(2))
    assert not torch.equal(first["image"][0], second["image"][0])
    assert all(0 <= value <= 64 for boxes in first["boxes"] for box in boxes for value in box)
    assert [len(boxes) for boxes in first["boxes"]] == [len(labels) for labels in first["labels"]]
    assert torch.equal(*(data.val.__getitems__([0])["image"][0] for _ in range(2)))


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("annotations", {"image_id": 50}, r"annotations.json: annotations\[3\], id 3: no image has the id 50"),
        ("annotations", {"category_id": 1}, "no category has the id 1"),
        ("annotations", {"bbox": [10, 5, 0, 10]}, "has no area"),
        ("annotations", {"bbox": [30, 5, 20, 10]}, "is not inside its image of 40 x 20 pixels"),
        ("annotations", {"bbox": [float("nan"), 5, 20, 10]}, "in pixels, not"),
        ("annotations", {"bbox": "[10, 5, 20, 10]"}, r"bbox is \[x, y, width, height\], not"),
        ("annotations", {"id": 4}, r"annotations\[4\], id 4: id 4 is that of another"),
        ("images", {"id": 4}, r"images\[4\], id 4: id 4 is that of another"),
        ("images", {"id": [4]}, "id is a number or text, not"),
        ("images", {"file_name": "none.png"}, r"images\[3\], id 3: .*none.png: .*No such file"),
        ("images", {"width": 41}, r"width and height are \(41, 20\), those of .*3.png \(40, 20\)"),
    ],
)
def test_faults_are_named(coco: dict, kind: str, change: dict, message: str) -> None:
    """What is wrong is said with file and entry, once."""
    coco[kind][3] |= change
    with pytest.raises(UserError, match=message) as raised:
        make(coco).splits  # noqa: B018
    assert len([line for line in raised.value.args if "no image has the id 3" not in line]) == 1


def test_faults_come_together(coco: dict) -> None:
    """All faults are said at once; so are categories without boxes or with one name, and broken files."""
    coco["categories"] += [{"id": 9, "name": "red"}, {"id": 10, "name": "green"}]
    (coco["folder"] / "images/2.png").write_bytes(b"no image")
    (coco["folder"] / "val.json").write_text("{")
    (coco["folder"] / "test.json").write_text("[]")
    with pytest.raises(UserError) as raised:
        make(coco, "train.json").splits  # noqa: B018
    pieces = ("val.json: data.path", "test.json: images", "'red' is that", "'green'", "2.png: images are whole")
    assert all(any(piece in line for line in raised.value.args) for piece in pieces)


def test_predictions_are_in_pixels_of_the_original(coco: dict) -> None:
    """`predict` gives an image and a text for each, whose boxes are in the pixels of the image that was read."""
    data = make(coco, predict_path=str(coco["folder"] / "images"))
    data.setup("predict")
    batch, model = next(iter(data.predict_dataloader())), build(data).eval()
    box = {"boxes": torch.tensor([[8.0, 4, 24, 12]]), "scores": torch.tensor([0.9]), "labels": torch.tensor([2])}
    model.forward = lambda images: [box] * len(images)
    columns = model.predict_step(batch, 0)
    assert {len(column) for column in columns.values()} == {4}
    expected = {"label": "red", "confidence": 0.9, "box": [10, 5, 30, 15]}
    assert json.loads(columns["detections"][0]) == [expected]
    assert columns["prediction"][0].size == (480, 240)


def test_unknown_names_are_refused() -> None:
    """A detector or backbone that does not exist is named."""
    for name, dial in (("yolo", "detector"), ("resnet10x", "backbone")):
        with pytest.raises(UserError, match=name):
            Model(["a"], 64, **{dial: name})
