# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Draws detections on an image."""

from typing import TypedDict

from PIL import Image, ImageDraw, ImageFont

MIN_LENGTH = 512  # longer side of a drawing, up to which images are enlarged by a whole factor
MIN_FONT_SIZE = 16
GOLDEN_ANGLE = 137.5  # degrees between the hues of two classes, so that neighbours differ
LINE_HEIGHT = 1.3  # in font sizes


class Detection(TypedDict):
    """An object that was found."""

    label: str
    confidence: float
    box: list[float]  # [x1, y1, x2, y2] in pixels of the image


def draw_detections(
    image: Image.Image, detections: list[Detection], class_names: list[str]
) -> Image.Image:
    """The image with boxes, labels and confidences.

    Args:
        image: RGB.
        detections: highest confidence first; that one is drawn last, on top of the others.
        class_names: by which classes are colored.
    """
    zoom = max(1, MIN_LENGTH // max(image.size))
    size = (image.width * zoom, image.height * zoom)
    canvas = image.resize(size, Image.Resampling.BICUBIC)
    for detection in reversed(detections):
        class_index = class_names.index(detection["label"])
        hue = class_index * GOLDEN_ANGLE % 360
        color = f"hsl({hue:.0f}, 85%, 40%)"
        draw_detection(canvas, detection, zoom, color)
    return canvas


def draw_detection(canvas: Image.Image, detection: Detection, zoom: int, color: str) -> None:
    """Draw a box, and its label above it, or inside if there is no room above."""
    pen = ImageDraw.Draw(canvas)
    font_size = max(MIN_FONT_SIZE, max(canvas.size) // 40)
    font = ImageFont.load_default(font_size)
    x1, y1, x2, y2 = (value * zoom for value in detection["box"])
    pen.rectangle((x1, y1, x2, y2), outline=color, width=font_size // 5)

    label = detection["label"]
    confidence = detection["confidence"]
    text = f" {label} {confidence:.2f} "
    text_width = font.getlength(text)
    text_height = LINE_HEIGHT * font_size
    left = min(x1, canvas.width - text_width)
    top = max(0, y1 - text_height)
    right = left + text_width
    bottom = top + text_height
    pen.rectangle((left, top, right, bottom), fill=color)
    pen.text((left, top), text, "white", font)
