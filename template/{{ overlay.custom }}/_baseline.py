"""What this task's scores are held against: logistic regression on the same samples."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss


def baseline(data: Any) -> dict[str, float]:
    """Scikit-learn's scores on the split that the project trains and tests on."""
    splits = {name: [data.splits[name][i] for i in range(len(data.splits[name]))] for name in ("train", "test")}
    inputs = {name: np.stack([np.asarray(s["inputs"][0]).ravel() for s in split]) for name, split in splits.items()}
    targets = {name: [int(s["target"]) for s in split] for name, split in splits.items()}
    linear = LogisticRegression(max_iter=2000).fit(inputs["train"], targets["train"])
    loss = log_loss(targets["test"], linear.predict_proba(inputs["test"]))
    return {"test/accuracy": accuracy_score(targets["test"], linear.predict(inputs["test"])), "test/loss": loss}
