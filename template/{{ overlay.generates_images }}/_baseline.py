"""The baseline for digits: samples of a Gaussian mixture of the training images' pixels."""

from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

COMPONENTS = (1, 5, 10, 20, 40)
KERNEL_SHARPNESS = 8  # as in metrics/kernel_distance.py


def baseline(data: Any) -> dict[str, float]:
    """The distance of as many samples as there are test images.

    The validation split chooses the number of Gaussians.
    """
    pixels = {}
    for split, (images, _) in data.splits.items():
        pixels[split] = images.reshape(len(images), -1) / 127.5 - 1
    best_score = -np.inf
    for components in COMPONENTS:
        mixture = GaussianMixture(components, reg_covar=1e-3, random_state=0)
        mixture.fit(pixels["train"])
        score = mixture.score(pixels["val"])
        if score > best_score:
            best_score = score
            best = mixture
    samples, _ = best.sample(len(pixels["test"]))
    # Samples darker than black would be nearer to the images, but they are not images.
    samples = samples.clip(-1, 1)
    return {"test/mmd": maximum_mean_discrepancy(samples, pixels["test"])}


def maximum_mean_discrepancy(generated: np.ndarray, real: np.ndarray) -> float:
    """What `KernelDistance` computes, for two arrays (N, D)."""
    count = len(real)
    mean_square = 2 * real.var(axis=0).sum()

    def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        squared_distance = np.square(first[:, None] - second).sum(axis=-1)
        return np.exp(-KERNEL_SHARPNESS / mean_square * squared_distance)

    def mean_of_pairs(images: np.ndarray) -> float:
        # An image does not pair with itself; its similarity to itself is 1.
        return (kernel(images, images).sum() - count) / (count * (count - 1))

    within = mean_of_pairs(generated) + mean_of_pairs(real)
    between = kernel(generated, real).mean()
    squared_discrepancy = max(0.0, within - 2 * between)
    return float(np.sqrt(squared_discrepancy))
