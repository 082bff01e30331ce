# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Boxes read from COCO's JSON with care (https://cocodataset.org/#format-data), and boxes drawn."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.utils._pytree import tree_map_only
from torchvision.ops import remove_small_boxes

from . import FIRST, Faults, UserError
from .scenes import content, read_image

# What an entry of each kind has; a bool, which is an int to Python, is none of these.
ID, TEXT, PIXELS = ((int, str), "a number or text"), ((str,), "text"), ((int,), "a number of pixels")
KEYS = {
    "categories": {"id": ID, "name": TEXT},
    "images": {"id": ID, "file_name": TEXT, "width": PIXELS, "height": PIXELS},
    "annotations": {"id": ID, "image_id": ID, "category_id": ID, "bbox": ((list,), "[x, y, width, height]")},
}


class Sample(NamedTuple):
    """An image, or its path, with boxes [x1, y1, x2, y2] in pixels, and their labels from 0.

    where: the entry that names it; size: width and height, as that says.
    """

    image: Image.Image | str
    boxes: list[list[float]]
    labels: list[int]
    where: str = ""
    size: tuple[int, int] = (0, 0)


def read_coco(root: Path, faults: Faults) -> tuple[dict[str, list[Any]], list[str]]:
    """The samples of each split, and the names of train's categories; what is wrong is added to the faults."""
    given = [name for name in ("train", "val", "test") if (root / f"{name}.json").is_file()]
    splits: dict[str, list[Any]] = {"train": []}
    names: list[str] = []
    if given and "train" not in given:
        faults.append(f"{root / given[0]}.json: train.json is missing beside it; rename annotations.json")
    for split in given if "train" in given else ["annotations"]:
        with faults:
            samples, names = read_split(root / f"{split}.json", names, faults)
            splits[split.replace("annotations", "train")] = samples
    return splits, names


def read_split(file: Path, known: list[str], faults: Faults) -> tuple[list[Sample], list[str]]:
    """The samples of a file, and its categories, which are those known where some are."""
    try:
        text = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        rule = "data.path has train.json or annotations.json, in COCO's format"
        raise UserError(f"{file}: {rule}, not: {error}") from error
    found = text if isinstance(text, dict) else {}
    if bad := [kind for kind in KEYS if not isinstance(found.get(kind), list) or not (found[kind] or kind[0] == "a")]:
        raise UserError(*(f"{file}: {kind} are a list with some in it, not {found.get(kind)!r:.40}" for kind in bad))
    categories, images, annotations = (read_entries(file, kind, found[kind], faults) for kind in KEYS)
    there = [entry for entry in categories.values() if entry]
    names = known or [entry["name"] for entry in there]
    new = [entry for entry in there if entry["name"] not in names]
    faults += [f"{entry['where']}: train has no {entry['name']!r}; add it there, or take it out" for entry in new]
    labels = {
        key: names.index(entry["name"]) if entry.get("name") in names else -1 for key, entry in categories.items()
    }
    samples = {key: Sample("", [], []) for key in images}  # also of those with a fault
    for key, entry in images.items():
        if entry:
            path, size = file.parent / "images" / entry["file_name"], (entry["width"], entry["height"])
            samples[key] = Sample(str(path), [], [], entry["where"], size)
    for entry in filter(None, annotations.values()):
        if reason := fault_of(entry, samples, labels):
            faults.append(f"{entry['where']}: {reason}; correct it, or take it out")
        elif labels[entry["category_id"]] >= 0 and not entry.get("iscrowd"):
            sample = samples[entry["image_id"]]
            sample.boxes.append(inside(entry["bbox"], sample.size))
            sample.labels.append(labels[entry["category_id"]])
    return [sample for sample in samples.values() if sample.image], names


def read_entries(file: Path, kind: str, entries: list, faults: Faults) -> dict[Any, dict]:
    """The entries of a kind by their ids; one with a fault, which is added to the others, is empty."""
    found, seen = {}, set()
    for place, entry in enumerate(entries):
        values = {key: entry.get(key) if isinstance(entry, dict) else None for key in KEYS[kind]}
        where = f"{file}: {kind}[{place}]" + f", id {values['id']!r:.40}" * (values["id"] is not None)
        bad = {key: what for key, (types, what) in KEYS[kind].items() if type(values[key]) not in types}
        reasons = [f"{key} is {what}, not {values[key]!r:.40}" for key, what in bad.items()]
        own = {(key, values[key]) for key in ("id", "name", "file_name") if key in values and key not in bad}
        reasons += [f"{key} {value!r:.40} is that of another" for key, value in own & seen]
        faults += [f"{where}: {reason}; correct it, or take it out" for reason in reasons]
        seen |= own
        if "id" not in bad:
            found.setdefault(values["id"], {} if reasons else {**entry, "where": where})
    return found


