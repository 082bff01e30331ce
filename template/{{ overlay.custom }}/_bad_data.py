"""A dataset with every error that the readers know, for the test that `fit` reports all of them."""

from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

SOURCE = '''
import torch
from torch.utils.data import Dataset

SHIFTS = {"train": 0, "val": 30, "test": 400}


class Points(Dataset):
    """Points and their classes; every tenth sample of `train` from 10 to 140 has an error."""

    def __init__(self, split):
        self.split = split

    def __len__(self):
        return 200 if self.split == "train" else 20

    def __getitem__(self, index):
        place = index + SHIFTS[self.split]
        point = torch.tensor([place % 7 - 3.0, place / 100])
        label = int(index % 25 == 0)
        if self.split == "train":
            return break_sample(index, point, label)
        return point, label


def break_sample(index, point, label):
    """A sample with the error that belongs to its index, if there is one."""
    if index == 10:
        return point * float("nan"), label
    if index == 20:
        return point / 0, label
    if index == 30:
        return point[:1], label
    if index == 40:
        return point.double(), label
    if index == 50:
        return point, label, "more"
    if index == 60:
        return {"point": point}["label"]
    if index == 70:
        return None
    if index == 80:
        return point, float(label)
    if index == 90:
        return point, 7
    if index == 100:
        return point.requires_grad_(), label
    if index == 110:
        return point[:0], label
    if index == 120:
        return point, 1 / 0
    if index == 130:
        return open("scan130.png"), label
    if index == 140:
        return {"point": point, "label": label}
    return point, label
'''


class BadData(NamedTuple):
    """What a run with bad data is given, and what it should report."""

    options: list[str]  # that name the data
    errors: list[str]  # a part of each line
    notes: list[str]


def write_bad_data(folder: Path) -> BadData:
    """Write a Python file with the dataset."""
    file = folder / f"bad_data_{uuid4().hex}.py"  # a process imports a module name once
    file.write_text(SOURCE)
    usual = "[0] float32 (2,), [1] int64 ()"
    return BadData(
        options=[
            f"--data.dataset={file}:Points",
            "--data.train_args.split=train",
            "--data.val_args.split=val",
            "--data.test_args.split=test",
        ],
        errors=[
            "train[10]: part [0] has nan; correct it",
            "train[20]: part [0] has inf; correct it",
            f"train[30]: its form is [0] float32 (1,), [1] int64 (), but that of most is {usual}",
            "train[40]: its form is [0] float64 (2,), [1] int64 ()",
            "train[50]: its form is [0] float32 (2,), [1] int64 (), [2][0] str",
            "train[60]: cannot be read: 'label' (KeyError",
            "train[70]: cannot be read: default_collate: batch must contain tensors, numpy arrays",
            "train[80]: its form is [0] float32 (2,), [1] float64 ()",
            "train[90]: target 7 is not a class of the outputs, 0 to 1",
            "train[100]: part [0] requires a gradient; detach it",
            "train[110]: its form is [0] float32 (0,), [1] int64 ()",
            "train[120]: cannot be read: division by zero (ZeroDivisionError",
            "train[130]: cannot be read: [Errno 2] No such file or directory: 'scan130.png'",
            "train[140]: its form is ['point'] float32 (2,), ['label'] int64 ()",
        ],
        notes=[
            "classes are uneven: train has",
            "of val are in train as well: val[",
        ],
    )
