# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Generated images, drawn one by one and as a grid."""

import math

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

MIN_WIDTH = 64  # pixels; images are enlarged to it
MAX_CLASS_COLUMNS = 16
GAP = 4  # pixels around each image of a grid


def prediction_table(
    samples: Tensor,
    batch: dict,
    class_names: list[str],
) -> dict[str, list]:
    """The columns that `predict_step` returns: a row for each sample, and one for a grid of all.

    Args:
        samples: generated images (B, C, H, W) with values from -1 to 1; C is 1 or 3.
        batch: `index` (B,), the number of each sample; and `label` (B,), its class.
        class_names: empty for images without classes.
    """
    numbers = batch["index"].tolist()
    labels = batch["label"].tolist()
    inputs = []
    predictions = []
    for number, label in zip(numbers, labels):
        inputs.append(f"sample {number}")
        if class_names:
            predictions.append(class_names[label])
        else:
            predictions.append("")
    images = draw_images(samples)
    grid = draw_grid(images, class_count=len(class_names))

    inputs.append(f"samples {numbers[0]} to {numbers[-1]}")
    predictions.append("")
    images.append(grid)
    return {
        "input": inputs,
        "prediction": predictions,
        "image": images,
    }


def draw_images(samples: Tensor) -> list[Image.Image]:
    """Images of samples (B, C, H, W) with values from -1 to 1, at least `MIN_WIDTH` wide."""
    samples = samples.float()
    scale = math.ceil(MIN_WIDTH / samples.shape[-1])
    if scale > 1:
        samples = F.interpolate(
            samples,
            scale_factor=scale,
            mode="bicubic",
        )
    pixels = samples * 127.5 + 128
    pixels = pixels.clamp(0, 255).byte().cpu()
    pixels = pixels.permute(0, 2, 3, 1)  # (B, H, W, C)
    pixels = pixels.squeeze(dim=-1)  # (B, H, W) if grey
    return [Image.fromarray(image) for image in pixels.numpy()]


def draw_grid(images: list[Image.Image], class_count: int) -> Image.Image:
    """Images of one size, row by row, on grey.

    The grid has a column for each class if these are 2 to `MAX_CLASS_COLUMNS`; otherwise it is
    about as wide as it is high.
    """
    columns = round(math.sqrt(len(images)))
    if 1 < class_count <= MAX_CLASS_COLUMNS:
        columns = min(class_count, len(images))
    rows = math.ceil(len(images) / columns)

    column_width = images[0].width + GAP
    row_height = images[0].height + GAP
    grid = Image.new(
        mode=images[0].mode,
        size=(GAP + columns * column_width, GAP + rows * row_height),
        color="gray",
    )
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        left = GAP + column * column_width
        top = GAP + row * row_height
        grid.paste(image, (left, top))
    return grid
