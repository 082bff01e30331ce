# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The embedded data: scenes composed of handwritten digits, with a mask, boxes and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypeVar

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

# Shares of the scans and of the scenes: a scene is composed of scans of its own group only.
GROUPS = ((0.0, 0.8), (0.8, 0.9), (0.9, 1.0))

MIN_DIGITS = 1
MAX_DIGITS = 3
MIN_SIDE = 16  # of a digit, in pixels
MAX_SIDE = 28
PLACEMENT_ATTEMPTS = 10
MIN_DISTANCE = 0.8  # between the corners of two digits, in sides of the smaller one

SCAN_SHAPE = (8, 8)
SCAN_INK = 16  # the value of full ink in a scan
MAX_VALUE = 255  # of a pixel
VISIBLE_INK = 0.5  # share of full ink from which a pixel belongs to the digit
EDGE_GAIN = 2.5  # gain and offset turn ink into opacity, with sharper edges
EDGE_OFFSET = 0.75
DARK_LIMIT = 90  # the base color of the ground is below, the color of a digit is not
GROUND_VARIATION = 60
GROUND_CELLS = 3  # a side
COLOR_CANDIDATES = 8
NOISE_STD = 8.0
NO_DIGIT = -1

Item = TypeVar("Item")


@dataclass(frozen=True)
class Scan:
    """A scanned digit."""

    ink: Image.Image  # 8 x 8 pixels of mode L, 255 for full ink
    digit: int


@dataclass(frozen=True)
class Square:
    """A square part of a scene, in pixels."""

    left: int
    top: int
    side: int

    @property
    def window(self) -> tuple[slice, slice]:
        """The index of the square in an array (H, W, ...)."""
        rows = slice(self.top, self.top + self.side)
        columns = slice(self.left, self.left + self.side)
        return rows, columns

    def is_free(self, occupied: Sequence["Square"]) -> bool:
        """Whether all other squares are far enough away; they may overlap a little."""
        for other in occupied:
            across = abs(self.left - other.left)
            down = abs(self.top - other.top)
            smaller_side = min(self.side, other.side)
            if max(across, down) < MIN_DISTANCE * smaller_side:
                return False
        return True


@dataclass(frozen=True)
class Scene:
    """An image with one to three digits, and its ground truth."""

    image: Image.Image
    mask: np.ndarray  # uint8 (H, W), 0 for background, 1 to 10 for the digits 0 to 9
    boxes: list[list[float]]  # [x1, y1, x2, y2] of the visible part of a digit, x2, y2 exclusive
    labels: list[int]  # the digit in each box


def compose_scenes(count: int = 600, size: int = 64, seed: int = 0) -> list[Scene]:
    """Compose `count` scenes of `size` x `size` pixels.

    With at most 600 scenes, no two share a scan. The scans are the 1,797 of scikit-learn
    (E. Alpaydin and C. Kaynak, UCI, 1998).
    """
    rng = np.random.default_rng(seed)
    scans = load_scans()
    order = rng.permutation(len(scans))
    shuffled = [scans[index] for index in order]
    scenes = []
    for start, end in GROUPS:
        queue = cycle(cut_part(shuffled, start, end))
        # Drawn for all scenes, though the group uses a part: fewer draws would change the scenes.
        digit_counts = rng.integers(MIN_DIGITS, MAX_DIGITS, count, endpoint=True)
        for digit_count in cut_part(digit_counts.tolist(), start, end):
            chosen = [next(queue) for _ in range(digit_count)]
            scenes.append(compose_scene(chosen, size, rng))
    return scenes


def load_scans() -> list[Scan]:
    """All scans of scikit-learn's digits."""
    rows, digits = load_digits(return_X_y=True)
    scans = []
    for row, digit in zip(rows, digits):
        ink = row.reshape(SCAN_SHAPE) * MAX_VALUE / SCAN_INK
        image = Image.fromarray(np.uint8(ink))
        scan = Scan(ink=image, digit=int(digit))
        scans.append(scan)
    return scans


