"""What generated digits are held against: samples of a Gaussian mixture of the pixels of the digits."""

from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture


def baseline(data: Any) -> dict[str, float]:
    """The same distance from the same images of as many samples; validation chooses how many Gaussians there are."""
    pixels = {name: images.reshape(len(images), -1) / 127.5 - 1 for name, (images, _) in data.splits.items()}
    mixtures = [GaussianMixture(k, reg_covar=1e-3, random_state=0).fit(pixels["train"]) for k in (1, 5, 10, 20, 40)]
    best = max(mixtures, key=lambda mixture: mixture.score(pixels["val"]))
    made = best.sample(len(pixels["test"]))[0].clip(-1, 1)  # darker than black would be nearer, and is no image
    return {"test/mmd": mean_discrepancy(made, pixels["test"])}


def mean_discrepancy(made: np.ndarray, real: np.ndarray) -> float:
    """What `KernelDistance` of harness/samples.py has, of two arrays of as many rows."""
    scale, pairs = 2 * real.var(axis=0).sum(), len(real) * (len(real) - 1)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(-8 / scale * np.square(a[:, None] - b).sum(axis=-1))

    within = sum((kernel(a, a).sum() - len(a)) / pairs for a in (made, real))
    return float(max(0.0, within - 2 * kernel(made, real).mean()) ** 0.5)
