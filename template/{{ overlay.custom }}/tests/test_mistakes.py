"""What is wrong with a network or a dataset is said before training. Yours: change it as your checks change."""

import importlib
import itertools
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
NUMBER = itertools.count()
SOURCE = """
import torch
from torch.utils.data import Dataset, IterableDataset

class Points(Dataset):
    def __init__(self, count=40, bad=None, rare=False):
        self.count, self.bad, self.classes = count, bad, 20 if rare else 2
    def __len__(self):
        return self.count
    def __getitem__(self, i):
        x = torch.tensor([i + 0.5, 1.0])
        return eval(self.bad, {"x": x}) if self.bad and i == 3 else (x, int(i % self.classes == 0))

class Stream(IterableDataset):
    def __iter__(self):
        return iter([(torch.zeros(2), 0)])

def uneven(outputs, target):
    return outputs.mean(dim=-1)
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A person's file of datasets."""
    path = tmp_path / f"mistaken{next(NUMBER)}.py"
    path.write_text(SOURCE)
    return str(path)


def begin(data: Any, **model: Any) -> None:
    """What `fit` does before it trains."""
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(Model(**model))
    data.trainer = trainer
    data.prepare_data()


def refused(data: dict[str, Any], model: dict[str, Any] | None = None) -> list[str]:
    """The lines that say what is wrong with a configuration."""
    with pytest.raises(UserError) as error:
        begin(DataModule(**data), **(model or {}))
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"network": ".toy.Nett"},
            "has no attribute 'Nett' (AttributeError; TRACEBACK=1 shows where); did you mean Net?",
        ),
        ({"network": "nowhere.Net"}, "No module named 'nowhere'"),
        ({"network": "Net"}, "say package.module.Name, .module.Name"),
        ({"network": "nets.py:Net"}, "of a file that is there"),
        ({"network": "math.pi"}, "is a float, not a class or a function"),
        ({"network": "{own}:Points"}, "makes a Points, not a module with weights to train"),
        ({"network": "torch.nn.Flatten"}, "makes a Flatten, not a module with weights to train"),
        ({"network_args": {"widths": 3}}, "got an unexpected keyword argument 'widths'"),
        (
            {"network": "torch.nn.Linear", "network_args": {"in_features": 2}},
            "missing a required argument: 'out_features'",
        ),
        ({"network_args": {"width": -1}}, "(RuntimeError; TRACEBACK=1 shows where)"),
        ({"loss": "torch.nn.functional.l1_los"}, "did you mean l1_loss?"),
        ({"loss_args": {"weights": 1}}, "unexpected keyword argument 'weights'"),
        ({"loss": "{own}:uneven"}, "makes float32 (2,) of outputs float32 (2, 2) and target int64 (2,), not a number"),
        ({"loss": "torch.nn.functional.nll_loss", "network_args": {"outputs": 1}}, "(IndexError; TRACEBACK"),
        ({"loss": "torch.nn.MSELoss", "network_args": {"outputs": 1}}, "Using a target size"),
        ({"metrics": {"a": "torch.nn.ReLU"}}, "model.metrics.a=torch.nn.ReLU is no torchmetrics.Metric"),
        ({"metrics": {"r2": "torchmetrics.R2Score"}}, "model.metrics.r2 makes no number of outputs float32 (2, 2)"),
        ({"optimizer": "torch.optim.SGD", "optimizer_args": {"momentun": 1}}, "unexpected keyword argument 'momentun'"),
        ({"optimizer": "torch.optim.SGD", "optimizer_args": {"momentum": -1}}, "Invalid momentum value: -1"),
        ({"network_args": {"inputs": 3}}, "model.network=.toy.Net takes no inputs [0] float32 (2, 2): "),
    ],
)
def test_faults_of_the_model_are_named(options: dict, message: str, own: str) -> None:
    """What cannot be found, made, or used on a batch is one line."""
    model = {k: v.replace("{own}", own) if isinstance(v, str) else v for k, v in options.items()}
    lines = refused({"dataset_args": {"samples": 40}}, model)
    assert len(lines) == 1
    assert message.format(package=PACKAGE, own=own) in lines[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": ".toy.Moon"}, "did you mean Moons?"),
        ({"dataset": "{own}:Stream"}, "streams cannot be cut"),
        ({"dataset": ".toy.Net"}, "is no Dataset with a length"),
        ({"dataset_args": {"count": 0}}, "has no samples for train: see data.train_args"),
        (
            {"val_args": {"split": "val"}},
            "takes (count=40, bad=None, rare=False): got an unexpected keyword argument 'split'",
        ),
        ({"dataset_args": {"bad": "1 / 0"}}, "train[3] cannot be read: division by zero (ZeroDivisionError; TRACEB"),
        ({"dataset_args": {"bad": "(x * float('nan'), 0)"}}, "train[3][0] has nan; correct it"),
        (
            {"dataset_args": {"bad": "(x[:1], 0)"}},
            "train[3] is [0] float32 (1,), [1] int64 (), most are [0] float32 (2,), [1] int64 ()",
        ),
        ({"dataset_args": {"bad": "(x, 5)"}}, "train[3]: target 5 is no class from 0 to 1"),
        ({"dataset_args": {"bad": "None"}}, "train[3] cannot be read: default_collate"),
        ({"inputs": ["image"]}, "has no part 'image' in 0, 1; see data.inputs"),
        ({"val_fraction": 2.0}, "data.val_fraction=2.0"),
    ],
)
def test_faults_of_the_data_are_named(options: dict, message: str, own: str) -> None:
    """What is wrong with a dataset or a sample of it is one line, with the sample's place."""
    data = {"dataset": f"{own}:Points"} | options
    lines = refused({k: v.replace("{own}", own) if isinstance(v, str) else v for k, v in data.items()})
    assert message.format(package=PACKAGE, own=own) in lines[0]


def test_traceback_is_there_for_authors(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TRACEBACK set, what a dataset raises is raised."""
    monkeypatch.setenv("TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        begin(DataModule(f"{own}:Points", {"bad": "1 / 0"}))


def test_notes_say_what_may_be_meant(own: str, capsys: pytest.CaptureFixture) -> None:
    """Samples in two splits, and uneven classes, are said, and not refused."""
    begin(DataModule(f"{own}:Points", val_args={}))
    assert "32 of val are in train as well" in capsys.readouterr().err
    begin(DataModule(f"{own}:Points", {"rare": True}))
    assert "classes are uneven" in capsys.readouterr().err
