"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch
from harness.model_suite import ModelSuite
from lightning.pytorch import Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError
toy = importlib.import_module(f"{PACKAGE}.toy")

SMALL_NET = {"width": 8}
SOURCE = """
from torch import nn

class TwoInputs(nn.Module):
    def __init__(self, first=nn.Linear(2, 3)):
        super().__init__()
        self.first = first

    def forward(self, a, b):
        return {"logits": self.first(a) + b}
"""


class TestModel(ModelSuite):
    """One batch is learned, gradients reach every weight, and validation changes none."""

    floor = 0.01
    options = ("--model.lr=1e-2", "--data.dataset_args.noise=0.05")


@pytest.fixture
def own_file(tmp_path: Path) -> str:
    """A file with a network of one's own."""
    path = tmp_path / f"own_{uuid4().hex}.py"  # a process imports a module name once
    path.write_text(SOURCE)
    return str(path)


def prepare_fit(data: Any, **options: Any) -> Any:
    """A model, prepared as `fit` prepares it before training."""
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Model(**options)
    model.trainer = trainer
    trainer.strategy.connect(model)
    data.trainer = trainer
    data.prepare_data()
    return model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of a short training run of the toy network."""
    data = DataModule(batch_size=8)
    model = prepare_fit(data, network_args=SMALL_NET)
    model.trainer.fit(model, data)
    path = tmp_path / "last.ckpt"
    model.trainer.save_checkpoint(path)
    return path


def plain_network(checkpoint: Path) -> torch.nn.Module:
    """The network's own class, with the weights of the checkpoint."""
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    weights = {}
    for name, weight in state.items():
        if name.startswith("net."):
            weights[name.removeprefix("net.")] = weight
    network = toy.Net(**SMALL_NET)
    network.load_state_dict(weights)
    return network


def test_checkpoint_stands_alone(checkpoint: Path) -> None:
    """The model is loaded from its checkpoint with nothing else at hand."""
    model = Model.load_from_checkpoint(checkpoint, weights_only=True)
    x = torch.rand(3, 2)
    assert torch.equal(model(x), plain_network(checkpoint)(x))


def test_training_starts_from_own_weights(checkpoint: Path, tmp_path: Path) -> None:
    """A file with the network's own state dict is loaded when a fit starts, not before."""
    network = plain_network(checkpoint)
    path = tmp_path / "net.pt"
    torch.save(network.state_dict(), path)
    model = prepare_fit(DataModule(), weights=str(path), network_args=SMALL_NET)
    x = torch.rand(3, 2)
    assert not torch.equal(model(x), network(x))
    model.setup("fit")
    assert torch.equal(model(x), network(x))


def test_weights_of_another_size_are_an_error(checkpoint: Path, tmp_path: Path) -> None:
    """Weights that do not fit the network are an error that names the file."""
    path = tmp_path / "net.pt"
    torch.save(plain_network(checkpoint).state_dict(), path)
    model = prepare_fit(DataModule(), weights=str(path))
    message = r"net\.pt is not a state dict of this network: .*size mismatch"
    with pytest.raises(UserError, match=message):
        model.setup("fit")


def test_networks_with_several_inputs(own_file: str) -> None:
    """Inputs are passed in order, and `output` names the part of the outputs to use."""
    linear = {"call": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    model = Model(
        network=f"{own_file}:TwoInputs",
        network_args={"first": linear},
        output="logits",
    )
    outputs = model(torch.rand(4, 2), torch.rand(4, 3))
    assert outputs.shape == (4, 3)


@pytest.mark.parametrize(
    ("predict", "outputs", "prediction"),
    [
        ("class", 2, 1),
        ("class", 1, 1),
        ("value", 3, [0.0, 0.0, 9.0]),
    ],
)
def test_predictions_have_a_row_per_sample(predict: str, outputs: int, prediction: Any) -> None:
    """The class of several logits or of one, with its confidence, or the outputs as they are."""
    model = Model(network_args={"outputs": outputs}, predict=predict)
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    model.net.layers[-1].bias.data[-1] = 9.0
    batch = {"inputs": [torch.rand(4, 2)], "index": torch.arange(4)}
    columns = model.predict_step(batch, 0)
    assert {len(column) for column in columns.values()} == {4}
    assert columns["prediction"].tolist() == [prediction] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_double_precision_becomes_that_of_the_weights(dtype: torch.dtype) -> None:
    """NumPy's float64 is converted to the precision of the weights, and nothing else is."""
    data = DataModule()
    model = prepare_fit(data)
    model.to(dtype)
    batch = {
        "x": torch.zeros(2, dtype=torch.float64),
        "index": torch.zeros(2, dtype=torch.int64),
    }
    converted = data.on_before_batch_transfer(batch, 0)
    assert converted["x"].dtype == dtype
    assert converted["index"].dtype == torch.int64
