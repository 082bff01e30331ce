"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/data.py")).parent.name
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
arrange = importlib.import_module(f"{PACKAGE}.readers.samples").arrange
toy = importlib.import_module(f"{PACKAGE}.toy")

MOONS = 2000  # samples of the toy dataset
SOURCE = """
import torch
from torch.utils.data import Dataset

class Pairs(Dataset):
    def __init__(self, count=40, train=True):
        self.count = count
        self.sign = 1.0 if train else -1.0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return torch.tensor([index + 0.5, self.sign]), index % 2
"""


@pytest.fixture
def own_file(tmp_path: Path) -> str:
    """A file with a dataset of one's own."""
    path = tmp_path / f"own_{uuid4().hex}.py"  # a process imports a module name once
    path.write_text(SOURCE)
    return str(path)


@pytest.mark.parametrize(
    ("sample", "inputs", "target", "expected"),
    [
        ((1, 2, 3), None, None, {"inputs": [1, 2], "target": 3}),
        (([1, 2], 3), None, 0, {"inputs": [3], "target": [1, 2]}),
        ({"x": 1, "id": 2, "y": 3}, ["x"], "y", {"inputs": [1], "target": 3}),
        ({"x": 1}, ["x"], "y", {"inputs": [1]}),
        (5, None, None, {"inputs": [5], "target": 5}),
    ],
)
def test_parts_of_a_sample(
    sample: Any, inputs: list | None, target: Any, expected: dict[str, Any]
) -> None:
    """Parts are named by index or key; by default the last is the target, and a single one both."""
    assert arrange(sample, inputs, target) == expected


def test_batches_hold_what_the_dataset_returns() -> None:
    """A batch has the samples as they are, with their positions in the dataset."""
    loader = DataModule(batch_size=8).val_dataloader()
    batch = next(iter(loader))
    moons = toy.Moons()
    for i, index in enumerate(batch["index"].tolist()):
        point, label = moons[index]
        assert torch.equal(batch["inputs"][0][i], point)
        assert batch["target"][i] == label


@pytest.mark.parametrize("options", [{}, {"folds": 4, "fold": 1}])
def test_splits_share_no_sample(options: dict[str, int]) -> None:
    """The splits cover all samples, and share none."""
    splits = DataModule(**options).splits
    indices = splits["train"].indices + splits["val"].indices + splits["test"].indices
    assert sorted(indices) == list(range(MOONS))


@pytest.mark.parametrize("options", [{}, {"folds": 4, "fold": 1}])
def test_a_seed_repeats_the_splits(options: dict[str, int]) -> None:
    """The same seed cuts the same splits, and another seed cuts others."""
    first = DataModule(split_seed=0, **options).splits["test"].indices
    again = DataModule(split_seed=0, **options).splits["test"].indices
    other = DataModule(split_seed=1, **options).splits["test"].indices
    assert first == again
    assert first != other


def test_splits_of_ones_own(own_file: str) -> None:
    """A split with arguments is a dataset of its own; `eval_args` hold for all but `train`."""
    data = DataModule(
        f"{own_file}:Pairs",
        {"count": 20},
        test_args={"count": 8},
        eval_args={"train": False},
    )
    splits = data.splits
    assert len(splits["test"]) == 8
    assert len(data.predict_dataloader().dataset) == 8
    assert len(splits["train"]) + len(splits["val"]) == 20
    assert not set(splits["train"].indices) & set(splits["val"].indices)
    for split, sign in (("train", 1), ("val", -1), ("test", -1)):
        point = splits[split][0]["inputs"][0]
        assert point[1] == sign
