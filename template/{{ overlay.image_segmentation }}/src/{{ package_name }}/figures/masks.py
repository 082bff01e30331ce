# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Draws the classes of an image's pixels."""

from colorsys import hsv_to_rgb

import numpy as np
from PIL import Image, ImageDraw, ImageOps

MIN_LENGTH = 256  # longer side of a drawing; smaller images are enlarged by a whole factor
MIN_FONT_SIZE = 12
OPACITY = 128  # of 255
GOLDEN_RATIO = 0.618  # of the color circle between the hues of two classes: neighbours differ
MAX_CLASSES = 256

Color = tuple[int, int, int]


def class_color(class_index: int) -> Color:
    """The RGB color of a class; class 0, usually the background, is black."""
    if class_index == 0:
        return (0, 0, 0)
    number = class_index - 1
    hue = number * GOLDEN_RATIO % 1
    brightness = 1.0
    if number % 2 == 1:
        brightness = 0.8
    red, green, blue = hsv_to_rgb(hue, 0.8, brightness)
    return (round(255 * red), round(255 * green), round(255 * blue))


def make_palette_image(class_indices: np.ndarray) -> Image.Image:
    """An image of mode P with the colors of the classes, from indices, uint8 (H, W)."""
    palette: list[int] = []
    for class_index in range(MAX_CLASSES):
        palette.extend(class_color(class_index))
    image = Image.fromarray(class_indices)
    image.putpalette(palette)
    return image


def draw_mask(photo: Image.Image, mask: Image.Image, legend: dict[int, str]) -> Image.Image:
    """The photo with its classes colored, and a legend below; class 0 stays as it is.

    Args:
        photo: RGB.
        mask: from `make_palette_image`, of the photo's size.
        legend: the text for each class index; class 0 is left out.
    """
    foreground = np.asarray(mask) > 0
    opacity = Image.fromarray(np.uint8(foreground * OPACITY))
    drawing = Image.composite(mask.convert("RGB"), photo, opacity)
    zoom = max(1, -(-MIN_LENGTH // max(photo.size)))  # rounded up
    enlarged = ImageOps.scale(drawing, zoom, Image.Resampling.NEAREST)
    entries = [(index, text) for index, text in legend.items() if index > 0]
    return add_legend(enlarged, entries)


def add_legend(image: Image.Image, entries: list[tuple[int, str]]) -> Image.Image:
    """The image with a line below it for each class index and text."""
    font_size = max(MIN_FONT_SIZE, image.width // 40)
    line_height = 2 * font_size
    margin = font_size // 2
    height = image.height + line_height * len(entries)
    canvas = Image.new("RGB", (image.width, height), "white")
    canvas.paste(image)
    pen = ImageDraw.Draw(canvas)
    line_top = image.height
    for class_index, text in entries:
        left = margin
        top = line_top + margin
        right = font_size * 3 // 2
        bottom = line_top + font_size * 3 // 2
        pen.rectangle((left, top, right, bottom), class_color(class_index))
        pen.text((2 * font_size, top), text, "black", font_size=font_size)
        line_top += line_height
    return canvas
