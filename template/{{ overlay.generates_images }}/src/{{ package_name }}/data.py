"""Images to learn from: digits to start with, or your own. Yours: updates leave it alone."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

from .harness import Faults, cut, note_imbalance, note_leaks
from .harness.loaders import make_loader
from .harness.pictures import list_images, read_folder, read_image, to_pixels


class DataModule(LightningDataModule):
    """Scikit-learn's digits, or a folder of images, with a subfolder for each class or without any.

    Args:
        path: a folder `*.png`, `CLASS/*.png`, or `{train,val,test}/...` of either; default: the digits.
        image_size: side in pixels, after centre cropping and resizing; default: 8 for the digits, 32 for yours.
        channels: 1 for grey, 3 for RGB; default: 1 for the digits, 3 for yours.
        batch_size: images of a step, over all devices.
        val_fraction: share of all images that is cut from `train` where there is no `val`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the classes' shares.
        folds: of a cross-validation, whose test splits are so many equal parts of the images; 0: none.
        fold: which of them is the test split, from 0.
        flip: mirror left and right half of the time, in training.
        samples: how many images `predict` makes, the classes in turn.
        num_workers: loader processes; default: to fit data and machine.

    Raises:
        UserError: for all that is wrong with the images, when a fact is read.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        image_size: int | None = None,
        channels: Literal[1, 3] | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        folds: int = 0,
        fold: int = 0,
        flip: bool = False,
        samples: int = 60,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    # Facts: what the model is told, and keeps.

    @property
    def image_shape(self) -> list[int]:
        """Channels, height and width."""
        size = self.hparams.image_size or (32 if self.hparams.path else 8)
        return [self.hparams.channels or (3 if self.hparams.path else 1), size, size]

    @cached_property
    def class_names(self) -> list[str]:
        """None for images that are in no subfolder."""
        return self.names if self.splits else []

    @cached_property
    def splits(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """For each split its images, which are pixels (N, C, H, W) or paths (N,), and their labels (N,).

        Every file is read once, so that what is wrong shows before training, all at once.
        """
        hp, faults, contents = self.hparams, Faults(), {}
        splits, self.names = read_folder(Path(hp.path), faults) if hp.path else read_digits(self.image_shape)
        for path in list_images(Path(hp.path)) if hp.path else []:
            with faults:
                contents[path] = hash(read_image(path, self.image_shape).tobytes())
        images, labels = splits["train"]
        classes = [self.names[label] if self.names else "image" for label in labels]
        with faults:
            parts = cut(classes, splits, hp) if classes else {}
            splits |= {split: (images[part], labels[part]) for split, part in parts.items()}
        if hp.path:
            note_imbalance(classes)
            note_leaks({s: {p: contents[p] for p in paths if p in contents} for s, (paths, _) in splits.items()})
        faults.refuse()
        return splits

    def pictures(self, split: str) -> "Pictures":
        images, labels = self.splits[split]
        order = np.arange(len(labels))
        if split != "train":  # not shuffled later: here it is, so that the first batches are a fair sample of the split
            np.random.default_rng(self.hparams.split_seed).shuffle(order)
        return Pictures(images, labels, self.image_shape, self.hparams.flip and split == "train", order)

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.pictures("train"), self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.pictures("val"), self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.pictures("test"), self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(Requests(self.hparams.samples, len(self.class_names)), self)


class Pictures(Dataset):
    """Batches of `image` (B, C, H, W) with values from -1 to 1, `label` (B,), `index` (B,) in the split, and `name`."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, shape: list[int], flip: bool, order: np.ndarray) -> None:
        self.images, self.labels, self.shape, self.flip, self.order = images, labels, shape, flip, order
        self.in_memory = images.ndim > 1

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, places: list[int]) -> dict:
        indices = self.order[places]
        pixels = self.images[indices]
        names = [str(index) for index in indices] if self.in_memory else pixels.tolist()
        if not self.in_memory:
            pixels = np.stack([read_image(name, self.shape) for name in names])
        images = torch.from_numpy(pixels).float() / 127.5 - 1
        if self.flip:
            mirrored = torch.rand(len(indices)).lt(0.5).view(-1, 1, 1, 1)
            images = torch.where(mirrored, images.flip(-1), images)
        label, index = torch.from_numpy(self.labels[indices]), torch.from_numpy(indices)
        return {"image": images, "label": label, "index": index, "name": names}


class Requests(Dataset):
    """Which images are to be made: batches of `index` (B,), counted from 0, and `label` (B,), the classes in turn."""

    in_memory = True

    def __init__(self, count: int, classes: int) -> None:
        self.count, self.classes = count, classes

    def __len__(self) -> int:
        return self.count

    def __getitems__(self, indices: list[int]) -> dict:
        index = torch.tensor(indices)
        return {"index": index, "label": index % max(1, self.classes)}


def read_digits(shape: list[int]) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], list[str]]:
    """1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998)."""
    scans, labels = map(np.asarray, load_digits(return_X_y=True))
    images = (Image.fromarray((scan.reshape(8, 8) * 255 / 16).astype("uint8")) for scan in scans)
    pixels = np.stack([to_pixels(image, shape) for image in images])
    return {"train": (pixels, labels)}, [str(digit) for digit in range(10)]
