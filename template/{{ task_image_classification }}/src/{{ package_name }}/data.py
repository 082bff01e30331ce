"""Images with labels: digits to start with, or your own. Yours: updates leave it alone."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.datasets import ImageFolder

from .harness import UserError
from .harness.loading import make_loader

Samples = tuple[Sequence, list[int]]  # images, as tensors, paths or Hub rows, and their labels


class DataModule(LightningDataModule):
    """Scikit-learn's digits, a folder with a subfolder per class, or a Hub dataset.

    Args:
        path: a folder `CLASS/*.png`, or `{train,val,test}/CLASS/*.png`; no path and no hub: digits.
        hub: a Hugging Face dataset with the columns `image` and `label`, by name or local folder.
        predict_path: a folder of images to predict, labels unknown; default: the test split.
        image_size: side in pixels after resizing and centre cropping.
        batch_size: images per process and step.
        val_fraction: share of all images cut from the training split when there is no `val`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the classes' shares.
        rotate: augmentation: largest angle in degrees, either way.
        shift: largest displacement, as a share of the image.
        scale: largest change of size, as a share of it.
        flip: mirror left and right, half of the time.
        num_workers: loader processes; default: chosen to fit data and machine.
    """

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = None,
        predict_path: str | None = None,
        image_size: int = 32,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        rotate: float = 10.0,
        shift: float = 0.1,
        scale: float = 0.1,
        flip: bool = False,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @cached_property
    def source(self) -> tuple[dict[str, Samples], list[str]]:
        """The samples of each split, and the names of the classes."""
        hp = self.hparams
        if hp.hub is not None:
            splits, names = read_hub(hp.hub)
        else:
            splits, names = read_digits() if hp.path is None else read_folder(Path(hp.path))
        total = sum(len(labels) for _, labels in splits.values())
        for name, fraction in (("test", hp.test_fraction), ("val", hp.val_fraction)):
            if name not in splits:
                count = round(fraction * total)
                splits["train"], splits[name] = cut(splits["train"], count, hp.split_seed)
        return splits, names

    @property
    def class_names(self) -> list[str]:
        return self.source[1]

    def prepare_data(self) -> None:
        """Open every file once, so that a broken one shows before training, not in its midst."""
        for images, _ in self.source[0].values():
            for item in images if isinstance(images[0], str) else ():
                with reading(item), Image.open(item) as image:
                    image.verify()

    def setup(self, stage: str) -> None:
        # A dataset for each split, so that only the training split is augmented.
        hp, splits = self.hparams, self.source[0]
        self.train = ImageDataset(*splits["train"], hp.image_size, hp)
        self.val = ImageDataset(*splits["val"], hp.image_size)
        self.test = ImageDataset(*splits["test"], hp.image_size)
        self.predict = self.test
        if hp.predict_path is not None:
            paths = [str(path) for path in sorted(Path(hp.predict_path).rglob("*.*"))]
            if not paths:
                raise UserError(f"data.predict_path={hp.predict_path}: no such folder, or no file")
            self.predict = ImageDataset(paths, [-1] * len(paths), hp.image_size)

    def loader(self, dataset: "ImageDataset", train: bool = False) -> DataLoader:
        hp = self.hparams
        return make_loader(dataset, hp.batch_size, self.trainer, hp.num_workers, train)

    def train_dataloader(self) -> DataLoader:
        return self.loader(self.train, train=True)

    def val_dataloader(self) -> DataLoader:
        return self.loader(self.val)

    def test_dataloader(self) -> DataLoader:
        return self.loader(self.test)

    def predict_dataloader(self) -> DataLoader:
        return self.loader(self.predict)


class ImageDataset(Dataset):
    """Reads, resizes and augments whole batches: dicts of `image` (B, 3, size, size) with values
    from 0 to 1, `label` (B,), and `name`, a list of B strings."""

    def __init__(self, images: Sequence, labels: list[int], size: int, augment: Any = None) -> None:
        self.images, self.labels, self.size, self.augment = images, labels, size, augment
        self.in_memory = isinstance(images[0], Tensor)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> dict[str, Any]:
        items = [self.images[i] for i in indices]
        images = torch.stack([decode(item, self.size) for item in items]).float() / 255
        # One resampling does both: it augments, and brings the small digits to the size asked for.
        theta = random_affine(len(items), self.augment) if self.augment else torch.eye(2, 3)
        size = [len(items), 3, self.size, self.size]
        grid = F.affine_grid(theta.expand(len(items), 2, 3), size, align_corners=False)
        names = [x if isinstance(x, str) else str(i) for i, x in zip(indices, items, strict=True)]
        return {
            "image": F.grid_sample(images, grid, padding_mode="border", align_corners=False),
            "label": torch.tensor([self.labels[i] for i in indices]),
            "name": names,
        }


def random_affine(count: int, limits: Any) -> Tensor:
    """Affine maps (count, 2, 3) for `affine_grid` that turn, resize, mirror and move an image."""
    angle, size, x, y = torch.rand(4, count) * 2 - 1  # in [-1, 1)
    angle, size = angle * math.radians(limits.rotate), 1 + size * limits.scale
    mirror = torch.where(torch.rand(count) < 0.5 * limits.flip, -1, 1)
    cos, sin, reach = size * angle.cos(), size * angle.sin(), 2 * limits.shift  # a grid is 2 wide
    rows = [mirror * cos, -sin, reach * x, mirror * sin, cos, reach * y]
    return torch.stack(rows, dim=1).view(count, 2, 3)


def read_digits() -> tuple[dict[str, Samples], list[str]]:
    """1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998)."""
    images, labels = load_digits(return_X_y=True)
    pixels = torch.tensor(images / 16 * 255, dtype=torch.uint8).view(-1, 1, 8, 8).repeat(1, 3, 1, 1)
    return {"train": (list(pixels), labels.tolist())}, [str(digit) for digit in range(10)]


def read_folder(root: Path) -> tuple[dict[str, Samples], list[str]]:
    """`root/CLASS/*.png`, or `root/{train,val,test}/CLASS/*.png`."""
    given = [name for name in ("train", "val", "test") if (root / name).is_dir()]
    folders = {name: root / name for name in given} if "train" in given else {"train": root}
    try:
        splits = {name: ImageFolder(str(folder)) for name, folder in folders.items()}
    except FileNotFoundError as error:  # no folder, no class in it, or a class without an image
        reason = " ".join(str(error).split())
        raise UserError(f"data.path={root}: it takes CLASS/*.png folders; {reason}") from error
    names = splits["train"].classes
    for name, split in splits.items():
        if split.classes != names:
            raise UserError(f"{folders[name]} has the classes {split.classes}, train has {names}")
    return {k: ([path for path, _ in v.samples], v.targets) for k, v in splits.items()}, names


def read_hub(name: str) -> tuple[dict[str, Samples], list[str]]:
    """Takes `pip install datasets`, and the network unless the dataset is cached or a folder."""
    try:
        from datasets import load_dataset

        hub = load_dataset(name)
        names = hub["train"].features["label"].names
    except Exception as error:  # not installed, offline, misspelt, private, other columns
        reason = " ".join(str(error).split())
        raise UserError(f"data.hub={name} cannot be used: {reason}") from error
    keys = {"train": "train", "validation": "val", "test": "test"}
    return {keys[key]: (hub[key], hub[key]["label"]) for key in keys if key in hub}, names


def cut(samples: Samples, count: int, seed: int) -> tuple[Samples, Samples]:
    """Take `count` samples from a split, keeping the classes' shares."""
    images, labels = samples
    try:
        parts = train_test_split(range(len(labels)), test_size=count, stratify=labels, random_state=seed)
    except ValueError as error:
        raise UserError(f"cannot cut {count} of {len(labels)} images off: {error}") from error
    return tuple((Subset(images, part), [labels[i] for i in part]) for part in parts)


@contextmanager
def reading(item: Any) -> Iterator[None]:
    try:
        yield
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken files
        raise UserError(f"{item} is no readable image: replace it, or take it out") from error


def decode(item: Any, size: int) -> Tensor:
    """An RGB image (3, size, size), uint8, from a file or a Hub row; digits stay as they are."""
    if isinstance(item, Tensor):
        return item
    with reading(item):
        image = item["image"] if isinstance(item, dict) else Image.open(item)
        image = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
