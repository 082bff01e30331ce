"""Folders of images with every error that the reader knows."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

IMAGE_COUNTS = {"train": 60, "val": 3, "test": 3}  # of cats
SIDE = 24


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write images to train on and a folder to predict."""
    data = folder / "data"
    predict = folder / "predict"
    predict.mkdir(parents=True)
    for split, count in IMAGE_COUNTS.items():
        for i in range(count):
            write_image(data / split / "cat" / f"{i}.png")
    write_image(data / "train/dog/0.png")
    write_unreadable_images(data)
    write_misplaced_images(data)

    # What the reader accepts, with a note.
    (data / "train/cat/names.txt").write_text("Tom")
    first, second = noise("first frame"), noise("second frame")
    first.save(data / "train/cat/moving.gif", save_all=True, append_images=[second])
    (data / "val/dog").mkdir()
    (data / "val/dog/copy.png").write_bytes((data / "train/dog/0.png").read_bytes())

    return BadData(
        options=[f"--data.path={data}", f"--data.predict_path={predict}"],
        errors=[
            "dog/empty.png cannot be read (not in an image format)",
            "dog/text.jpg cannot be read (not in an image format)",
            "dog/truncated.jpg cannot be read (image file is truncated",
            "dog/truncated.png cannot be read (",
            "cat/floats.tiff cannot be read (the range of floating-point pixels is unknown)",
            "cat/folder.png cannot be read (Is a directory)",
            "cat/broken_link.png cannot be read (No such file or directory)",
            "train/loose.png: image outside the class folders",
            "val/yak: train has no class of this name",
            "extra: beside train only val and test",
            "train/emu: no image found there",
            "val/emu: no image found there",
            "test/emu: no image found there",
            "test/dog: no image found there",
            "predict: no image found there",
        ],
        notes=[
            "train has 64 of 'cat' and 5 of 'dog'",
            "1 of val are in train as well",
            "skipped 1 file (names.txt)",
            "only the first frame is used of 1 file (moving.gif)",
        ],
    )


def write_unreadable_images(data: Path) -> None:
    dogs = data / "train/dog"
    (dogs / "empty.png").touch()
    (dogs / "text.jpg").write_text("not an image")
    photo = BytesIO()
    noise("photo").save(photo, "JPEG")
    (dogs / "truncated.jpg").write_bytes(photo.getvalue()[:-200])
    (dogs / "truncated.png").write_bytes((dogs / "0.png").read_bytes()[:-100])

    cats = data / "train/cat"
    Image.new("F", (SIDE, SIDE), 0.5).save(cats / "floats.tiff")
    (cats / "folder.png").mkdir()
    (cats / "broken_link.png").symlink_to(data / "nowhere.png")


def write_misplaced_images(data: Path) -> None:
    write_image(data / "train/loose.png")
    write_image(data / "val/yak/0.png")
    write_image(data / "extra/0.png")
    (data / "train/emu").mkdir()


def write_image(path: Path) -> None:
    """Write an image that differs from all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise(str(path)).save(path)


def noise(name: str) -> Image.Image:
    """Random pixels, seeded by a name."""
    random = np.random.default_rng(list(name.encode()))
    return Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8))
