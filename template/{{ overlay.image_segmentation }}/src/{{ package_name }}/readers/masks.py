# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reads and validates folders of images and masks."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..harness.errors import ErrorCollector, UserError
from .images import ImageInfo, check_images, find_splits, list_images, open_image, reading

IGNORED = 255  # the index of pixels that neither the loss nor the metrics count
MIN_CLASSES = 2
MASK_MODES = ("L", "P", "1")  # of Pillow: one channel of at most 8 bits


@dataclass(frozen=True)
class Sample:
    """An image with the class of each pixel.

    Args:
        name: the path of the image, or its number if it is in memory.
        image: the image, or its file.
        mask: class indices, uint8 (H, W), or their file; None for `predict`.
        pixel_counts: the number of pixels of each class that occurs, without ignored pixels.
    """

    name: str | int
    image: Image.Image | Path
    mask: np.ndarray | Path | None = None
    pixel_counts: dict[int, int] = field(default_factory=dict)

    def largest_class(self) -> int:
        """The class with the most pixels; 0, the background, only if there is no other."""
        counts = dict(self.pixel_counts)
        if len(counts) > 1:
            counts.pop(0, None)
        return max(counts, key=counts.__getitem__)


@dataclass(frozen=True)
class MaskFolder:
    """What a folder contains.

    Args:
        splits: the samples of each split that is given; without split folders, all are in `train`.
        class_names: the lines of `classes.txt`, or numbers.
        images: what is known of the image files, by path; only on global rank 0.
    """

    splits: dict[str, list[Sample]]
    class_names: list[str]
    images: dict[Path, ImageInfo]


@dataclass(frozen=True)
class FilePair:
    """An image file and the mask of the same name."""

    image: Path
    mask: Path


def read_mask_folder(root: Path, errors: ErrorCollector) -> MaskFolder:
    """Read `images/` and `masks/`, or `train/images/`, `train/masks/`, `val/...`, `test/...`.

    Args:
        root: the folder `data.path`.
        errors: receives a line for everything that is wrong; such samples are left out.

    Raises:
        UserError: with all errors so far, if no sample is left to train on.
    """
    class_names = read_class_names(root / "classes.txt", errors)
    pairs = find_pairs(root, errors)
    image_paths = []
    for split_pairs in pairs.values():
        image_paths.extend(pair.image for pair in split_pairs)
    images = check_images(image_paths, errors)

    splits = {}
    for split, split_pairs in pairs.items():
        splits[split] = read_samples(split_pairs, images, len(class_names), errors)
    if not splits["train"]:
        errors.raise_if_any()
    if not class_names:
        class_names = number_classes(root, splits, errors)
    return MaskFolder(splits, class_names, images)


# ---- Class names ---------------------------------------------------------------------------------


def read_class_names(path: Path, errors: ErrorCollector) -> list[str]:
    """The lines of a file; none if there is no such file, or it cannot be used."""
    if not path.is_file():
        return []
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        errors.append(
            f"{path}: must be UTF-8 text with one class name per line ({error}); save it as UTF-8"
        )
        return []
    names = [line.strip() for line in text.rstrip().splitlines()]
    if names and not MIN_CLASSES <= len(names) <= IGNORED:
        errors.append(
            f"{path}: must name {MIN_CLASSES} to {IGNORED} classes, got {len(names)};"
            " write one per line, the background first"
        )
        return []
    check_class_names(path, names, errors)
    return names


def check_class_names(path: Path, names: Sequence[str], errors: ErrorCollector) -> None:
    """Report empty lines and repeated names."""
    line_of_name: dict[str, int] = {}
    for line, name in enumerate(names, start=1):
        if not name:
            errors.append(f"{path}, line {line}: no name for class {line - 1}; add it")
        elif name in line_of_name:
            first = line_of_name[name]
            errors.append(f"{path}, line {line}: {name!r} is also in line {first}; rename one")
        else:
            line_of_name[name] = line


def number_classes(
    root: Path, splits: Mapping[str, list[Sample]], errors: ErrorCollector
) -> list[str]:
    """The numbers of the classes, as names, from 0 to the highest in any mask."""
    highest = 0
    for samples in splits.values():
        for sample in samples:
            highest = max(highest, *sample.pixel_counts)
    if highest == 0:
        errors.append(
            f"{root}: masks must have {MIN_CLASSES} classes or more, all have class 0 only"
            f" ({IGNORED} is ignored); write 1 for class 1"
        )
    return [str(index) for index in range(highest + 1)]


# ---- Files ---------------------------------------------------------------------------------------


def find_pairs(root: Path, errors: ErrorCollector) -> dict[str, list[FilePair]]:
    """The images and masks of each split, without those that lack the other."""
    given = find_splits(root)
    if not given:
        return {"train": pair_files(root, errors)}
    return {split: pair_files(root / split, errors) for split in given}


