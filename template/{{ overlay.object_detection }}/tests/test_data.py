"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

BOXES = 20
IMAGES = 21  # one has no box
WIDTH = 40
HEIGHT = 20
COLORS = [(0, 0, 200), (200, 0, 0)]
CATEGORY_IDS = [7, 8]


@dataclass
class CocoData:
    """A folder of images, and the lists that `write` puts into a JSON file."""

    folder: Path
    images: list[dict]
    annotations: list[dict]
    categories: list[dict]

    def write(self, name: str = "annotations.json") -> None:
        lists = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": self.categories,
        }
        (self.folder / name).write_text(json.dumps(lists))

    def load(self, **options: Any) -> Any:
        return DataModule(path=str(self.folder), image_size=32, batch_size=4, **options)


@pytest.fixture
def coco(tmp_path: Path) -> CocoData:
    """Twenty images with a blue or red box, and one without, not written to JSON yet."""
    data = CocoData(tmp_path, images=[], annotations=[], categories=[])
    data.categories.append({"id": CATEGORY_IDS[0], "name": "blue"})
    data.categories.append({"id": CATEGORY_IDS[1], "name": "red"})
    (tmp_path / "images").mkdir()
    for i in range(IMAGES):
        image = Image.new("RGB", (WIDTH, HEIGHT), (i, 0, 0))
        image.paste(COLORS[i % 2], (10, 5, 30, 15))
        image.save(tmp_path / "images" / f"{i}.png")
        data.images.append({"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT})
    for i in range(BOXES):
        category = CATEGORY_IDS[i % 2]
        data.annotations.append(
            {"id": i, "image_id": i, "category_id": category, "bbox": [10, 5, 20, 10]}
        )
    return data


def list_images(data: Any, split: str) -> list:
    return [sample.image for sample in data.loaded.splits[split]]


def list_all_images(data: Any) -> list:
    return [*list_images(data, "train"), *list_images(data, "val"), *list_images(data, "test")]


def read_errors(data: Any) -> list[str]:
    """The lines of the error that the data raises."""
    with pytest.raises(UserError) as raised:
        data.setup("fit")
    return list(raised.value.args)


def test_boxes_are_scaled_with_their_images(coco: CocoData) -> None:
    """Images keep their proportions, and labels have the order of the categories."""
    coco.write("train.json")
    coco.write("val.json")
    data = coco.load()
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    assert data.class_names == ["blue", "red"]
    for image, boxes, labels in zip(batch["image"], batch["boxes"], batch["labels"]):
        is_red = image[0, 8, 16] > 0.5
        assert image.shape == (3, 16, 32)
        assert boxes == [[8, 4, 24, 12]]
        assert labels == [int(is_red)]


def test_images_without_boxes_are_kept(coco: CocoData) -> None:
    """An image without objects is a sample too."""
    coco.write()
    assert len(list_all_images(coco.load())) == IMAGES


def test_crowds_are_left_out(coco: CocoData) -> None:
    """An annotation of a crowd is not an object."""
    crowd = {"id": 99, "image_id": 20, "category_id": 7, "bbox": [0, 0, 40, 20], "iscrowd": 1}
    coco.annotations.append(crowd)
    coco.write()
    splits = coco.load().loaded.splits
    box_counts = []
    for samples in splits.values():
        box_counts.extend(len(sample.boxes) for sample in samples)
    assert sum(box_counts) == BOXES


def test_boxes_are_clipped_to_their_image(coco: CocoData) -> None:
    """A box may exceed its image by a pixel, as rounding does."""
    coco.annotations[0]["bbox"] = [-0.5, 5, 20, 16]
    coco.write()
    boxes = []
    for sample in coco.load(val_fraction=0.1, test_fraction=0.1).loaded.splits["train"]:
        boxes.extend(sample.boxes)
    assert [0, 5, 19.5, 20] in boxes


def test_files_of_splits(coco: CocoData) -> None:
    """`{train,val,test}.json` are used as they are; a split without a file is cut from train."""
    coco.write("train.json")
    coco.write("test.json")
    data = coco.load()
    sizes = [len(list_images(data, split)) for split in ("train", "val", "test")]
    assert sizes == [19, 2, 21]


def test_splits_are_disjoint_and_complete(coco: CocoData) -> None:
    """Each image is in one split."""
    coco.write()
    images = list_all_images(coco.load())
    assert sorted(images) == sorted(coco.folder.glob("images/*.png"))


def test_splits_depend_on_the_seed_alone(coco: CocoData) -> None:
    """The same seed gives the same splits, another seed gives others."""
    coco.write()
    first = list_images(coco.load(split_seed=0), "test")
    assert list_images(coco.load(split_seed=0), "test") == first
    assert list_images(coco.load(split_seed=1), "test") != first


def test_folds_test_every_image_once(coco: CocoData) -> None:
    """The test splits of all folds are disjoint and cover the data."""
    coco.write()
    tested = []
    for fold in range(3):
        tested.extend(list_images(coco.load(folds=3, fold=fold), "test"))
    assert sorted(tested) == sorted(coco.folder.glob("images/*.png"))


def test_only_training_images_are_augmented() -> None:
    """A training image differs each time it is read; a validation image does not."""
    data = DataModule()
    data.setup("fit")
    for dataset, is_equal in ((data.train, False), (data.val, True)):
        first = dataset.__getitems__([0])["image"][0]
        second = dataset.__getitems__([0])["image"][0]
        assert torch.equal(first, second) == is_equal


@pytest.mark.parametrize("augment", [1, 20])
def test_augmented_boxes_are_inside_their_images(augment: float) -> None:
    """Boxes are clipped, and those outside removed with their labels, at any strength."""
    data = DataModule(augment=augment)
    data.setup("fit")
    batch = data.train.__getitems__(list(range(40)))
    for boxes, labels in zip(batch["boxes"], batch["labels"]):
        assert len(boxes) == len(labels)
        for box in boxes:
            assert min(box) >= 0
            assert max(box) <= 64


def test_flip_without_other_augmentation(coco: CocoData) -> None:
    """`flip` mirrors half of the images, and their boxes, also if `augment` is 0."""
    coco.annotations[0]["bbox"] = [0, 5, 20, 10]
    coco.write("train.json")
    coco.write("val.json")
    coco.write("test.json")
    data = coco.load(flip=True, augment=0)
    data.setup("fit")
    torch.manual_seed(0)
    boxes = data.train.__getitems__([0] * 20)["boxes"]
    assert [[0, 4, 16, 12]] in boxes
    assert [[16, 4, 32, 12]] in boxes


@pytest.mark.parametrize(
    ("list_name", "change", "message"),
    [
        ("annotations", {"image_id": 50}, "annotations[3], id 3: no image has id 50"),
        ("annotations", {"category_id": 1}, "annotations[3], id 3: no category has id 1"),
        ("annotations", {"bbox": [10, 5, 0, 10]}, "bbox [10, 5, 0, 10] has no area"),
        ("annotations", {"bbox": [30, 5, 20, 10]}, "is not inside its image of 40 x 20 pixels"),
        ("annotations", {"bbox": [10, 5, 20]}, "in pixels, got [10, 5, 20]"),
        ("annotations", {"bbox": [float("nan"), 5, 20, 10]}, "in pixels, got [nan, 5"),
        ("annotations", {"bbox": "[10, 5, 20, 10]"}, "bbox must be [x, y, width, height], got '["),
        ("annotations", {"id": 4}, "annotations[4], id 4: id 4 is that of another entry"),
        ("images", {"file_name": "none.png"}, "none.png cannot be read (No such file"),
        ("images", {"width": 41}, "width and height are (41, 20), but"),
    ],
)
def test_wrong_entries_are_errors(
    list_name: str, change: dict, message: str, coco: CocoData
) -> None:
    """An error is one line that names the file, the list, the entry and the value."""
    getattr(coco, list_name)[3].update(change)
    coco.write()
    [line] = read_errors(coco.load())
    assert line.startswith(f"{coco.folder / 'annotations.json'}: {list_name}[")
    assert message in line


def test_wrong_ids_of_images_are_errors(coco: CocoData) -> None:
    """An id has the right type and is unique; what refers to the image is reported as well."""
    coco.images[3]["id"] = 4
    coco.images[5]["id"] = [5]
    coco.write()
    lines = read_errors(coco.load())
    for message in (
        "images[4], id 4: id 4 is that of another entry",
        "images[5], id [5]: id must be a number or text, got [5]",
        "annotations[3], id 3: no image has id 3",
        "annotations[5], id 5: no image has id 5",
    ):
        assert sum(message in line for line in lines) == 1
    assert len(lines) == 4


def test_all_errors_are_reported_at_once(coco: CocoData) -> None:
    """Files, categories and images have a line each."""
    coco.categories.append({"id": 9, "name": "red"})
    coco.categories.append({"id": 10, "name": "green"})
    coco.write("train.json")
    (coco.folder / "val.json").write_text("{")
    (coco.folder / "test.json").write_text("[]")
    (coco.folder / "images/2.png").write_bytes(b"no image")
    lines = read_errors(coco.load())
    for message in (
        "val.json: must be a JSON file in COCO's format",
        "test.json: categories must be a list with entries, got None",
        "test.json: images must be a list with entries, got None",
        "test.json: annotations must be a list with entries, got None",
        "categories[2], id 9: name 'red' is that of another entry",
        "train has no box of category 'green'",
        "images[2], id 2: ",
    ):
        assert sum(message in line for line in lines) == 1
    assert len(lines) == 7


def test_narrow_images_are_errors(coco: CocoData) -> None:
    """Scaled by its longer side, such an image would have hardly a pixel on the other."""
    Image.new("RGB", (170, 10)).save(coco.folder / "narrow.png")
    coco.write()
    [line] = read_errors(coco.load(predict_path=str(coco.folder / "narrow.png")))
    assert "narrow.png: one side may be 16 times as long as the other" in line


def test_missing_folder_is_an_error() -> None:
    """Without any JSON file, the default name is looked for."""
    [line] = read_errors(DataModule(path="nowhere"))
    assert "annotations.json: must be a JSON file" in line
