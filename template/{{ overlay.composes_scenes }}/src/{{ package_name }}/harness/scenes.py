# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Images of your own, read with care, and scenes to start with, composed of handwritten digits."""

from hashlib import blake2b
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from . import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class Scene(NamedTuple):
    """An image with one to three digits, and all that is known of them."""

    image: Image.Image
    mask: np.ndarray  # uint8 (H, W), 0 for background, 1 to 10 for the digits 0 to 9
    boxes: list[list[float]]  # x1, y1, x2, y2 in pixels, around what is seen of a digit; x2 and y2 exclusive
    labels: list[int]  # the digit in each box


def compose_scenes(count: int = 600, size: int = 64, seed: int = 0) -> dict[str, list[Scene]]:
    """Scenes of size x size pixels for `train` (8 of 10), `val` and `test`; up to 600 share no scan of a digit.

    The scans are scikit-learn's 1,797 of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998).
    """
    draw = np.random.default_rng(seed)
    pixels, digits = map(np.asarray, load_digits(return_X_y=True))
    scans = [*zip(np.uint8(pixels * 255 / 16).reshape(-1, 8, 8), digits.tolist())]
    order, splits = draw.permutation(len(scans)), {}
    for name, start, end in (("train", 0.0, 0.8), ("val", 0.8, 0.9), ("test", 0.9, 1.0)):
        part, scenes = (slice(round(start * n), round(end * n)) for n in (len(scans), count))
        queue = cycle(order[part])
        drawn = [[scans[next(queue)] for _ in range(number)] for number in draw.integers(1, 4, count)[scenes]]
        splits[name] = [compose(part, size, draw) for part in drawn]
    return splits


def compose(scans: list[tuple[np.ndarray, int]], size: int, draw: np.random.Generator) -> Scene:
    """One scene; a digit for which there is no room after ten tries is left out."""
    blobs = np.uint8(draw.integers(0, 90, 3) + draw.integers(0, 60, (3, 3, 3)))  # dark, and the digits light
    canvas = np.asarray(Image.fromarray(blobs).resize((size, size), Image.Resampling.BICUBIC), float)
    owner, places = np.full((size, size), -1), []
    for number, (scan, _) in enumerate(scans):
        side = int(draw.integers(16, 29))
        for x, y in draw.integers(0, size - side + 1, (10, 2)):
            if all(max(abs(x - a), abs(y - b)) >= 0.8 * min(side, s) for a, b, s in places):
                break
        else:
            continue
        ink = np.asarray(Image.fromarray(scan).resize((side, side), Image.Resampling.BILINEAR), float) / 255
        window, colours = np.s_[y : y + side, x : x + side], draw.integers(90, 256, (8, 3))
        contrast = np.abs(colours - canvas[window].mean(axis=(0, 1))).sum(axis=1)
        canvas[window] += np.clip(2.5 * ink - 0.75, 0, 1)[..., None] * (colours[contrast.argmax()] - canvas[window])
        owner[window][ink > 0.5] = number
        places.append((x, y, side))
    image = Image.fromarray(np.uint8(np.clip(canvas + draw.normal(0, 8, canvas.shape), 0, 255)))
    seen = [(digit, np.argwhere(owner == i)[:, ::-1]) for i, (_, digit) in enumerate(scans) if (owner == i).any()]
    boxes = [[*map(float, xy.min(axis=0)), *map(float, xy.max(axis=0) + 1)] for _, xy in seen]
    mask = np.array([*(digit + 1 for _, digit in scans), 0], np.uint8)[owner]  # -1 is the last: the background
    return Scene(image, mask, boxes, [digit for digit, _ in seen])


def list_images(folder: Path) -> list[Path]:
    """The images in a folder and in those in it, sorted, without hidden ones; of a file, that file."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    return [folder] if folder.is_file() else [p for p in found if "/." not in f"/{p.relative_to(folder).as_posix()}"]


def read_image(path: str | Path) -> Image.Image:
    """The image in RGB, upright as its EXIF data say; a UserError where it is not whole, or not 8-bit."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")) or any(";16" in str(tile[3]) for tile in image.tile):
                raise ValueError(f"{image.mode} has more than 8 bits a channel")  # which convert would clip
            return ImageOps.exif_transpose(image).convert("RGB")
    except Exception as error:  # Pillow has many kinds
        said = "no image" if isinstance(error, Image.UnidentifiedImageError) else getattr(error, "strerror", 0) or error
        raise UserError(f"{path}: images are whole and 8-bit, this is not ({said}): replace it") from error


def content(path: str | Path) -> str:
    """A key that copies of a file share: its size, and a hash of its first 64 KiB."""
    with Path(path).open("rb") as file:
        return f"{Path(path).stat().st_size}-{blake2b(file.read(1 << 16), digest_size=16).hexdigest()}"
