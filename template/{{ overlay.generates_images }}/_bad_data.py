"""A data set with which all is wrong."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: str, size: tuple[int, int] = (40, 40)) -> Image.Image:
    """Noise of a seed."""
    draw = np.random.default_rng(list(seed.encode()))
    return Image.fromarray(draw.integers(256, size=(*size[::-1], 3), dtype=np.uint8))


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Options, the faults to be named, each in a line of its own, and the notes."""
    for split, name, count in (("train", "cat", 30), ("train", "dog", 3), ("val", "cat", 4), ("test", "dog", 4)):
        (folder / split / name).mkdir(parents=True)
        for i in range(count):
            picture(f"{split}{name}{i}").save(folder / split / name / f"good{i}.png")
    cats, noise = folder / "train/cat", np.random.default_rng(0).integers(256, size=(40, 40))
    (cats / "empty.png").touch()
    (cats / "words.jpg").write_text("this is text")
    picture("1").save(cats / "short.jpg")
    (cats / "short.jpg").write_bytes((cats / "short.jpg").read_bytes()[:900])
    picture("2").save(cats / "cut.png")
    (cats / "cut.png").write_bytes((cats / "cut.png").read_bytes()[:900])
    Image.fromarray((noise * 200).astype(np.uint16)).save(cats / "deep.png")
    Image.fromarray(noise.astype(np.float32)).save(cats / "floats.tiff")
    picture("3", (31, 40)).save(cats / "small.png")
    picture("4", (170, 40)).save(cats / "wide.png")
    picture("5").save(cats / "moving.gif", save_all=True, append_images=[picture("6"), picture("7")])
    (cats / "folder.png").mkdir()
    (cats / "nowhere.png").symlink_to(folder / "gone.png")
    for path in ("train/loose.png", "val/bird/bird.png", "extra/one.png", "lost.png"):
        (folder / path).parent.mkdir(exist_ok=True)
        picture("8").save(folder / path)
    (folder / "train/fish").mkdir()
    (cats / "notes.txt").write_text("ignored")
    (folder / "train/.hidden").mkdir()
    (folder / "train/.hidden/broken.png").touch()
    faults = [
        "train/cat/empty.png is no readable image",
        "train/cat/words.jpg is no readable image",
        "train/cat/short.jpg is no readable image",
        "train/cat/cut.png is no readable image",
        "train/cat/deep.png has more than 8 bits",
        "train/cat/floats.tiff has more than 8 bits",
        "train/cat/small.png is 31 x 40 pixels, less than",
        "train/cat/wide.png is 170 pixels by 40",
        "train/cat/moving.gif has 3 frames",
        "train/cat/folder.png is no readable image (Is a directory)",
        "train/cat/nowhere.png is no readable image (No such file",
        "train/loose.png is of no class",
        "val/bird: train has no such class",
        "extra: beside train",
        "lost.png: beside train",
        "train/fish has no image",
    ]
    picture("9").save(cats / "twin.png")
    picture("9").save(folder / "test/dog/twin.png")
    notes = ["train has 42 of 'cat' and 3 of 'dog'", "1 of test are in train as well"]
    return ["--data.path", str(folder)], faults, notes
