"""Images to learn from. Yours: updates of the template leave this file alone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .harness.errors import ErrorCollector
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.splits import cut_splits, note_imbalance, note_leaks
from .readers.class_folders import LabelledSplits, read_class_folders
from .readers.images import ImageInfo, check_images, read_image

MAX_ASPECT_RATIO = 4  # the square in the center of a longer image shows too little of it
FLIP_PROBABILITY = 0.5
DIGIT_SIZE = 8
MAX_DIGIT_INK = 16  # in scikit-learn's scans


class DataModule(LightningDataModule):
    """Scikit-learn's digits, or a folder of images with or without a subfolder for each class.

    Args:
        path: a folder with `*.png` or `CLASS/*.png`, or with folders `train`, `val` and `test` of
            that form; by default scikit-learn's digits.
        image_size: side in pixels, after cropping the square in the center and resizing it; by
            default 8 for the digits, 32 for a folder.
        channels: 1 for greyscale, 3 for RGB; by default 1 for the digits, 3 for a folder.
        batch_size: images per batch, summed over all devices.
        val_fraction: share of all images held out for validation if the data has no `val` split.
        test_fraction: share of all images held out for testing if the data has no `test` split.
        split_seed: seed of the random split, which keeps the proportions of the classes.
        folds: number of cross-validation folds; 0 disables.
        fold: index of the fold that is the test split, from 0.
        flip: mirror training images left to right with probability 0.5.
        samples: number of images that `predict` generates, the classes in turn.
        num_workers: loader processes; by default chosen for the data and the machine.

    Raises:
        UserError: with all errors in the images, when a fact or a loader is asked for.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        image_size: Annotated[int | None, Range(min=1)] = None,
        channels: Literal[1, 3] | None = None,
        batch_size: Annotated[int, Range(min=1)] = 64,
        val_fraction: Annotated[float, Range(min=0)] = 0.1,
        test_fraction: Annotated[float, Range(min=0)] = 0.2,
        split_seed: Annotated[int, Range(min=0)] = 0,
        folds: Annotated[int, Range(min=0)] = 0,
        fold: Annotated[int, Range(min=0)] = 0,
        flip: bool = False,
        samples: Annotated[int, Range(min=1)] = 60,
        num_workers: Annotated[int | None, Range(min=0)] = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    # Facts: they fill in the Model's parameters of the same names.

    @property
    def image_shape(self) -> list[int]:
        """Channels, height and width."""
        default_size = 32 if self.hparams.path else DIGIT_SIZE
        default_channels = 3 if self.hparams.path else 1
        size = self.hparams.image_size or default_size
        channels = self.hparams.channels or default_channels
        return [channels, size, size]

    @property
    def class_names(self) -> list[str]:
        """Empty for images that are in no subfolders."""
        return self.loaded.class_names

    @property
    def splits(self) -> dict[str, "ImageSet"]:
        """The images of `train`, `val` and `test`."""
        return self.loaded.splits

    @cached_property
    def loaded(self) -> "LoadedImages":
        """The digits or the images in the folder, free of errors."""
        if self.hparams.path:
            return read_folder(self.hparams, self.image_shape)
        return read_digits(self.hparams, self.image_shape)

    def dataset(self, split: str) -> "ImageDataset":
        """The images of a split, as the loaders read them."""
        order = np.arange(len(self.splits[split].labels))
        if split != "train":
            # Loaders shuffle `train` alone. The others are shuffled here, so that their first
            # batches, which generated images are compared with, represent the whole split.
            np.random.default_rng(self.hparams.split_seed).shuffle(order)
        return ImageDataset(
            self.splits[split],
            order=order,
            image_shape=self.image_shape,
            flip=self.hparams.flip and split == "train",
        )

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.dataset("train"), self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.dataset("val"), self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.dataset("test"), self)

    def predict_dataloader(self) -> DataLoader:
        requests = SampleRequests(self.hparams.samples, len(self.class_names))
        return make_loader(requests, self)


