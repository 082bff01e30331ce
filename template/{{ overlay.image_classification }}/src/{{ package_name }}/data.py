"""Labelled images: digits, or your own. Yours: updates of the template leave this file alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2

from .harness.errors import ErrorCollector, UserError
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.splits import cut_splits, note_imbalance, note_leaks
from .readers.augmentation import random_affine, random_flip
from .readers.class_folders import LabelledImages, LabelledSplits, read_class_folders
from .readers.hub import load_hub_splits
from .readers.images import (
    ImageInfo,
    check_images,
    convert_image,
    list_predict_images,
    read_image,
    reading,
)

UNKNOWN_LABEL = -1  # of images to predict, and in test splits of the Hub whose labels are secret
MAX_DIGIT_INK = 16  # in scikit-learn's scans


class DataModule(LightningDataModule):
    """Labelled images: scikit-learn's digits, a folder for each class, or a Hub dataset.

    Every image file is read once before training, so that all errors are reported at once. Batches
    are described in `ImageDataset`.

    Args:
        path: a folder with `CLASS/*.png` or `{train,val,test}/CLASS/*.png`; by default the digits.
        hub: a Hugging Face dataset with the columns `image` and `label`, by name or local folder.
        predict_path: an image, or a folder of images, for `predict`; by default the test split.
        image_size: side in pixels, after resizing and center cropping.
        batch_size: images per batch, summed over all devices.
        val_fraction: share of all images held out for validation if the data has no `val` split.
        test_fraction: share of all images held out for testing if the data has no `test` split.
        split_seed: seed of the random split, which keeps the proportions of the classes.
        folds: number of cross-validation folds; 0 disables.
        fold: index of the fold that is the test split, from 0.
        augment: strength of augmentation; 0 disables, 1 rotates by up to 10 degrees and shifts and
            scales by up to 10 %.
        flip: mirror training images left to right with probability 0.5.
        num_workers: loader processes; by default chosen for the data and the machine.

    Raises:
        UserError: with all errors in the data, when the data is prepared or a fact is read.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = None,
        predict_path: str | None = None,
        image_size: Annotated[int, Range(min=1)] = 32,
        batch_size: Annotated[int, Range(min=1)] = 64,
        val_fraction: Annotated[float, Range(min=0)] = 0.1,
        test_fraction: Annotated[float, Range(min=0)] = 0.2,
        split_seed: Annotated[int, Range(min=0)] = 0,
        folds: Annotated[int, Range(min=0)] = 0,
        fold: Annotated[int, Range(min=0)] = 0,
        augment: Annotated[float, Range(min=0)] = 1.0,
        flip: bool = False,
        num_workers: Annotated[int | None, Range(min=0)] = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    # A fact: it fills in the Model's parameter of the same name.

    @property
    def class_names(self) -> list[str]:
        return self.loaded.class_names

    @cached_property
    def loaded(self) -> "LoadedImages":
        """The images of every split and those to predict, free of errors."""
        options = self.hparams
        errors = ErrorCollector()
        found = find_labelled_images(options, errors)
        predict_paths = list_predict_images(options.predict_path, errors)
        files = list(predict_paths)
        if options.path:
            for samples in found.splits.values():
                files.extend(samples.images)
        checked = check_images(files, errors)

        splits = dict(found.splits)
        with errors:
            splits.update(cut_train(found, options))
        note_imbalance(name_labels(splits["train"].labels, found.class_names))
        if options.path:
            contents = {}
            for split, samples in splits.items():
                contents[split] = contents_of(samples, checked)
            note_leaks(contents)
        errors.raise_if_any()
        return LoadedImages(splits, found.class_names, predict_paths)

    def setup(self, stage: str) -> None:
        loaded = self.loaded
        # A dataset for each split, so that only the training split is augmented.
        self.train = ImageDataset(loaded.splits["train"], self.make_transform(augmented=True))
        plain = self.make_transform(augmented=False)
        self.val = ImageDataset(loaded.splits["val"], plain)
        self.test = ImageDataset(loaded.splits["test"], plain)
        self.predict = self.test
        if loaded.predict_paths:
            unlabelled = [UNKNOWN_LABEL] * len(loaded.predict_paths)
            self.predict = ImageDataset(LabelledImages(loaded.predict_paths, unlabelled), plain)

    def make_transform(self, augmented: bool) -> v2.Transform:
        """From a PIL image to a float32 tensor (3, S, S) with values from 0 to 1."""
        options = self.hparams
        steps: list[v2.Transform] = [
            v2.Resize(options.image_size),
            v2.CenterCrop(options.image_size),
        ]
        if augmented:
            steps.append(random_affine(options.augment))
            steps.append(random_flip(options.flip))
        steps.append(v2.ToImage())
        steps.append(v2.ToDtype(torch.float32, scale=True))
        return v2.Compose(steps)

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.val, self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.test, self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.predict, self)