def pair_files(folder: Path, errors: ErrorCollector) -> list[FilePair]:
    """The files in `images/` and `masks/` that have the same name, apart from the suffix."""
    images = find_files(folder / "images", errors)
    masks = find_files(folder / "masks", errors)
    if not images or not masks:
        return []  # reported already
    for name in sorted(images.keys() - masks.keys()):
        errors.append(f"{images[name]}: has no mask {name}.png; add the mask or remove the image")
    for name in sorted(masks.keys() - images.keys()):
        errors.append(f"{masks[name]}: has no image {name}; add the image or remove the mask")
    pairs = []
    for name, image in images.items():
        if name in masks:
            pairs.append(FilePair(image, masks[name]))
    return pairs


def find_files(folder: Path, errors: ErrorCollector) -> dict[str, Path]:
    """The images in a folder and below, by name: the path within the folder, without suffix."""
    if not folder.is_dir():
        errors.append(
            f"{folder}: no such folder; data.path must contain images/ and masks/,"
            " or train/ with these two"
        )
        return {}
    paths: dict[str, Path] = {}
    for path in list_images(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in paths:
            errors.append(f"{path}: has the same name as {paths[name].name}; rename or remove one")
        else:
            paths[name] = path
    if not paths:
        errors.append(f"{folder}: no image found there; add some")
    return paths


# ---- Masks ---------------------------------------------------------------------------------------


def read_samples(
    pairs: Sequence[FilePair],
    images: Mapping[Path, ImageInfo],
    class_count: int,
    errors: ErrorCollector,
) -> list[Sample]:
    """The samples whose masks are valid; see `read_sample`."""
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding the interpreter's lock
        jobs = [pool.submit(read_sample, pair, images, class_count) for pair in pairs]
    samples = []
    for job in jobs:
        with errors:
            samples.append(job.result())
    return samples


def read_sample(pair: FilePair, images: Mapping[Path, ImageInfo], class_count: int) -> Sample:
    """Read and check a mask.

    Args:
        pair: the files.
        images: the sizes of the images that could be read.
        class_count: the number of class names, 0 if there are none.

    Raises:
        UserError: if it cannot be read, does not fit its image, or has impossible classes.
    """
    class_indices = read_mask(pair.mask)
    if pair.image in images:
        check_size(pair.mask, class_indices, images[pair.image])
    pixel_counts = count_pixels(class_indices)
    if not pixel_counts:
        raise UserError(
            f"{pair.mask}: all pixels are {IGNORED}, which is ignored;"
            " label some, or remove the mask and its image"
        )
    if class_count:
        check_class_indices(pair.mask, class_indices, class_count)
    return Sample(
        name=str(pair.image),
        image=pair.image,
        mask=pair.mask,
        pixel_counts=pixel_counts,
    )


def read_mask(path: Path) -> np.ndarray:
    """The class index of each pixel, uint8 (H, W).

    Raises:
        UserError: if it is not a PNG file with one channel of 8 bits, or cannot be read.
    """
    with reading(path), open_image(path) as image:
        if image.format != "PNG" or image.mode not in MASK_MODES:
            raise UserError(
                f"{path}: a mask must be PNG of mode L or P, got {image.format} of mode"
                f" {image.mode}; save the class index of each pixel"
            )
        return np.asarray(image).astype(np.uint8)


def count_pixels(class_indices: np.ndarray) -> dict[int, int]:
    """The number of pixels of each class that occurs, in ascending order, without ignored ones."""
    indices, counts = np.unique(class_indices, return_counts=True)
    pixel_counts = dict(zip(indices.tolist(), counts.tolist()))
    pixel_counts.pop(IGNORED, None)
    return pixel_counts


def check_size(mask: Path, class_indices: np.ndarray, image: ImageInfo) -> None:
    """Raise a `UserError` if a mask and its image differ in size."""
    height, width = class_indices.shape
    if (width, height) != (image.width, image.height):
        raise UserError(
            f"{mask}: must have the size of its image, {image.width} x {image.height},"
            f" got {width} x {height}; scale it to fit"
        )


def check_class_indices(mask: Path, class_indices: np.ndarray, class_count: int) -> None:
    """Raise a `UserError` if a mask has a class without a name."""
    is_unknown = (class_indices >= class_count) & (class_indices != IGNORED)
    if is_unknown.any():
        y, x = np.argwhere(is_unknown)[0]
        raise UserError(
            f"{mask}: classes.txt names classes 0 to {class_count - 1}, the pixel at x={x}, y={y}"
            f" has class {class_indices[y, x]}; change it or name the class"
        )
