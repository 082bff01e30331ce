"""A folder of images and masks with every error that the reader knows."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 16
IGNORED = 255
BACKGROUND, CAT, OWL = 0, 1, 2
IMAGE_COUNTS = {"train": 24, "val": 3, "test": 3}  # of cats


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


class Paths(NamedTuple):
    """The files of a sample."""

    image: Path
    mask: Path


def write_bad_data(folder: Path) -> BadData:
    """Write images and masks to train on, and an empty folder to predict."""
    data = folder / "data"
    predict = folder / "predict"
    predict.mkdir(parents=True)
    for split, count in IMAGE_COUNTS.items():
        for i in range(count):
            write_sample(data / split, str(i), [BACKGROUND, CAT])
    write_sample(data / "train", "owl", [BACKGROUND, OWL])
    (data / "classes.txt").write_text("background\ncat\nowl\n\ncat\nunicorn\n")
    write_bad_pairs(data / "train")
    write_bad_images(data / "train")
    write_bad_masks(data / "train")

    # What the reader accepts, with a note.
    for kind in ("images", "masks"):
        original = data / "train" / kind / "0.png"
        (data / "val" / kind / "copy.png").write_bytes(original.read_bytes())
    (data / "test/images/notes.txt").write_text("taken at noon")

    return BadData(
        options=[f"--data.path={data}", f"--data.predict_path={predict}"],
        errors=[
            "classes.txt, line 4: no name for class 3",
            "classes.txt, line 5: 'cat' is also in line 2",
            "no pixel of train has class unicorn",
            "images/no_mask.png: has no mask no_mask.png",
            "masks/no_image.png: has no image no_image",
            "images/1.png: has the same name as 1.jpg",
            "images/text.png cannot be read (not in an image format)",
            "images/truncated.png cannot be read (",
            "images/folder.png cannot be read (Is a directory)",
            "images/floats.tiff cannot be read (the range of floating-point pixels",
            "masks/garbage.png cannot be read (",
            "masks/colors.png: a mask must be PNG of mode L or P, got PNG of mode RGB",
            "masks/lossy.png: a mask must be PNG of mode L or P, got JPEG of mode L",
            "masks/deep.png: a mask must be PNG of mode L or P, got PNG of mode I;16",
            "masks/narrow.png: must have the size of its image, 16 x 16, got 12 x 16",
            "masks/unknown_class.png: classes.txt names classes 0 to 5",
            "masks/ignored.png: all pixels are 255",
            "predict: no image found there",
        ],
        notes=[
            "28 of 'cat' and 1 of 'owl'",
            "1 of val are in train as well",
            "skipped 1 file",
        ],
    )


def write_bad_pairs(split: Path) -> None:
    write_sample(split, "no_mask", [BACKGROUND, CAT]).mask.unlink()
    write_sample(split, "no_image", [BACKGROUND, CAT]).image.unlink()
    Image.new("RGB", (SIDE, SIDE)).save(split / "images/1.jpg")


def write_bad_images(split: Path) -> None:
    write_sample(split, "text", [BACKGROUND, CAT]).image.write_text("not an image")
    truncated = write_sample(split, "truncated", [BACKGROUND, CAT]).image
    truncated.write_bytes(truncated.read_bytes()[:-200])
    is_folder = write_sample(split, "folder", [BACKGROUND, CAT]).image
    is_folder.unlink()
    is_folder.mkdir()
    write_sample(split, "floats", [BACKGROUND, CAT]).image.unlink()
    Image.new("F", (SIDE, SIDE), 0.5).save(split / "images/floats.tiff")


def write_bad_masks(split: Path) -> None:
    garbage = write_sample(split, "garbage", [BACKGROUND, CAT]).mask
    garbage.write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    colors = write_sample(split, "colors", [BACKGROUND]).mask
    Image.new("RGB", (SIDE, SIDE)).save(colors)
    lossy = write_sample(split, "lossy", [BACKGROUND]).mask
    Image.new("L", (SIDE, SIDE)).save(lossy, "JPEG")
    deep = write_sample(split, "deep", [BACKGROUND]).mask
    Image.fromarray(np.full((SIDE, SIDE), 40000, np.uint16)).save(deep)
    narrow = write_sample(split, "narrow", [BACKGROUND]).mask
    Image.new("L", (12, SIDE)).save(narrow)
    write_sample(split, "unknown_class", [BACKGROUND, 7])
    write_sample(split, "ignored", [IGNORED])


def write_sample(split: Path, name: str, classes: list[int]) -> Paths:
    """Write an image that differs from all others, and a mask with the classes in turn."""
    paths = Paths(split / "images" / f"{name}.png", split / "masks" / f"{name}.png")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(list(f"{split.name}/{name}".encode()))
    pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    class_indices = np.resize(np.array(classes, np.uint8), (SIDE, SIDE))
    Image.fromarray(pixels).save(paths.image)
    Image.fromarray(class_indices).save(paths.mask)
    return paths
