# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reads folders of images with boxes in COCO's format (https://cocodataset.org/#format-data)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ..harness.errors import ErrorCollector, UserError
from ..harness.splits import SPLITS
from .coco_entries import CocoFile, Entries, Entry, read_coco_file, shorten
from .images import ImageInfo, check_images

BOX_LENGTH = 4
MAX_COORDINATE = 1e6
MIN_SIDE = 0.01  # pixels; a box with a shorter side has no area
TOLERANCE = 1.0  # pixels by which a box may exceed its image; it is clipped
MAX_ASPECT_RATIO = 16


@dataclass
class Sample:
    """An image with the objects in it.

    Args:
        image: the image, or the path of its file.
        boxes: [x1, y1, x2, y2] of each object, in pixels.
        labels: the class index of each object, from 0.
        origin: the entry in a JSON file that names the image.
        stated_size: width and height in that entry.
    """

    image: Image.Image | Path
    boxes: list[list[float]]
    labels: list[int]
    origin: str = ""
    stated_size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class CocoFolder:
    """What a folder contains.

    Args:
        splits: the samples of each split that is given; those of `annotations.json` are `train`.
        class_names: by label: the names of the categories of `train`.
        images: what is known of the image files, by path; only on global rank 0.
    """

    splits: dict[str, list[Sample]]
    class_names: list[str]
    images: dict[Path, ImageInfo]


def read_coco_folder(root: Path, errors: ErrorCollector) -> CocoFolder:
    """Read `annotations.json`, or `train.json`, `val.json` and `test.json`, and check all images.

    Args:
        root: the folder `data.path`, with the images in `images/`.
        errors: receives a line for everything that is wrong; such entries are left out.

    Raises:
        UserError: with all errors so far, if no sample is left to train on.
    """
    splits: dict[str, list[Sample]] = {"train": []}
    class_names: list[str] = []
    for split, path in find_files(root, errors).items():
        with errors:
            file = read_coco_file(path, errors)
            class_names = class_names or list_names(file.categories)
            splits[split] = make_samples(path, file, class_names, errors)
    if not splits["train"]:
        errors.raise_if_any()
    images = check_sample_images(splits, errors)
    return CocoFolder(splits, class_names, images)


def find_files(root: Path, errors: ErrorCollector) -> dict[str, Path]:
    """The JSON file of each split that has one."""
    paths = {}
    for split in SPLITS:
        path = root / f"{split}.json"
        if path.is_file():
            paths[split] = path
    if "train" in paths:
        return paths
    for path in paths.values():
        errors.append(
            f"{path}: needs train.json beside it; add it, or rename annotations.json to it"
        )
    return {"train": root / "annotations.json"}


# ---- Boxes ---------------------------------------------------------------------------------------


def list_names(categories: Entries) -> list[str]:
    """The names of the valid categories."""
    names = []
    for category in categories.values():
        if category is not None:
            names.append(category.fields["name"])
    return names


def make_samples(
    path: Path, file: CocoFile, class_names: list[str], errors: ErrorCollector
) -> list[Sample]:
    """The samples in a file; everything that is wrong with their objects is added to the errors."""
    labels: dict[int | str, int | None] = {}
    for category_id, category in file.categories.items():
        labels[category_id] = None  # stands for an invalid category
        with errors:
            labels[category_id] = find_label(category, class_names)

    samples: dict[int | str, Sample | None] = {}
    for image_id, image in file.images.items():
        samples[image_id] = make_sample(path.parent / "images", image)

    for annotation in file.annotations.values():
        with errors:
            add_object(annotation, samples, labels)
    return [sample for sample in samples.values() if sample is not None]


def find_label(category: Entry | None, class_names: list[str]) -> int | None:
    """The class index of a category; None if its entry is invalid.

    Raises:
        UserError: if `train` has no such category.
    """
    if category is None:
        return None
    name = category.fields["name"]
    if name not in class_names:
        raise UserError(
            f"{category.origin}: train has no category {name!r}; add it there or remove it here"
        )
    return class_names.index(name)


def make_sample(folder: Path, image: Entry | None) -> Sample | None:
    """A sample without objects; None if its entry is invalid."""
    if image is None:
        return None
    fields = image.fields
    return Sample(
        image=folder / fields["file_name"],
        boxes=[],
        labels=[],
        origin=image.origin,
        stated_size=(fields["width"], fields["height"]),
    )


