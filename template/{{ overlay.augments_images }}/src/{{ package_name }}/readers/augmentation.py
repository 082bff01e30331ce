# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What the options `augment` and `flip` do, alike in every task that has them."""

from typing import Any

from torchvision.transforms import InterpolationMode, v2

DEGREES_PER_STRENGTH = 100
SMALLEST_SCALE = 0.1
FLIP_PROBABILITY = 0.5


def augmentation_strength(augment: float) -> float:
    """A tenth of `augment` up to 9; above that it approaches 1."""
    return augment / max(10, augment + 1)


def random_affine(augment: float, rotate: bool = True, fill: Any = 0) -> v2.RandomAffine:
    """Rotate, shift and scale at random; with `augment` 0, everything stays in place.

    Args:
        augment: 1 rotates by up to 10 degrees, and shifts and scales by up to 10 %, either way.
        rotate: False for boxes, which would grow.
        fill: the value of pixels from outside the image; a dict has one for each type of input.
    """
    strength = augmentation_strength(augment)
    degrees = DEGREES_PER_STRENGTH * strength if rotate else 0.0
    return v2.RandomAffine(
        degrees=(-degrees, degrees),
        translate=(strength, strength),
        scale=(max(SMALLEST_SCALE, 1 - strength), 1 + strength),
        interpolation=InterpolationMode.BILINEAR,
        fill=fill,
    )


def random_flip(flip: bool) -> v2.RandomHorizontalFlip:
    """Mirror left to right with probability 0.5, or never."""
    return v2.RandomHorizontalFlip(FLIP_PROBABILITY if flip else 0.0)
