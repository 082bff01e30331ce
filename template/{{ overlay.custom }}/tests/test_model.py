"""The model and the data. Yours: change them as your experiment changes."""

import importlib
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.test_harness import ModelSuite
from lightning.pytorch import Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
toy = importlib.import_module(f"{PACKAGE}.toy")
NUMBER = itertools.count()
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
SOURCE = """
import torch
from torch import nn
from torch.utils.data import Dataset

class Pairs(Dataset):
    def __init__(self, count=40, train=True):
        self.count, self.train = count, train
    def __len__(self):
        return self.count
    def __getitem__(self, i):
        return torch.tensor([i + 0.5, 1.0 if self.train else -1.0]), i % 2

class Two(nn.Module):
    def __init__(self, first=nn.Linear(2, 3)):
        super().__init__()
        self.first = first
    def forward(self, a, b):
        return {"logits": self.first(a) + b}
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A person's file of networks and datasets."""
    path = tmp_path / f"own{next(NUMBER)}.py"
    path.write_text(SOURCE)
    return str(path)


def begin(data: Any, **model: Any) -> Any:
    """A model and data, as far as `fit` brings them before it trains."""
    trainer = Trainer(max_epochs=1, limit_train_batches=2, limit_val_batches=1, enable_checkpointing=False, **QUIET)
    trainer.strategy.connect(built := Model(**model))
    data.trainer = built.trainer = trainer
    data.prepare_data()
    return built


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none."""

    floor = 0.01
    options = ("--model.lr=1e-2", "--data.dataset_args.noise=0.05")


def test_any_sample_is_taken_apart() -> None:
    """Inputs and target are told apart by place or key; a sample that is one tensor is both."""
    arrange = importlib.import_module(f"{PACKAGE}.harness.objects").arrange
    assert arrange((1, 2, 3), None, None) == {"inputs": [1, 2], "target": 3}
    assert arrange({"x": 1, "id": 2, "y": 3}, ["x"], "y") == {"inputs": [1], "target": 3}
    assert arrange(([1, 2], 3), None, 0) == {"inputs": [3], "target": [1, 2]}
    assert arrange({"x": 1}, ["x"], "y") == {"inputs": [1]}
    assert arrange(5, None, None) == {"inputs": [5], "target": 5}


def test_batches_hold_what_the_dataset_gives() -> None:
    """A batch is the samples as they are, with their places in the dataset."""
    data = DataModule(batch_size=8)
    batch, moons = next(iter(data.val_dataloader())), toy.Moons()
    for i, index in enumerate(batch["index"].tolist()):
        assert torch.equal(batch["inputs"][0][i], moons[index][0])
        assert batch["target"][i] == moons[index][1]


@pytest.mark.parametrize("options", [{}, {"folds": 4, "fold": 1}])
def test_splits_are_apart_and_repeat(options: dict) -> None:
    """The splits share no sample and cover all; a seed gives the same ones again, another seed others."""
    first, again, other = (DataModule(split_seed=seed, **options).splits for seed in (0, 0, 1))
    assert sorted(i for name in ("train", "val", "test") for i in first[name].indices) == list(range(2000))
    assert first["test"].indices == again["test"].indices != other["test"].indices


def test_splits_of_ones_own(own: str) -> None:
    """Arguments of a split make a dataset of its own; the rest is cut, and read as `eval_args` say."""
    data = DataModule(f"{own}:Pairs", {"count": 20}, test_args={"count": 8}, eval_args={"train": False})
    assert len(data.splits["test"]) == len(data.predict_dataloader().dataset) == 8
    assert len(data.splits["train"]) + len(data.splits["val"]) == 20
    assert not set(data.splits["train"].indices) & set(data.splits["val"].indices)
    assert [data.splits[name][0]["inputs"][0][1].item() for name in ("train", "val", "test")] == [1, -1, -1]


def test_checkpoint_and_plain_class_exchange_weights(own: str, tmp_path: Path) -> None:
    """`net` in a checkpoint fills the plain class, whose own file starts a model; the checkpoint stands alone."""
    data, args = DataModule(batch_size=8), {"network_args": {"width": 8}}
    model = begin(data, **args)
    model.trainer.fit(model, data)
    model.trainer.save_checkpoint(tmp_path / "last.ckpt")
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    net = toy.Net(width=8)
    net.load_state_dict({k.removeprefix("net."): v for k, v in state.items() if k.startswith("net.")})
    again = Model.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    x = torch.rand(3, 2)
    assert torch.equal(net(x), model(x))
    assert torch.equal(again(x), model(x))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    other = begin(DataModule(), weights=str(tmp_path / "net.pt"), **args)
    assert not torch.equal(other(x), net(x))
    other.setup("fit")
    assert torch.equal(other(x), net(x))
    with pytest.raises(UserError, match=r"net\.pt is no state dict of this network.*size mismatch"):
        begin(DataModule(), weights=str(tmp_path / "net.pt")).setup("fit")


def test_networks_of_several_inputs(own: str) -> None:
    """Inputs are passed in order, and `output` names the part of a dict that counts."""
    model = Model(
        network=f"{own}:Two",
        network_args={"first": {"call": "torch.nn.Linear", "in_features": 2, "out_features": 3}},
        output="logits",
    )
    assert model(torch.rand(4, 2), torch.rand(4, 3)).shape == (4, 3)


@pytest.mark.parametrize(("kind", "outputs", "cell"), [("class", 2, 1), ("class", 1, 1), ("value", 3, [0.0, 0.0, 9.0])])
def test_predictions_have_a_row_each(kind: str, outputs: int, cell: Any) -> None:
    """A class, from logits or a single one, with its confidence; or the values as they are."""
    model = Model(network_args={"outputs": outputs}, predict=kind)
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    model.net.layers[-1].bias.data[-1] = 9.0
    columns = model.predict_step({"inputs": [torch.rand(4, 2)], "index": torch.arange(4)}, 0)
    assert {len(column) for column in columns.values()} == {4}
    assert columns["prediction"].tolist() == [cell] * 4


def test_double_precision_is_narrowed() -> None:
    """What NumPy makes of numbers fits the weights, unless these are double as well."""
    data, wide = DataModule(), {"x": torch.zeros(2, dtype=torch.float64), "i": torch.zeros(2, dtype=torch.int64)}
    for precision, kind in (("32-true", torch.float32), ("64-true", torch.float64)):
        model = begin(data)
        model.to(kind)
        batch = data.on_before_batch_transfer(wide, 0)
        assert [batch["x"].dtype, batch["i"].dtype] == [kind, torch.int64], precision
