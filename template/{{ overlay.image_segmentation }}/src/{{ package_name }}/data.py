"""Images with a class for each pixel: scenes of digits, or your own. Yours: updates leave it alone."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from .harness import Faults, cut, note_imbalance, note_leaks
from .harness.loaders import make_loader
from .harness.masks import IGNORED, Sample, count, read_folder, read_mask
from .harness.scenes import compose_scenes, content, list_images, read_image


class DataModule(LightningDataModule):
    """Scenes composed of scikit-learn's digits, or a folder of images and masks.

    Args:
        path: a folder with `images` and `masks`, or with such `train`, `val` and `test`; default: the scenes.
        predict_path: an image, or a folder of images, to predict; default: the test split.
        image_size: side in pixels of the square that images are scaled to fit into, and padded to.
        batch_size: images of a step, over all devices.
        val_fraction: share of all images that is cut from `train` where there is no `val`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the shares of images by their largest class, background apart.
        folds: parts of equal size for cross-validation, of which one is `test`; 0: none.
        fold: which one, from 0.
        augment: strength, up to 9; at 1, turns by 10 degrees, shifts and zooms by 10 %, colours vary by 20 %.
        flip: mirror left and right half of the time.
        num_workers: loader processes; default: to fit data and machine.

    Raises:
        UserError: for images and masks that cannot be used, when a fact is read or data are prepared.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        predict_path: str | None = None,
        image_size: int = 48,
        batch_size: int = 16,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        folds: int = 0,
        fold: int = 0,
        augment: float = 1.0,
        flip: bool = False,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @cached_property
    def splits(self) -> dict[str, list[Sample]]:
        """The samples of each split, when nothing is wrong with any of them."""
        hp, faults = self.hparams, Faults()
        splits, self.names = read_folder(Path(hp.path), faults) if hp.path else read_scenes()
        self.new = [Sample(str(p), None, {}) for p in (list_images(Path(hp.predict_path)) if hp.predict_path else [])]
        faults += [f"data.predict_path={hp.predict_path}: no image is there"] * bool(hp.predict_path and not self.new)
        for sample in self.new:
            with faults:
                read_image(sample.name)
        with faults:
            parts = cut([sample.main for sample in splits["train"]], splits, hp)
            splits |= {name: [splits["train"][i] for i in part] for name, part in parts.items()}
        there = [self.names[i] for sample in splits["train"] for i in sample.pixels]
        if lacking := [name for name in self.names if name and name not in there]:
            few = ", ".join(lacking[:9])
            faults.append(f"{hp.path}: no pixel of train is of class {few}; label some, or number classes without gaps")
        if hp.path:
            note_imbalance([name for name in there if name != self.names[0]])
            note_leaks({name: {s.name: content(s.name) for s in part} for name, part in splits.items()})
        faults.refuse()
        return splits

    @cached_property
    def class_names(self) -> list[str]:
        return self.names if self.splits else []

    def setup(self, stage: str) -> None:
        a, square = self.hparams.augment / max(10, self.hparams.augment + 1), self.hparams.image_size
        edges: Any = {tv_tensors.Image: 0, tv_tensors.Mask: IGNORED}
        turn = v2.RandomAffine(
            100 * a, (a, a), (max(0.1, 1 - a), 1 + a), interpolation=v2.InterpolationMode.BILINEAR, fill=edges
        )
        vary = v2.Compose([turn, v2.ColorJitter(2 * a, 2 * a, 2 * a), v2.RandomHorizontalFlip(self.hparams.flip / 2)])
        # A dataset for each split, so that only the training split is augmented.
        self.train = PixelDataset(self.splits["train"], square, vary)
        self.val, self.test = (PixelDataset(self.splits[name], square) for name in ("val", "test"))
        self.predict = PixelDataset(self.new or self.splits["test"], square)

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.val, self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.test, self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.predict, self)


class PixelDataset(Dataset):
    """Dicts of `image` (3, S, S) from 0 to 1, `mask` (S, S), `name`, a path or number, and `size`, the file's H, W."""

    def __init__(self, samples: list[Sample], side: int, vary: v2.Transform | None = None) -> None:
        self.samples, self.side, self.vary = samples, side, vary
        self.in_memory = samples[0].image is not None

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict:
        name, mask, _, photo = self.samples[index]
        photo = photo or read_image(name)
        mask = np.full(photo.size[::-1], IGNORED, np.uint8) if mask is None else mask
        mask = Image.fromarray(read_mask(mask) if isinstance(mask, Path) else mask)
        image: Any = tv_tensors.Image(fit(photo, self.side, Image.Resampling.BILINEAR, 0))
        mask = tv_tensors.Mask(fit(mask, self.side, Image.Resampling.NEAREST, IGNORED))
        image, mask = self.vary(image, mask) if self.vary else (image, mask)
        tensors = {"image": image.as_subclass(torch.Tensor) / 255, "mask": mask.as_subclass(torch.Tensor)[0]}
        return tensors | {"name": name, "size": torch.tensor(photo.size[::-1])}


def fit(image: Image.Image, side: int, method: Image.Resampling, edge: int) -> Image.Image:
    """Scaled to fit into a square, in whose upper left corner it lies."""
    scale = side / max(image.size)
    square = Image.new(image.mode, (side, side), (edge,) * len(image.getbands()))
    square.paste(image.resize([max(1, round(length * scale)) for length in image.size], method))
    return square


def read_scenes() -> tuple[dict[str, list[Sample]], list[str]]:
    """600 scenes of 48 x 48 pixels, of which no two share the scan of a digit, so that any cut is fair."""
    scenes = [scene for part in compose_scenes(size=48).values() for scene in part]
    samples = [Sample(i, scene.mask, count(scene.mask), scene.image) for i, scene in enumerate(scenes)]
    return {"train": samples}, ["background", *map(str, range(10))]
