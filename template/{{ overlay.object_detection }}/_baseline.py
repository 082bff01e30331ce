"""The baseline for this task's scores: connected pixels, classified by logistic regression."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from torchmetrics.detection import MeanAveragePrecision

MIN_CONTRAST = 180  # to the surroundings, of a pixel that belongs to an object
MIN_HEIGHT = 10  # pixels
MEDIAN_SIDE = 9  # pixels of the image at a quarter of its size
PATCH_SIDE = 8
MAX_ITERATIONS = 2000
CLASSES = 10

Box = tuple[int, int, int, int]


def baseline(data: Any) -> dict[str, float]:
    """The project's metrics, of boxes around connected pixels that differ from their surroundings.

    Both are computed on the split that the project tests on.
    """
    classifier = fit_classifier(data.loaded.splits["train"])
    metric = MeanAveragePrecision()
    for sample in data.loaded.splits["test"]:
        target = {"boxes": torch.tensor(sample.boxes), "labels": torch.tensor(sample.labels)}
        metric.update([detect(sample.image, classifier)], [target])
    values = metric.compute()
    return {"test/map": float(values["map"]), "test/map_50": float(values["map_50"])}


def fit_classifier(samples: list[Any]) -> LogisticRegression:
    """Fit to the content of all boxes."""
    patches = []
    labels = []
    for sample in samples:
        contrast = measure_contrast(sample.image)
        for box, label in zip(sample.boxes, sample.labels):
            patches.append(cut_patch(contrast, box))
            labels.append(label)
    classifier = LogisticRegression(max_iter=MAX_ITERATIONS)
    return classifier.fit(np.array(patches), np.array(labels))


def detect(image: Image.Image, classifier: LogisticRegression) -> dict[str, torch.Tensor]:
    """Boxes, scores and labels as the metric takes them."""
    contrast = measure_contrast(image)
    boxes = find_boxes(contrast)
    probabilities = np.zeros((0, CLASSES))
    if boxes:
        patches = [cut_patch(contrast, box) for box in boxes]
        probabilities = classifier.predict_proba(patches)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor(probabilities.max(axis=1)),
        "labels": torch.tensor(probabilities.argmax(axis=1)),
    }


def find_boxes(contrast: np.ndarray) -> list[Box]:
    """Boxes around connected pixels of high contrast."""
    groups, _ = ndimage.label(contrast > MIN_CONTRAST, np.ones((3, 3)))
    boxes = []
    for rows, columns in ndimage.find_objects(groups):
        if rows.stop - rows.start >= MIN_HEIGHT:
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
    return boxes


def measure_contrast(image: Image.Image) -> np.ndarray:
    """How much each pixel (H, W) differs from the median of its surroundings."""
    pixels = np.asarray(image, float)
    coarse_median = ndimage.median_filter(pixels[::4, ::4], (MEDIAN_SIDE, MEDIAN_SIDE, 1))
    median = coarse_median.repeat(4, axis=0).repeat(4, axis=1)
    return np.abs(pixels - median).sum(axis=2)


def cut_patch(contrast: np.ndarray, box: Any) -> np.ndarray:
    """The content of a box at 8 x 8 pixels, as a row of values from 0 to 1."""
    x1, y1, x2, y2 = (int(value) for value in box)
    content = np.clip(contrast[y1:y2, x1:x2], 0, 255)
    image = Image.fromarray(np.uint8(content))
    patch = image.resize((PATCH_SIDE, PATCH_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(patch, float).ravel() / 255
