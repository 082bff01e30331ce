"""What this task's scores are held against: ridge regression on the lags, which beats the seasonal naive forecast."""

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge


def baseline(data: Any) -> dict[str, float]:
    """Scores on the test windows of a linear map of the lags, fit to the training windows that the project has.

    Each window has mean 0 and standard deviation 1, and quantiles are those of the training errors of
    each step.
    """
    train, test = (whole(data.windows[name]) for name in ("train", "test"))
    ridge = Ridge(100.0).fit(train["history"], train["target"])
    errors = np.quantile(train["target"] - ridge.predict(train["history"]), [0.1, 0.5, 0.9], axis=0)  # (Q, H)
    forecast = ridge.predict(test["history"]) + errors[:, None]  # (Q, B, H)
    scale, level = test["std"] * test["scale"], test["level"] + test["mean"] * test["scale"]
    error, known = test["target"] - forecast, test["known"]
    levels = np.array([0.1, 0.5, 0.9])[:, None, None]
    loss = 2 * (np.maximum(levels * error, (levels - 1) * error).mean(axis=0) * scale)[known].sum()
    return {
        "test/mase": (np.abs(error[1]) * test["std"])[known].mean(),
        "test/quantile_loss": loss / np.abs(test["target"] * scale + level)[known].sum(),
    }


def whole(windows: Any) -> dict[str, np.ndarray]:
    batch = windows.__getitems__(list(range(len(windows))))
    history, target = batch["history"].double().numpy(), batch["target"].double().numpy()
    mean, std = history.mean(axis=1, keepdims=True), history.std(axis=1, keepdims=True)
    rest = {name: batch[name].double().numpy()[:, None] for name in ("level", "scale")}
    known = ~np.isnan(target)
    return {
        "history": (history - mean) / std,
        "target": (np.nan_to_num(target) - mean) / std,
        "known": known,
        "mean": mean,
        "std": std,
        **rest,
    }