def cut_part(items: Sequence[Item], start: float, end: float) -> Sequence[Item]:
    """The items between two shares of their number."""
    first = round(start * len(items))
    last = round(end * len(items))
    return items[first:last]


def compose_scene(scans: list[Scan], size: int, rng: np.random.Generator) -> Scene:
    """Compose one scene; a digit for which no free place is found is left out."""
    canvas = draw_background(size, rng)
    owner = np.full((size, size), NO_DIGIT)  # index in `scans` of the digit visible at each pixel
    occupied: list[Square] = []
    for index, scan in enumerate(scans):
        square = find_free_square(occupied, size, rng)
        if square is None:
            continue
        occupied.append(square)
        ink = resize_ink(scan, square.side)
        paint_digit(canvas[square.window], ink, rng)
        visible = ink > VISIBLE_INK
        owner[square.window][visible] = index
    noise = rng.normal(0, NOISE_STD, canvas.shape)
    pixels = np.clip(canvas + noise, 0, MAX_VALUE)
    image = Image.fromarray(np.uint8(pixels))
    return annotate(image, owner, scans)


def draw_background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A dark ground with a smooth gradient of color, (H, W, 3) with floats from 0 to 255."""
    base_color = rng.integers(0, DARK_LIMIT, 3)
    variation = rng.integers(0, GROUND_VARIATION, (GROUND_CELLS, GROUND_CELLS, 3))
    cells = np.uint8(base_color + variation)
    smooth = Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(smooth, float)


def find_free_square(occupied: list[Square], size: int, rng: np.random.Generator) -> Square | None:
    """A square of random size for the next digit, or None if all places tried are too close."""
    side = int(rng.integers(MIN_SIDE, MAX_SIDE, endpoint=True))
    shape = (PLACEMENT_ATTEMPTS, 2)
    corners = rng.integers(0, size - side, shape, endpoint=True)
    for left, top in corners.tolist():
        square = Square(left, top, side)
        if square.is_free(occupied):
            return square
    return None


def resize_ink(scan: Scan, side: int) -> np.ndarray:
    """The share of ink in each pixel, (side, side), from 0 to 1."""
    resized = scan.ink.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized, float) / MAX_VALUE


def paint_digit(canvas: np.ndarray, ink: np.ndarray, rng: np.random.Generator) -> None:
    """Paint a digit in place, in the candidate color that differs most from the ground."""
    colors = rng.integers(DARK_LIMIT, MAX_VALUE, (COLOR_CANDIDATES, 3), endpoint=True)
    ground = canvas.mean(axis=(0, 1))
    contrast = np.abs(colors - ground).sum(axis=1)
    color = colors[contrast.argmax()]
    opacity = np.clip(EDGE_GAIN * ink - EDGE_OFFSET, 0, 1)
    canvas += opacity[..., None] * (color - canvas)  # (side, side, 1) * (side, side, 3)


def annotate(image: Image.Image, owner: np.ndarray, scans: list[Scan]) -> Scene:
    """The scene with the mask, boxes and labels of the digits that are visible in it."""
    mask = np.zeros(owner.shape, np.uint8)
    boxes = []
    labels = []
    for index, scan in enumerate(scans):
        visible = owner == index
        if visible.any():
            mask[visible] = scan.digit + 1
            boxes.append(bounding_box(visible))
            labels.append(scan.digit)
    return Scene(
        image=image,
        mask=mask,
        boxes=boxes,
        labels=labels,
    )


def bounding_box(visible: np.ndarray) -> list[float]:
    """[x1, y1, x2, y2] around the true values of an array (H, W), x2 and y2 exclusive."""
    rows, columns = np.nonzero(visible)
    return [
        float(columns.min()),
        float(rows.min()),
        float(columns.max() + 1),
        float(rows.max() + 1),
    ]
