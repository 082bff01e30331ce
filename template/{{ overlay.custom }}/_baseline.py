"""The baseline of the scoreboard: logistic regression on the same samples."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

MAX_ITERATIONS = 2000


def baseline(data: Any) -> dict[str, float]:
    """Scikit-learn's test scores after training on the project's own splits."""
    train_inputs, train_targets = read_split(data.splits["train"])
    test_inputs, test_targets = read_split(data.splits["test"])
    linear = LogisticRegression(max_iter=MAX_ITERATIONS).fit(train_inputs, train_targets)
    return {
        "test/accuracy": accuracy_score(test_targets, linear.predict(test_inputs)),
        "test/loss": log_loss(test_targets, linear.predict_proba(test_inputs)),
    }


def read_split(samples: Any) -> tuple[np.ndarray, list[int]]:
    """The inputs of all samples, one row each, and their targets."""
    inputs = []
    targets = []
    for position in range(len(samples)):
        sample = samples[position]
        inputs.append(np.asarray(sample["inputs"][0]).ravel())
        targets.append(int(sample["target"]))
    return np.stack(inputs), targets