def fault_of(entry: dict, samples: dict[Any, Sample], labels: dict[Any, int]) -> str:
    """What is wrong with an annotation, if anything is."""
    box = entry["bbox"]
    if entry["image_id"] not in samples:
        return f"no image has the id {entry['image_id']!r:.40}"
    if entry["category_id"] not in labels:
        return f"no category has the id {entry['category_id']!r:.40}"
    if len(box) != 4 or not all(type(value) in (int, float) and abs(value) < 1e6 for value in box):
        return f"bbox is [x, y, width, height] in pixels, not {box!r:.60}"
    if min(box[2:]) < 0.01:
        return f"bbox {box} has no area"
    across, down = samples[entry["image_id"]].size
    if across and (min(box[:2]) < -1 or box[0] + box[2] > across + 1 or box[1] + box[3] > down + 1):
        return f"bbox {box} is not inside its image of {across} x {down} pixels"
    left, top, right, bottom = inside(box, (across, down))
    if across and min(right - left, bottom - top) < 0.01:
        return f"bbox {box} has no area inside its image of {across} x {down} pixels"
    return ""


def inside(box: list[float], size: tuple[int, int]) -> list[float]:
    """What of COCO's [x, y, width, height] is in an image of that width and height, as [x1, y1, x2, y2]."""
    x, y, width, height = box
    return [max(0, x), max(0, y), min(size[0], x + width), min(size[1], y + height)]


def inspect(samples: list[Any], faults: Faults) -> dict[str, str]:
    """The contents of the image files, read by the first process alone; what is wrong is added to the faults."""
    with ThreadPoolExecutor() as pool:
        said = [*pool.map(look, samples if FIRST else [])]
    faults += filter(None, said)
    return {sample.image: content(sample.image) for sample, fault in zip(samples, said) if not fault}


def look(sample: Any) -> str:
    """What is wrong with an image file, if anything is."""
    try:
        size = read_image(sample.image).size
    except UserError as error:
        return f"{sample.where}: {error}"
    if max(size) > 16 * min(size):
        return f"{sample.where}: {sample.image} is {size[0]} x {size[1]} pixels: crop it to 16 by 1, or less"
    differs = f"{sample.where}: width and height are {sample.size}, those of {sample.image} {size}; correct them"
    return differs if sample.size not in ((0, 0), size) else ""


def drop_empty(found: Any) -> Any:
    """Without the boxes of no area: what is found in a batch's padding is cut off at the edge of its image."""
    if isinstance(found, dict):  # losses
        return found
    kept = [remove_small_boxes(one["boxes"], 1e-3) for one in found]
    return [{name: values[rows] for name, values in one.items()} for one, rows in zip(found, kept)]


def widen(values: Any) -> Any:
    """All tensors in single precision at least."""
    return tree_map_only(Tensor, lambda value: value.to(torch.promote_types(value.dtype, torch.float32)), values)


def draw(picture: Image.Image, rows: list[dict], class_names: list[str]) -> Image.Image:
    """The picture with its boxes, labels and confidences; a small one is enlarged."""
    zoom = max(1, 512 // max(picture.size))
    canvas = picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.BICUBIC)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size := max(16, max(canvas.size) // 40))
    for row in reversed(rows):  # the surest on top
        x1, y1, x2, y2 = (value * zoom for value in row["box"])
        colour = f"hsl({class_names.index(row['label']) * 137.5 % 360:.0f}, 85%, 40%)"  # the golden angle apart
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=size // 5)
        text = f" {row['label']} {row['confidence']:.2f} "
        place = min(x1, canvas.width - font.getlength(text)), max(0, y1 - 1.3 * size)
        pen.rectangle((*place, place[0] + font.getlength(text), place[1] + 1.3 * size), fill=colour)
        pen.text(place, text, "white", font)
    return canvas
