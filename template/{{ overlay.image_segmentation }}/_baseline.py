"""The baseline for this task's scores: a random forest on the 7 x 7 pixels around each pixel."""

from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score, jaccard_score

PATCH_SIDE = 7
DIGIT_PIXELS = 40  # of each training image
OTHER_PIXELS = 80
TREES = 50
MAX_DEPTH = 16


def baseline(data: Any) -> dict[str, float]:
    """Scores of scikit-learn on every pixel of the test split that the project tests on."""
    forest = fit_forest(data.loaded.splits["train"])
    truth = []
    found = []
    for sample in data.loaded.splits["test"]:
        truth.append(sample.mask.ravel())
        found.append(forest.predict(extract_patches(sample.image)))
    truth_of_all = np.concatenate(truth)
    found_in_all = np.concatenate(found)
    return {
        "test/miou": jaccard_score(truth_of_all, found_in_all, average="macro"),
        "test/dice": f1_score(truth_of_all, found_in_all, average="macro"),
    }


def fit_forest(samples: list[Any]) -> RandomForestClassifier:
    """Fit a forest to some pixels of each image; pixels of digits are chosen more often."""
    random = np.random.default_rng(0)
    inputs = []
    targets = []
    for sample in samples:
        truth = sample.mask.ravel()
        digits = random.choice(np.flatnonzero(truth), DIGIT_PIXELS)
        others = random.choice(truth.size, OTHER_PIXELS)
        chosen = np.concatenate([digits, others])
        inputs.append(extract_patches(sample.image)[chosen])
        targets.append(truth[chosen])
    forest = RandomForestClassifier(TREES, max_depth=MAX_DEPTH, n_jobs=-1, random_state=0)
    return forest.fit(np.concatenate(inputs), np.concatenate(targets))


def extract_patches(image: Any) -> np.ndarray:
    """The colors around each pixel: (H * W, PATCH_SIDE * PATCH_SIDE * 3)."""
    margin = PATCH_SIDE // 2
    padded = np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (PATCH_SIDE, PATCH_SIDE), axis=(0, 1)
    )  # (H, W, 3, PATCH_SIDE, PATCH_SIDE)
    return windows.reshape(-1, 3 * PATCH_SIDE * PATCH_SIDE)
