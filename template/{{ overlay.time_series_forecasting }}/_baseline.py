"""The baseline of the scoreboard: ridge regression on the lags, better than seasonal naive."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import Ridge

REGULARISATION = 100.0
QUANTILES = [0.1, 0.5, 0.9]
MEDIAN = 1  # its position among the quantiles


class Windows(NamedTuple):
    """All windows of a split, B of them; histories and targets have mean 0 and deviation 1."""

    history: np.ndarray  # (B, context)
    target: np.ndarray  # (B, horizon), 0 where unknown
    known: np.ndarray  # (B, horizon)
    std: np.ndarray  # (B, 1), in units of the series
    values: np.ndarray  # (B, horizon), the targets in the unit of the table
    std_of_values: np.ndarray  # (B, 1), in the unit of the table


def baseline(data: Any) -> dict[str, float]:
    """Test scores of a linear map of the lags, fitted to the training windows of the project.

    The quantiles of a step are those of its training errors.
    """
    train = all_windows(data.windows["train"])
    test = all_windows(data.windows["test"])
    ridge = Ridge(REGULARISATION).fit(train.history, train.target)
    train_errors = train.target - ridge.predict(train.history)
    error_quantiles = np.quantile(train_errors, QUANTILES, axis=0)  # (Q, horizon)
    forecast = ridge.predict(test.history) + error_quantiles[:, None]  # (Q, B, horizon)
    error = test.target - forecast
    losses = pinball_losses(error) * test.std_of_values
    total = np.abs(test.values[test.known]).sum()
    absolute_errors = np.abs(error[MEDIAN]) * test.std
    return {
        "test/mase": absolute_errors[test.known].mean(),
        "test/quantile_loss": 2 * losses[test.known].sum() / total,
    }


def pinball_losses(error: np.ndarray) -> np.ndarray:
    """The mean pinball loss of the quantiles (B, horizon) of errors (Q, B, horizon)."""
    levels = np.array(QUANTILES)[:, None, None]
    return np.maximum(levels * error, (levels - 1) * error).mean(axis=0)


def all_windows(windows: Any) -> Windows:
    """The windows of a split in one batch, in double precision."""
    batch = windows.__getitems__(list(range(len(windows))))
    history = batch["history"].double().numpy()
    target = batch["target"].double().numpy()
    level = batch["level"].double().numpy()[:, None]
    scale = batch["scale"].double().numpy()[:, None]
    mean = history.mean(axis=1, keepdims=True)
    std = history.std(axis=1, keepdims=True)
    return Windows(
        history=(history - mean) / std,
        target=(np.nan_to_num(target) - mean) / std,
        known=~np.isnan(target),
        std=std,
        values=target * scale + level,
        std_of_values=std * scale,
    )
