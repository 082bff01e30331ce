"""A data set with more wrong in it than any should have, and what `fit` says to each."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

SIZE = 32


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Writes it; the options that name it, a piece of the line for each fault, and of each note."""
    (folder / "images").mkdir(parents=True)
    images = [{"id": i, "file_name": f"{i}.png", "width": SIZE, "height": SIZE} for i in range(40)]
    for image in images:
        Image.new("RGB", (SIZE, SIZE), (image["id"], 0, 200)).save(folder / "images" / image["file_name"])
    boxes = [{"id": i, "image_id": i, "category_id": 1 + (i > 37), "bbox": [4, 4, 9, 9]} for i in range(40)]
    bad: list[tuple[dict[str, Any], str]] = [
        ({"image_id": 999}, "no image has the id 999"),
        ({"category_id": 77}, "no category has the id 77"),
        ({"bbox": [4, 4, -3, 9]}, "bbox [4, 4, -3, 9] has no area"),
        ({"bbox": [4, 4, 0, 9]}, "bbox [4, 4, 0, 9] has no area"),
        ({"bbox": [30, 4, 9, 9]}, f"bbox [30, 4, 9, 9] is not inside its image of {SIZE} x {SIZE} pixels"),
        ({"bbox": [4, float("nan"), 9, 9]}, "in pixels, not [4, nan, 9, 9]"),
        ({"bbox": [4, 4, "9", 9]}, "in pixels, not [4, 4, '9', 9]"),
        ({"bbox": [4, 4, 9, True]}, "in pixels, not [4, 4, 9, True]"),
        ({"bbox": [4, 4, 9]}, "in pixels, not [4, 4, 9]"),
        ({"bbox": None}, "bbox is [x, y, width, height], not None"),
        ({"id": 3}, "id 3: id 3 is that of another"),
    ]
    entries = [
        {"id": 100 + i, "image_id": 0, "category_id": 1, "bbox": [1, 1, 5, 5], **c} for i, (c, _) in enumerate(bad)
    ]
    images[5]["width"] = 64
    (folder / "images/6.png").unlink()
    (folder / "images/7.png").write_bytes(b"no image")
    images[8]["file_name"] = 8
    images += [{"id": 9, "file_name": "9b.png", "width": SIZE, "height": SIZE}, {"file_name": "x.png"}]
    categories = [{"id": i, "name": name} for i, name in ((1, "cat"), (2, "dog"), (3, "dog"), (4, "owl"))]
    write(folder / "train.json", images, boxes + entries, categories)
    copy = {"id": "a", "file_name": "copy.png", "width": SIZE, "height": SIZE}
    (folder / "images/copy.png").write_bytes((folder / "images/0.png").read_bytes())
    write(
        folder / "val.json",
        [copy],
        [{"id": 0, "image_id": "a", "category_id": 9, "bbox": [1, 1, 5, 5]}],
        [{"id": 9, "name": "emu"}],
    )
    (folder / "test.json").write_text('{"images": [')
    faults = [said for _, said in bad]
    faults += [
        "5.png (32, 32)",
        "6.png: images are whole and 8-bit, this is not (No such file",
        "7.png: images are whole",
        "file_name is text, not 8",
    ]
    faults += ["images[40], id 9: id 9 is that of another", "images[41]: id is a number or text, not None"]
    faults += ["images[41]: width is", "images[41]: height is", "name 'dog' is that of another"]
    faults += [
        "no box of category 'owl'",
        "val.json: categories[0], id 9: train has no 'emu'",
        "test.json: data.path has",
    ]
    return ["--data.path", str(folder)], faults, ["classes are uneven", "1 of val are in train as well"]


def write(file: Path, images: list, annotations: list, categories: list) -> None:
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
