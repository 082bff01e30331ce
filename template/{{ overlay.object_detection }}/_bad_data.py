"""A folder of images with boxes in COCO's format, with every error that the reader knows."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

SIDE = 32
IMAGES = 40
DOGS = 2  # images with a dog; all others have a cat

WRONG_ANNOTATIONS: list[dict[str, Any]] = [
    {"image_id": 999},
    {"category_id": 77},
    {"bbox": [4, 4, -3, 9]},
    {"bbox": [4, 4, 0, 9]},
    {"bbox": [30, 4, 9, 9]},
    {"bbox": [4, float("nan"), 9, 9]},
    {"bbox": [4, 4, "9", 9]},
    {"bbox": [4, 4, 9, True]},
    {"bbox": [4, 4, 9]},
    {"bbox": None},
    {"id": 3},
]


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write images, and the files of three splits."""
    write_train(folder)
    write_val(folder)
    (folder / "test.json").write_text('{"images": [')
    return BadData(
        options=[f"--data.path={folder}"],
        errors=[
            "no image has id 999",
            "no category has id 77",
            "bbox [4, 4, -3, 9] has no area",
            "bbox [4, 4, 0, 9] has no area",
            "bbox [30, 4, 9, 9] is not inside its image of 32 x 32 pixels",
            "in pixels, got [4, nan, 9, 9]",
            "in pixels, got [4, 4, '9', 9]",
            "in pixels, got [4, 4, 9, True]",
            "in pixels, got [4, 4, 9];",
            "bbox must be [x, y, width, height], got None",
            "id 3: id 3 is that of another entry",
            "images[5], id 5: width and height are (64, 32), but",
            "images[6], id 6: ",
            "images[7], id 7: ",
            "images[8], id 8: file_name must be text, got 8",
            "images/10.png: one side may be 16 times as long as the other",
            "images[40], id 9: id 9 is that of another entry",
            "images[41]: id must be a number or text, got None",
            "images[41]: width must be a number of pixels, got None",
            "images[41]: height must be a number of pixels, got None",
            "name 'dog' is that of another entry",
            "train has no box of category 'owl'",
            "val.json: categories[0], id 9: train has no category 'emu'",
            "test.json: must be a JSON file in COCO's format",
        ],
        notes=["classes are uneven", "1 of val are in train as well"],
    )


def write_train(folder: Path) -> None:
    """Write many images, a file with an entry for each, and what is wrong with some."""
    (folder / "images").mkdir(parents=True)
    images = []
    annotations = []
    for i in range(IMAGES):
        images.append(make_image(i, f"{i}.png"))
        category = 2 if i >= IMAGES - DOGS else 1
        annotations.append(make_annotation(i, image_id=i, category_id=category))
        Image.new("RGB", (SIDE, SIDE), (i, 0, 200)).save(folder / "images" / f"{i}.png")
    for i, wrong in enumerate(WRONG_ANNOTATIONS):
        annotation = make_annotation(100 + i, image_id=0, category_id=1)
        annotation.update(wrong)
        annotations.append(annotation)

    images[5]["width"] = 64
    (folder / "images/6.png").unlink()
    (folder / "images/7.png").write_bytes(b"not an image")
    images[8]["file_name"] = 8
    Image.new("RGB", (17 * SIDE, SIDE)).save(folder / "images/10.png")
    images.append(make_image(9, "second9.png"))
    images.append({"file_name": "nameless.png"})
    categories = [
        {"id": 1, "name": "cat"},
        {"id": 2, "name": "dog"},
        {"id": 3, "name": "dog"},
        {"id": 4, "name": "owl"},
    ]
    write_json(folder / "train.json", images, annotations, categories)


def write_val(folder: Path) -> None:
    """Write a copy of a training image, with a category that train lacks."""
    original = folder / "images/0.png"
    (folder / "images/copy.png").write_bytes(original.read_bytes())
    write_json(
        folder / "val.json",
        images=[make_image("a", "copy.png")],
        annotations=[make_annotation(0, image_id="a", category_id=9)],
        categories=[{"id": 9, "name": "emu"}],
    )


def make_image(image_id: int | str, file_name: str) -> dict[str, Any]:
    return {"id": image_id, "file_name": file_name, "width": SIDE, "height": SIDE}


def make_annotation(annotation_id: int, image_id: int | str, category_id: int) -> dict[str, Any]:
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [4, 4, 9, 9],
    }


def write_json(
    path: Path, images: list[dict], annotations: list[dict], categories: list[dict]
) -> None:
    lists = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(lists))