def add_object(
    annotation: Entry | None,
    samples: Mapping[int | str, Sample | None],
    labels: Mapping[int | str, int | None],
) -> None:
    """Add an object to its sample, unless it is a crowd or one of its entries is invalid.

    Raises:
        UserError: if it refers to no image or category, or its box is wrong.
    """
    if annotation is None:
        return
    fields = annotation.fields
    image_id = fields["image_id"]
    category_id = fields["category_id"]
    if image_id not in samples:
        raise annotation.error(f"no image has id {shorten(image_id)}")
    if category_id not in labels:
        raise annotation.error(f"no category has id {shorten(category_id)}")
    check_box(annotation)
    sample = samples[image_id]
    label = labels[category_id]
    if sample is None:
        return
    box = clip_box(annotation, sample.stated_size)
    if label is not None and not fields.get("iscrowd"):
        sample.boxes.append(box)
        sample.labels.append(label)


def check_box(annotation: Entry) -> None:
    """Raise a `UserError` if the box is not four numbers, or has no area."""
    box = annotation.fields["bbox"]
    numbers = [value for value in box if is_coordinate(value)]
    if len(box) != BOX_LENGTH or len(numbers) != BOX_LENGTH:
        raise annotation.error(f"bbox must be [x, y, width, height] in pixels, got {shorten(box)}")
    _, _, width, height = box
    if min(width, height) < MIN_SIDE:
        raise annotation.error(f"bbox {box} has no area")


def is_coordinate(value: Any) -> bool:
    """Whether it is a number, but neither nan nor absurdly large."""
    if type(value) not in (int, float):
        return False
    return abs(value) < MAX_COORDINATE


def clip_box(annotation: Entry, image_size: tuple[int, int]) -> list[float]:
    """The part of a box that is inside its image, as [x1, y1, x2, y2].

    Raises:
        UserError: if the rest is more than the tolerance, or that part has no area.
    """
    box = annotation.fields["bbox"]
    left, top, width, height = box
    right = left + width
    bottom = top + height
    image_width, image_height = image_size
    its_image = f"its image of {image_width} x {image_height} pixels"
    is_inside = (
        left >= -TOLERANCE
        and top >= -TOLERANCE
        and right <= image_width + TOLERANCE
        and bottom <= image_height + TOLERANCE
    )
    if not is_inside:
        raise annotation.error(f"bbox {box} is not inside {its_image}")
    x1 = max(0, left)
    y1 = max(0, top)
    x2 = min(image_width, right)
    y2 = min(image_height, bottom)
    if min(x2 - x1, y2 - y1) < MIN_SIDE:
        raise annotation.error(f"bbox {box} has no area inside {its_image}")
    return [x1, y1, x2, y2]


# ---- Images --------------------------------------------------------------------------------------


def check_sample_images(
    splits: Mapping[str, list[Sample]], errors: ErrorCollector
) -> dict[Path, ImageInfo]:
    """Read all images, and compare their sizes with those in their entries."""
    all_samples = []
    for samples in splits.values():
        all_samples.extend(samples)
    origins = {}
    for sample in all_samples:
        if isinstance(sample.image, Path):
            origins[sample.image] = sample.origin
    images = check_images(list(origins), errors, origins)
    for sample in all_samples:
        path = sample.image
        if isinstance(path, Path) and path in images:
            with errors:
                check_aspect_ratio(path, images[path])
                check_stated_size(sample, images[path])
    return images


def check_aspect_ratio(path: Path, image: ImageInfo) -> None:
    """Raise a `UserError` if an image is too narrow to be scaled by its longer side."""
    longer = max(image.width, image.height)
    shorter = min(image.width, image.height)
    if longer > MAX_ASPECT_RATIO * shorter:
        raise UserError(
            f"{path}: one side may be {MAX_ASPECT_RATIO} times as long as the other at most,"
            f" got {image.width} x {image.height} pixels; crop it"
        )


def check_stated_size(sample: Sample, image: ImageInfo) -> None:
    """Raise a `UserError` if an image does not have the size that its entry states."""
    size = (image.width, image.height)
    if sample.stated_size != size:
        raise UserError(
            f"{sample.origin}: width and height are {sample.stated_size},"
            f" but {sample.image} has {size}; correct them"
        )
