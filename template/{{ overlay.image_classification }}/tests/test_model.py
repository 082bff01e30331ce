"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path

import pytest
import torch
from harness.model_suite import ModelSuite

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none."""

    options = (
        "--model.backbone=test_resnet",
        "--data.batch_size=8",
        "--data.augment=0",
        "--trainer.max_epochs=40",
    )


@pytest.mark.parametrize("side", [32, 48])
def test_logits_have_a_column_for_each_class(side: int) -> None:
    """Images (B, 3, H, W) of any size give logits (B, classes)."""
    model = Model(class_names=["a", "b", "c"])
    logits = model(torch.rand(4, 3, side, side))
    assert logits.shape == (4, 3)


def test_unknown_backbone_is_an_error() -> None:
    """A name that timm does not know is refused, and the error names it."""
    with pytest.raises(UserError, match="resnet10x"):
        Model(class_names=["a", "b"], backbone="resnet10x")