class ImageSet(NamedTuple):
    """Images of a split, and their labels (N,), int64.

    The images are pixels (N, C, H, W), uint8, or the paths (N,) of files to read them from.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class LoadedImages:
    """The images of each split, and the names of the classes that the labels index."""

    splits: dict[str, ImageSet]
    class_names: list[str]


class ImageDataset(Dataset):
    """Images of a split, read a batch at a time.

    Each batch is a dict with `image` (B, C, H, W), float32 with values from -1 to 1; `label` (B,),
    int64; `index` (B,), int64, the position in the split; and `name`, a list of B strings: the
    path, or the position.

    Args:
        source: the images of the split.
        order: the positions in the split (N,), in the order in which they are read.
        image_shape: channels, height and width of an image.
        flip: mirror images with probability 0.5.
    """

    def __init__(
        self,
        source: ImageSet,
        order: np.ndarray,
        image_shape: list[int],
        flip: bool,
    ) -> None:
        self.source = source
        self.order = order
        self.image_shape = image_shape
        self.flip = flip
        self.in_memory = source.images.ndim > 1

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, indices: list[int]) -> dict:
        index = self.order[indices]
        selected = self.source.images[index]
        if self.in_memory:
            names = [str(position) for position in index]
            pixels = selected
        else:
            names = selected.tolist()
            pixels = np.stack([read_pixels(name, self.image_shape) for name in names])
        images = torch.from_numpy(pixels).float() / 127.5 - 1
        if self.flip:
            images = flip_some(images)
        return {
            "image": images,
            "label": torch.from_numpy(self.source.labels[index]),
            "index": torch.from_numpy(index),
            "name": names,
        }


class SampleRequests(Dataset):
    """The images that `predict` generates.

    Each batch is a dict with `index` (B,), int64, counted from 0; and `label` (B,), int64: the
    classes in turn, or 0 without classes.
    """

    in_memory = True

    def __init__(self, samples: int, class_count: int) -> None:
        self.samples = samples
        self.class_count = class_count

    def __len__(self) -> int:
        return self.samples

    def __getitems__(self, indices: list[int]) -> dict:
        index = torch.tensor(indices)
        return {
            "index": index,
            "label": index % max(1, self.class_count),
        }


def flip_some(images: Tensor) -> Tensor:
    """Mirror images (B, C, H, W) left to right, each with probability 0.5."""
    chosen = torch.rand(len(images)) < FLIP_PROBABILITY
    chosen = chosen.view(-1, 1, 1, 1)
    return torch.where(chosen, images.flip(-1), images)


def read_digits(options: Any, image_shape: list[int]) -> LoadedImages:
    """1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998).

    Raises:
        UserError: if they cannot be split as the options ask.
    """
    scans, labels = load_digits(return_X_y=True)
    pixels = []
    for scan in scans:
        grey = scan.reshape(DIGIT_SIZE, DIGIT_SIZE) * 255 / MAX_DIGIT_INK
        image = Image.fromarray(grey.astype(np.uint8)).convert(color_mode(image_shape))
        pixels.append(crop_and_resize(image, image_shape))
    train = ImageSet(np.stack(pixels), np.array(labels))
    class_names = [str(digit) for digit in range(10)]
    splits = cut_train({"train": train}, class_names, options)
    return LoadedImages(splits, class_names)


def read_folder(options: Any, image_shape: list[int]) -> LoadedImages:
    """The images in the folder `data.path`. Every file is read once, so that all errors show.

    Raises:
        UserError: with all errors in the folder and its files.
    """
    errors = ErrorCollector()
    found = read_class_folders(
        Path(options.path),
        errors,
        classes_required=False,
        sort_key=str,  # the order that the random split starts from
    )
    contents = check_files(found, image_shape[-1], errors)
    splits = {}
    for split, samples in found.splits.items():
        paths = [str(path) for path in samples.images]
        labels = np.array(samples.labels, dtype=np.int64)
        splits[split] = ImageSet(np.array(paths), labels)
    note_imbalance(classes_of(splits["train"], found.class_names))
    with errors:
        splits = cut_train(splits, found.class_names, options)
    note_duplicates(splits, contents)
    errors.raise_if_any()
    return LoadedImages(splits, found.class_names)


def check_files(
    found: LabelledSplits,
    image_size: int,
    errors: ErrorCollector,
) -> dict[str, str]:
    """Report images that cannot be read or used; return a hash of each readable one, by path."""
    paths: list[Path] = []
    for samples in found.splits.values():
        paths.extend(samples.images)
    contents = {}
    for path, info in check_images(paths, errors).items():
        check_size(path, info, image_size, errors)
        contents[str(path)] = info.content
    return contents


def check_size(path: Path, info: ImageInfo, image_size: int, errors: ErrorCollector) -> None:
    """Report an image that would be enlarged, or of which too little would remain."""
    size = f"{info.width} x {info.height} pixels"
    shorter = min(info.width, info.height)
    longer = max(info.width, info.height)
    if shorter < image_size:
        errors.append(
            f"{path}: both sides must have at least data.image_size={image_size} pixels, "
            f"got {size}; remove it, or lower data.image_size"
        )
    elif longer > MAX_ASPECT_RATIO * shorter:
        errors.append(
            f"{path}: the longer side must be at most {MAX_ASPECT_RATIO} times the shorter, "
            f"got {size}; crop or remove it"
        )


def classes_of(source: ImageSet, class_names: list[str]) -> list[str]:
    """The name of each image's class, or the same name for all if there are no classes."""
    names = class_names or ["image"]
    return [names[label] for label in source.labels]


def cut_train(
    splits: dict[str, ImageSet],
    class_names: list[str],
    options: Any,
) -> dict[str, ImageSet]:
    """All three splits; those that the data does not bring are cut from `train`.

    Raises:
        UserError: if there are too few images for them, or the options are impossible.
    """
    train = splits["train"]
    positions = cut_splits(classes_of(train, class_names), splits, options)
    all_splits = dict(splits)
    for split, chosen in positions.items():
        all_splits[split] = ImageSet(train.images[chosen], train.labels[chosen])
    return all_splits


def note_duplicates(splits: dict[str, ImageSet], contents: dict[str, str]) -> None:
    """Note the images that two splits share."""
    contents_by_split: dict[str, dict[str, str]] = {}
    for split, source in splits.items():
        contents_by_split[split] = {}
        for path in source.images.tolist():
            if path in contents:
                contents_by_split[split][path] = contents[path]
    note_leaks(contents_by_split)


def read_pixels(path: str, image_shape: list[int]) -> np.ndarray:
    """The pixels (C, H, W) of a file, uint8.

    Raises:
        UserError: if it cannot be read.
    """
    image = read_image(path, color_mode(image_shape))
    return crop_and_resize(image, image_shape)


def color_mode(image_shape: list[int]) -> Literal["L", "RGB"]:
    """Pillow's name for greyscale or color."""
    channels = image_shape[0]
    return "L" if channels == 1 else "RGB"


def crop_and_resize(image: Image.Image, image_shape: list[int]) -> np.ndarray:
    """The pixels (C, H, W) of the square in the center, uint8."""
    channels, height, width = image_shape
    fitted = ImageOps.fit(
        image,
        size=(width, height),
        method=Image.Resampling.BICUBIC,
    )
    pixels = np.asarray(fitted).reshape(height, width, channels)
    return pixels.transpose(2, 0, 1)