@dataclass(frozen=True)
class LoadedImages:
    """The images that the options name, found and checked.

    Args:
        splits: `train`, `val` and `test`.
        class_names: by label.
        predict_paths: the images of `data.predict_path`.
    """

    splits: dict[str, LabelledImages]
    class_names: list[str]
    predict_paths: list[Path]


class ImageDataset(Dataset):
    """Labelled images, read one at a time.

    Each item is a dict with

    - `image`: float32 (3, S, S) with values from 0 to 1, where S is `data.image_size`;
    - `label`: the index of the class, or -1 if it is unknown;
    - `name`: the path of a file, or the index of any other image.

    A batch has `image` (B, 3, S, S), `label` int64 (B,), and `name`: B paths, or int64 (B,).
    """

    def __init__(self, samples: LabelledImages, transform: v2.Transform) -> None:
        self.images = samples.images
        self.labels = samples.labels
        self.transform = transform
        self.in_memory = isinstance(samples.images[0], Image.Image)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        label = self.labels[index]
        with reading(f"image {index} of data.hub"):  # whose rows are decoded here
            source = self.images[index]
            image = read_rgb(source)
        return {
            "image": self.transform(image),
            "label": label,
            "name": str(source) if isinstance(source, Path) else index,
        }


def read_rgb(source: Path | dict[str, Any] | Image.Image) -> Image.Image:
    """The RGB image of a file, of a row of a Hub dataset, or in memory."""
    if isinstance(source, Path):
        return read_image(source)
    if isinstance(source, dict):
        return convert_image(source["image"])
    return source


def find_labelled_images(options: Any, errors: ErrorCollector) -> LabelledSplits:
    """The images of the source that the options name, in the splits that it brings."""
    if options.path:
        return read_class_folders(Path(options.path), errors, classes_required=True)
    if options.hub:
        return read_hub(options.hub)
    return read_digits()


def read_digits() -> LabelledSplits:
    """1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998)."""
    scans, digits = load_digits(return_X_y=True)
    images = []
    for scan in scans:
        pixels = scan.reshape(8, 8) / MAX_DIGIT_INK * 255
        images.append(Image.fromarray(pixels.astype(np.uint8)).convert("RGB"))
    samples = LabelledImages(images, labels=[int(digit) for digit in digits])
    return LabelledSplits({"train": samples}, class_names=[str(digit) for digit in range(10)])


def read_hub(name: str) -> LabelledSplits:
    """The splits of a Hub dataset whose labels are published.

    Raises:
        UserError: if it cannot be loaded, or lacks the split or the columns that are needed.
    """
    splits = {}
    class_names = []
    for split, rows in load_hub_splits(name).items():
        label_feature = rows.features.get("label")
        if "image" not in rows.features or not hasattr(label_feature, "names"):
            raise UserError(
                f"data.hub={name}: {split} needs the columns `image` and `label`, with the names "
                f"of the classes, got {rows.features}; choose another dataset"
            )
        labels = list(rows["label"])
        if UNKNOWN_LABEL not in labels:
            splits[split] = LabelledImages(rows, labels)
            class_names = label_feature.names
    if "train" not in splits:
        raise UserError(f"data.hub={name}: no split `train` with labels; choose another dataset")
    return LabelledSplits(splits, class_names)


def cut_train(found: LabelledSplits, options: Any) -> dict[str, LabelledImages]:
    """`train`, and the splits cut from it because the data does not bring them.

    Raises:
        UserError: if there are too few images for them, or the options are impossible.
    """
    train = found.splits["train"]
    names = name_labels(train.labels, found.class_names)
    splits = {}
    for split, indices in cut_splits(names, found.splits, options).items():
        splits[split] = LabelledImages(
            images=Subset(train.images, indices),
            labels=[train.labels[index] for index in indices],
        )
    return splits


def name_labels(labels: list[int], class_names: list[str]) -> list[str]:
    return [class_names[label] for label in labels]


def contents_of(samples: LabelledImages, checked: Mapping[Path, ImageInfo]) -> dict[str, str]:
    """The content of each readable image file, by its path."""
    contents = {}
    for path in samples.images:
        if path in checked:
            contents[str(path)] = checked[path].content
    return contents
