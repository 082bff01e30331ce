"""A dataset with which all is wrong."""

from pathlib import Path

SOURCE = '''
import torch
from torch.utils.data import Dataset

class Points(Dataset):
    """Points and the side that each is on; in train there is something wrong with every tenth."""

    def __init__(self, split):
        self.split, self.shift = split, {"train": 0, "val": 30, "test": 400}[split]

    def __len__(self):
        return 200 if self.split == "train" else 20

    def __getitem__(self, i):
        x, y = torch.tensor([(i + self.shift) % 7 - 3.0, (i + self.shift) / 100]), int(i % 25 == 0)
        if self.split != "train" or i % 10 or not 10 <= i <= 140:
            return x, y
        return {
            10: lambda: (x * float("nan"), y),
            20: lambda: (x / 0, y),
            30: lambda: (x[:1], y),
            40: lambda: (x.double(), y),
            50: lambda: (x, y, "more"),
            60: lambda: {"x": x, "y": y}["label"],
            70: lambda: None,
            80: lambda: (x, float(y)),
            90: lambda: (x, 7),
            100: lambda: (x.requires_grad_(), y),
            110: lambda: (x[:0], y),
            120: lambda: (x, 1 / 0),
            130: lambda: (open("scan130.png"), y),
            140: lambda: {"x": x, "y": y},
        }[i]()
'''


def hostile(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Options of `fit`, what is said of each of the faults, and of what may be meant."""
    file = folder / f"hostile_{abs(hash(str(folder)))}.py"  # a module of its own for each folder
    file.write_text(SOURCE)
    options = [f"--data.dataset={file}:Points"]
    options += [f"--data.{split}_args.split={split}" for split in ("train", "val", "test")]
    faults = [
        "train[10][0] has nan; correct it",
        "train[20][0] has inf; correct it",
        "train[30] is [0] float32 (1,), [1] int64 (), most are [0] float32 (2,), [1] int64 (); make them alike",
        "train[40] is [0] float64 (2,), [1] int64 ()",
        "train[50] is [0] float32 (2,), [1] int64 (), [2][0] str",
        "train[60] cannot be read: 'label' (KeyError",
        "train[70] cannot be read: default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists",
        "train[80] is [0] float32 (2,), [1] float64 ()",
        "train[90]: target 7 is no class from 0 to 1, which the outputs are of; correct it",
        "train[100][0] requires a gradient; detach it",
        "train[110] is [0] float32 (0,), [1] int64 ()",
        "train[120] cannot be read: division by zero (ZeroDivisionError",
        "train[130] cannot be read: [Errno 2] No such file or directory: 'scan130.png'",
        "train[140] is ['x'] float32 (2,), ['y'] int64 ()",
    ]
    return options, faults, ["classes are uneven: train has", "of val are in train as well: val["]
