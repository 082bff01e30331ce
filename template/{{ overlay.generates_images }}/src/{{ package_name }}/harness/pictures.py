# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Folders of images, with a subfolder for each class or without any: found, read, and checked."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from . import Faults, UserError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def list_images(root: Path) -> list[str]:
    """What is named like an image in the folder and below, but for what is hidden; no link is followed in a circle."""
    found, seen = [], set()
    for folder, folders, files in os.walk(root, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders.clear()
        else:
            found += [Path(folder, name) for name in (*folders, *files) if name.lower().endswith(SUFFIXES)]
            folders[:] = [name for name in folders if name[0] != "."]
        seen.add(real)
    return sorted(str(path) for path in found if path.name[0] != ".")


def read_folder(root: Path, faults: Faults) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], list[str]]:
    """Paths (N,) and labels (N,) of each split that is there, or of `train` where none is, and names of the classes.

    What is where it should not be is added to the faults.
    """
    splits = [name for name in ("train", "val", "test") if (root / "train").is_dir() and (root / name).is_dir()]
    train = root / "train" if splits else root
    names = sorted(f.name for f in train.glob("[!.]*/") if f.is_dir() and not f.name.lower().endswith(SUFFIXES))
    found: dict[str, Any] = {split: ([], []) for split in splits or ["train"]}
    for path in list_images(root):
        split, *inner = Path(path).relative_to(root).parts if splits else ("train", *Path(path).relative_to(root).parts)
        folder = root / split if splits else root
        if split not in found:
            faults.append(f"{folder}: beside train there are val and test, and no other images: move it away")
        elif names and len(inner) == 1:
            faults.append(f"{path} is of no class, and train has {', '.join(names)}: put it in the folder of one")
        elif len(inner) > 1 and inner[0] not in names:
            faults.append(f"{folder / inner[0]}: train has no such class: add it there, or move it away")
        else:
            found[split][0].append(path)
            found[split][1].append(names.index(inner[0]) if names else 0)
    takes = f"data.path={root}: no such folder, or no image in it: it takes *.png, CLASS/*.png or train/..."
    faults += [] if names or found["train"][0] else [takes]
    empty = [root / split for split, (paths, _) in found.items() if split != "train" and not paths]
    empty += [train / name for label, name in enumerate(names) if label not in found["train"][1]]
    faults += [f"{folder} has no image, nor has what is in it: add some, or take it away" for folder in empty]
    return {split: (np.array(paths), np.array(labels, int)) for split, (paths, labels) in found.items()}, names


def read_image(path: str, shape: list[int]) -> np.ndarray:
    """Pixels (C, H, W) of a file; what is transparent is taken for white."""
    try:
        with Image.open(path) as image:
            frames, (short, long) = getattr(image, "n_frames", 1), sorted(image.size)
            image.load()
    except Exception as error:  # Pillow raises many kinds
        reason = getattr(error, "strerror", None) or str(error).partition(" '")[0]
        raise UserError(f"{path} is no readable image ({reason}): replace it, or take it out") from error
    if frames > 1:
        raise UserError(f"{path} has {frames} frames, and an image is one: save one of them alone")
    if image.mode.startswith(("I", "F")):
        raise UserError(f"{path} has more than 8 bits in a channel (Pillow's mode {image.mode}): save it with 8")
    if short < shape[-1]:
        size = f"{image.width} x {image.height}"
        raise UserError(
            f"{path} is {size} pixels, less than data.image_size={shape[-1]}: take it out, or set that lower"
        )
    if long > 4 * short:
        raise UserError(f"{path} is {long} pixels by {short}, of which a square is cut: crop it to 4 by 1, or less")
    return to_pixels(ImageOps.exif_transpose(image), shape)


def to_pixels(image: Image.Image, shape: list[int]) -> np.ndarray:
    """Pixels (C, H, W) with values from 0 to 255 of the square in the centre, resized."""
    channels, height, width = shape
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    fitted = ImageOps.fit(image.convert("L" if channels == 1 else "RGB"), (width, height), Image.Resampling.BICUBIC)
    return np.asarray(fitted).reshape(height, width, channels).transpose(2, 0, 1)
