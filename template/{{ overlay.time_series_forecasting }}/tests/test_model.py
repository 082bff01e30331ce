"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.model_suite import ModelSuite
from torch import Tensor

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

CONTEXT = 14
HORIZON = 3
QUANTILES = [0.1, 0.5, 0.9]
MEDIAN = 1  # its position among the quantiles


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none."""

    floor = 0.05
    options = (
        "--model.dropout=0",
        "--data.batch_size=8",
        "--model.dim=32",
        "--model.lr=1e-2",
    )


def make_model(**changes: Any) -> Any:
    """A tiny model in evaluation mode."""
    options: dict[str, Any] = {
        "context": CONTEXT,
        "horizon": HORIZON,
        "step_length": "D",
        "quantiles": QUANTILES,
        "patch": 7,
        "stride": 7,
        "dim": 8,
        "depth": 1,
        "heads": 2,
    }
    options.update(changes)
    return Model(**options).eval()


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Four windows, two of which lack targets."""
    torch.manual_seed(0)
    target = torch.randn(4, HORIZON)
    target[1, 0] = torch.nan
    target[2] = torch.nan
    return {
        "history": torch.randn(4, CONTEXT),
        "target": target,
        "level": torch.tensor([10.0, 20.0, 30.0, -40.0]),
        "scale": torch.tensor([1.0, 2.0, 3.0, 4.0]),
    }


@pytest.mark.parametrize("network", ["patch", "linear"])
def test_forecasts_are_sorted_quantiles(network: str) -> None:
    """Histories (B, context) give (B, horizon, Q), in increasing order."""
    torch.manual_seed(0)
    model = make_model(network=network, quantiles=[0.05, 0.5, 0.6, 0.9])
    forecast = model(torch.randn(5, CONTEXT))
    assert forecast.shape == (5, HORIZON, 4)
    assert (forecast.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("network", ["patch", "linear"])
def test_forecasts_are_in_the_unit_of_the_history(network: str) -> None:
    """Shifting and scaling a history shifts and scales its forecast."""
    torch.manual_seed(0)
    model = make_model(network=network)
    history = torch.randn(5, CONTEXT)
    changed = model(history * 50 + 1000)
    torch.testing.assert_close(changed, model(history) * 50 + 1000, rtol=1e-4, atol=1e-2)


def test_metrics_match_their_definitions(batch: dict[str, Tensor]) -> None:
    """Loss and metrics are those of the known targets; missing ones count nowhere."""
    model = make_model()
    logged = {}

    def keep(name: str, value: Any, **_: Any) -> None:
        logged[name] = value

    model.log = keep
    with torch.no_grad():
        model.test_step(batch, 0)
        forecast = model(batch["history"])
    target = batch["target"]
    known = ~target.isnan()
    scale = batch["scale"][:, None]
    values = target * scale + batch["level"][:, None]
    errors = target - forecast[..., MEDIAN]
    losses = pinball_losses(target, forecast)
    inside = (forecast[..., 0] <= target) & (target <= forecast[..., -1])
    expected = {
        "test/loss": losses[known].mean(),
        "test/mase": errors[known].abs().mean(),
        "test/mae": (errors * scale)[known].abs().mean(),
        "test/coverage": inside[known].float().mean(),
        "test/quantile_loss": 2 * (losses * scale)[known].sum() / values[known].abs().sum(),
    }
    logged_loss = logged.pop("test/loss")
    measured = {name: metric.compute() for name, metric in logged.items()}
    measured["test/loss"] = logged_loss
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        assert measured[name].item() == pytest.approx(value.item(), rel=1e-4), name


def pinball_losses(target: Tensor, forecast: Tensor) -> Tensor:
    """The mean pinball loss over the quantiles, for each target."""
    losses = []
    for q, quantile in enumerate(QUANTILES):
        error = target - forecast[..., q]
        losses.append(torch.where(error > 0, quantile * error, (quantile - 1) * error))
    return torch.stack(losses).mean(dim=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantiles": [0.5, 0.5]}, r"model\.quantiles=\[0\.5, 0\.5\]: quantiles must increase"),
        ({"quantiles": [0.5, 1.0]}, "lie between 0 and 1"),
        ({"quantiles": [0.1, 0.9]}, r"include 0\.5"),
        ({"patch": 30}, r"model\.patch=30, and that at most data\.context=14"),
        ({"stride": 9}, r"model\.stride=9 must be at most model\.patch=7"),
        ({"dim": 10, "heads": 4}, r"model\.dim=10 must be a multiple of model\.heads=4"),
    ],
)
def test_impossible_options_are_errors(changes: dict[str, Any], message: str) -> None:
    """Options that make no network are errors that say what would."""
    with pytest.raises(UserError, match=message):
        make_model(**changes)
