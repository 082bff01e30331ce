"""Tests of the checks before training. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from lightning.pytorch import Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

SOURCE = """
import torch
from torch.utils.data import Dataset, IterableDataset

class Points(Dataset):
    def __init__(self, count=40, bad=None, rare=False):
        self.count = count
        self.bad = bad
        self.classes = 20 if rare else 2

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        x = torch.tensor([index + 0.5, 1.0])
        if self.bad and index == 3:
            return eval(self.bad, {"x": x})
        return x, int(index % self.classes == 0)

class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.zeros(2), 0)])

def one_loss_per_sample(outputs, target):
    return outputs.mean(dim=-1)
"""


@pytest.fixture
def own_file(tmp_path: Path) -> str:
    """A file with datasets and a loss of one's own; options below name it `OWN`."""
    path = tmp_path / f"own_{uuid4().hex}.py"  # a process imports a module name once
    path.write_text(SOURCE)
    return str(path)


def prepare_fit(data: Any, **options: Any) -> None:
    """What `fit` does before it trains."""
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(Model(**options))
    data.trainer = trainer
    data.prepare_data()


def with_own_file(options: dict[str, Any], own_file: str) -> dict[str, Any]:
    """The options with the file's path in place of `OWN`."""
    filled = {}
    for name, value in options.items():
        if isinstance(value, str):
            value = value.replace("OWN", own_file)
        filled[name] = value
    return filled


def error_lines(data: dict[str, Any], model: dict[str, Any]) -> list[str]:
    """The lines of the error for a configuration."""
    with pytest.raises(UserError) as raised:
        prepare_fit(DataModule(**data), **model)
    return str(raised.value).splitlines()


MODEL_ERRORS = [
    (
        {"network": ".toy.Nett"},
        "has no attribute 'Nett' (AttributeError; TRACEBACK=1 shows where); did you mean Net?",
    ),
    ({"network": "nowhere.Net"}, "cannot be imported: No module named 'nowhere'"),
    ({"network": "Net"}, "has no module; write package.module.Name, .module.Name"),
    ({"network": "nets.py:Net"}, "there is no file nets.py; correct the path"),
    ({"network": "math.pi"}, "is a float; name a class or a function"),
    ({"network": "OWN:Points"}, "makes a Points, which is not a module"),
    ({"network": "torch.nn.Flatten"}, "makes a Flatten, which has no weights to train"),
    ({"network_args": {"widths": 3}}, "got an unexpected keyword argument 'widths'"),
    (
        {"network": "torch.nn.Linear", "network_args": {"in_features": 2}},
        "missing a required argument: 'out_features'",
    ),
    ({"network_args": {"width": -1}}, "(RuntimeError; TRACEBACK=1 shows where)"),
    ({"loss": "torch.nn.functional.l1_los"}, "did you mean l1_loss?"),
    ({"loss_args": {"weights": 1}}, "unexpected keyword argument 'weights'"),
    (
        {"loss": "OWN:one_loss_per_sample"},
        "makes float32 (2,) of outputs float32 (2, 2) and target int64 (2,); it must make a single",
    ),
    (
        {"loss": "torch.nn.functional.nll_loss", "network_args": {"outputs": 1}},
        "(IndexError; TRACEBACK",
    ),
    (
        {"loss": "torch.nn.MSELoss", "network_args": {"outputs": 1}},
        "Using a target size",
    ),
    (
        {"metrics": {"a": "torch.nn.ReLU"}},
        "model.metrics.a=torch.nn.ReLU is not a torchmetrics.Metric",
    ),
    (
        {"metrics": {"r2": "torchmetrics.R2Score"}},
        "model.metrics.r2 makes no number of outputs float32 (2, 2)",
    ),
    (
        {"optimizer": "torch.optim.SGD", "optimizer_args": {"momentun": 1}},
        "unexpected keyword argument 'momentun'",
    ),
    (
        {"optimizer": "torch.optim.SGD", "optimizer_args": {"momentum": -1}},
        "Invalid momentum value: -1",
    ),
    (
        {"network_args": {"inputs": 3}},
        "model.network=.toy.Net rejects inputs [0] float32 (2, 2): ",
    ),
]


@pytest.mark.parametrize(("options", "message"), MODEL_ERRORS)
def test_errors_in_the_model(options: dict[str, Any], message: str, own_file: str) -> None:
    """What cannot be imported, made, or used on a batch is reported in one line."""
    model = with_own_file(options, own_file)
    lines = error_lines({"dataset_args": {"samples": 40}}, model)
    assert len(lines) == 1
    assert message in lines[0]


DATA_ERRORS = [
    ({"dataset": ".toy.Moon"}, "did you mean Moons?"),
    ({"dataset": "OWN:Stream"}, "makes a stream, which cannot be cut"),
    ({"dataset": ".toy.Net"}, "makes a Net, which has no length"),
    ({"dataset_args": {"count": 0}}, "has no samples for train; see data.train_args"),
    (
        {"val_args": {"split": "val"}},
        "takes (count=40, bad=None, rare=False): got an unexpected keyword argument 'split'",
    ),
    (
        {"eval_args": {"count": 20}},
        "has 40 samples for train and 20 for val, so it cannot be cut; set data.val_args",
    ),
    (
        {"dataset_args": {"bad": "1 / 0"}},
        "train[3]: cannot be read: division by zero (ZeroDivisionError; TRACEBACK=1",
    ),
    (
        {"dataset_args": {"bad": "(x * float('nan'), 0)"}},
        "train[3]: part [0] has nan; correct it",
    ),
    (
        {"dataset_args": {"bad": "(x[:1], 0)"}},
        "train[3]: its form is [0] float32 (1,), [1] int64 (), but that of most is [0] float32",
    ),
    (
        {"dataset_args": {"bad": "(x, 5)"}},
        "train[3]: target 5 is not a class of the outputs, 0 to 1",
    ),
    ({"dataset_args": {"bad": "None"}}, "train[3]: cannot be read: default_collate"),
    ({"inputs": ["image"]}, "there is no part 'image' among [0, 1]; see data.inputs"),
    ({"val_fraction": 2.0}, "data.val_fraction=2.0"),
]


@pytest.mark.parametrize(("options", "message"), DATA_ERRORS)
def test_errors_in_the_data(options: dict[str, Any], message: str, own_file: str) -> None:
    """What is wrong with a dataset or one of its samples is reported, with the sample's place."""
    data = {"dataset": "OWN:Points"}
    data.update(options)
    lines = error_lines(with_own_file(data, own_file), {})
    assert message in lines[0]


def test_traceback_shows_errors_in_own_code(own_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TRACEBACK set, an exception of a dataset is raised as it is."""
    monkeypatch.setenv("TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        prepare_fit(DataModule(f"{own_file}:Points", {"bad": "1 / 0"}))


def test_samples_in_two_splits_are_noted(own_file: str, capsys: pytest.CaptureFixture) -> None:
    """The same samples in two splits are a note, not an error."""
    prepare_fit(DataModule(f"{own_file}:Points", val_args={}))
    assert "32 of val are in train as well" in capsys.readouterr().err


def test_uneven_classes_are_noted(own_file: str, capsys: pytest.CaptureFixture) -> None:
    """Classes of very different sizes are a note, not an error."""
    prepare_fit(DataModule(f"{own_file}:Points", {"rare": True}))
    assert "classes are uneven" in capsys.readouterr().err
