# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Folders of images and masks, read with care."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from . import Faults, UserError
from .scenes import list_images, read_image

IGNORED = 255  # in a mask, a pixel whose class does not count; Pascal VOC's void


class Sample(NamedTuple):
    """An image by its path or number, its mask or the path of that, and how many pixels each class has.

    `image` is there where it is in memory.
    """

    name: Any
    mask: Any
    pixels: dict[int, int]
    image: Any = None

    @property
    def main(self) -> int:
        """The class of most pixels, but for 0, unless that is all there is."""
        return max(self.pixels, key=lambda i: (i > 0, self.pixels[i]))


def read_folder(root: Path, faults: Faults) -> tuple[dict[str, list[Sample]], list[str]]:
    """The good samples of each split that is there, and the classes' names, or their numbers."""
    given = [name for name in ("train", "val", "test") if (root / "train").is_dir() and (root / name).is_dir()]
    names = read_names(root / "classes.txt", faults)
    pairs = [(name or "train", pair) for name in given or [""] for pair in pair_up(root / name, faults)]
    with ThreadPoolExecutor() as pool:  # Pillow decodes beside Python
        checked = [*pool.map(lambda job: check(job[1][0], job[1][1], len(names)), pairs)]
    splits: dict[str, list[Sample]] = {name: [] for name in given or ["train"]}
    for (split, _), (samples, found) in zip(pairs, checked):
        splits[split] += samples
        faults += found
    if not splits["train"]:
        faults.refuse()
    most = max(i for part in splits.values() for sample in part for i in sample.pixels)
    if not (names or most):
        faults.append(f"{root}: masks have 2 classes or more, these have 0 alone (255 is ignored): write 1 for class 1")
    return splits, names or [str(i) for i in range(most + 1)]


def read_names(path: Path, faults: Faults) -> list[str]:
    """The class in each line of a file; none where there is no such file."""
    names: list[str] = []
    if not path.is_file():
        return names
    try:
        names = [name.strip() for name in path.read_text("utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{path}: classes.txt is text in UTF-8, a name a line; {error}: save it so")
    if names and not 2 <= len(names) <= IGNORED:
        faults.append(f"{path}: there are 2 to {IGNORED} classes, not {len(names)}: a line for each, background first")
        return []
    for row, name in enumerate(names):
        if not name:
            faults.append(f"{path}, line {row + 1}: a line is the name of class {row}, this is empty: name it")
        elif (first := names.index(name)) < row:
            faults.append(f"{path}, line {row + 1}: names differ, {name!r} is in line {first + 1} as well: rename one")
    return names


def pair_up(folder: Path, faults: Faults) -> list[tuple[Path, Path]]:
    """The images and masks of one name, which may be in folders of their own."""
    images, masks = found = ({}, {})
    for here, kind in zip(found, ("images", "masks")):
        if not (folder / kind).is_dir():
            faults.append(f"{folder / kind}: no such folder; data.path has images/ and masks/, or train/ with these")
            continue
        for path in list_images(folder / kind):
            name = path.relative_to(folder / kind).with_suffix("").as_posix()
            if (first := here.setdefault(name, path)) != path:
                faults.append(f"{path}: a name has one file, {first.name} is there as well: rename or remove one")
        if not here:
            faults.append(f"{folder / kind}: there is nothing in it: add PNG files")
    for name in sorted(images.keys() ^ masks.keys()) if images and masks else []:
        here, other = (images, "mask") if name in images else (masks, "image")
        faults.append(
            f"{here[name]}: an image has a mask of its name, there is no {other} {name}: add it, or remove this"
        )
    return [(path, masks[name]) for name, path in images.items() if name in masks]


def check(image: Path, mask: Path, classes: int) -> tuple[list[Sample], Faults]:
    """One good sample, or what is wrong with it."""
    faults, size, pixels = Faults(), (0, 0), {}
    with faults:
        size = read_image(image).size
    with faults:
        indices = read_mask(mask)
        pixels, (height, width) = count(indices), indices.shape
        if size not in ((0, 0), (width, height)):
            raise UserError(
                f"{mask}: a mask is as large as its image, {size[0]} x {size[1]}, not {width} x {height}: redo it"
            )
        if not pixels:
            raise UserError(
                f"{mask}: all pixels are {IGNORED}, which is ignored: label some, or remove it and its image"
            )
        if classes and (most := max(pixels)) >= classes:
            y, x = np.argwhere(indices == most)[0]
            raise UserError(
                f"{mask}: classes are 0 to {classes - 1} by classes.txt, x={x}, y={y} is {most}: correct one"
            )
    return ([] if faults else [Sample(str(image), mask, pixels)]), faults


def count(indices: np.ndarray) -> dict[int, int]:
    """How many pixels each class has, where it has any."""
    return {i: n for i, n in enumerate(np.bincount(indices.ravel()).tolist()) if n and i != IGNORED}


def read_mask(path: Path) -> np.ndarray:
    """The class of each pixel, uint8 (H, W), of a PNG file with one channel of 8 bits; a UserError for another."""
    try:
        with Image.open(path) as image:
            kind, indices = f"{image.format} of mode {image.mode}", np.asarray(image)
    except Exception as error:  # Pillow has many kinds
        said = "no image" if isinstance(error, Image.UnidentifiedImageError) else getattr(error, "strerror", 0) or error
        raise UserError(f"{path}: a mask is whole and PNG, this is not ({said}): replace it") from error
    if kind not in ("PNG of mode L", "PNG of mode P", "PNG of mode 1"):
        raise UserError(f"{path}: a mask is PNG of mode L or P, the class of each pixel, not {kind}: save it so")
    return indices.astype(np.uint8)
