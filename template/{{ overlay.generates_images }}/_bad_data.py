"""Images with an error of every kind."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image


class BadData(NamedTuple):
    """Options of `fit`, and what it should report.

    Args:
        options: name the data.
        errors: a part of each line of the error.
        notes: a part of notes, among others.
    """

    options: list[str]
    errors: list[str]
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write images, some of which have errors, into an empty folder."""
    write_good_images(folder)
    write_unreadable_images(folder / "train/cat")
    write_unsuitable_images(folder / "train/cat")
    write_misplaced_images(folder)
    write_images_to_note(folder)
    errors = [
        "train/cat/empty.png cannot be read",
        "train/cat/text.jpg cannot be read",
        "train/cat/truncated.jpg cannot be read",
        "train/cat/truncated.png cannot be read",
        "train/cat/floats.tiff cannot be read",
        "train/cat/folder.png cannot be read (Is a directory)",
        "train/cat/broken_link.png cannot be read (No such file",
        "train/cat/small.png: both sides must have at least",
        "train/cat/wide.png: the longer side must be at most 4 times",
        "train/loose.png: image outside the class folders",
        "val/bird: train has no class of this name",
        "extra: beside train only val and test may contain images",
        "lost.png: beside train only val and test may contain images",
        "train/fish: no image found there",
    ]
    notes = [
        "train has 41 of 'cat' and 3 of 'dog'",
        "1 of test are in train as well",
        "notes.txt",
        "only the first frame is used of 1 file",
    ]
    return BadData(["--data.path", str(folder)], errors, notes)


def random_image(seed: str, size: tuple[int, int] = (40, 40)) -> Image.Image:
    """RGB noise of the given width and height, always the same for a seed."""
    width, height = size
    generator = np.random.default_rng(list(seed.encode()))
    return Image.fromarray(generator.integers(256, size=(height, width, 3), dtype=np.uint8))


def write_good_images(folder: Path) -> None:
    for name, count in {"train/cat": 30, "train/dog": 3, "val/cat": 4, "test/dog": 4}.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            random_image(f"{name}{i}").save(folder / name / f"good{i}.png")


def write_unreadable_images(cats: Path) -> None:
    (cats / "empty.png").touch()
    (cats / "text.jpg").write_text("this is text")
    for name in ("truncated.jpg", "truncated.png"):
        random_image(name).save(cats / name)
        whole = (cats / name).read_bytes()
        (cats / name).write_bytes(whole[:900])
    Image.fromarray(np.zeros((40, 40), np.float32)).save(cats / "floats.tiff")
    (cats / "folder.png").mkdir()
    (cats / "broken_link.png").symlink_to(cats / "nowhere.png")


def write_unsuitable_images(cats: Path) -> None:
    random_image("small", (31, 40)).save(cats / "small.png")
    random_image("wide", (170, 40)).save(cats / "wide.png")


def write_misplaced_images(folder: Path) -> None:
    for name in ("train/loose.png", "val/bird/bird.png", "extra/one.png", "lost.png"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        random_image(name).save(path)
    (folder / "train/fish").mkdir()


def write_images_to_note(folder: Path) -> None:
    """Write images that a note mentions, and files that are ignored."""
    cats = folder / "train/cat"
    random_image("twin").save(cats / "twin.png")
    random_image("twin").save(folder / "test/dog/twin.png")
    (cats / "notes.txt").write_text("not an image")
    frames = [random_image("frame 2"), random_image("frame 3")]
    random_image("frame 1").save(cats / "animation.gif", save_all=True, append_images=frames)
    (folder / "train/.hidden").mkdir()
    (folder / "train/.hidden/broken.png").touch()
