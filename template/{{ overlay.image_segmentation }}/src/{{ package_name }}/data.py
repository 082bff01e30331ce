"""Images with a class for each pixel: scenes of digits to start with, or your own.

Yours: updates of the template leave this file alone.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from .harness.errors import ErrorCollector
from .harness.loaders import make_loader
from .harness.ranges import Range
from .harness.splits import cut_splits, note_imbalance, note_leaks
from .readers.augmentation import augmentation_strength, random_affine, random_flip
from .readers.images import ImageInfo, check_images, list_predict_images, read_image
from .readers.masks import IGNORED, MaskFolder, Sample, count_pixels, read_mask, read_mask_folder
from .readers.scenes import compose_scenes

SCENE_SIZE = 48  # pixels
DIGIT_NAMES = [str(digit) for digit in range(10)]
NAMES_IN_ERROR = 9


@dataclass(frozen=True)
class LoadedData:
    """All samples, read and checked.

    Args:
        splits: the samples of `train`, `val` and `test`.
        class_names: by their index in masks.
        predict: the samples of `predict_path`, if there is one.
    """

    splits: dict[str, list[Sample]]
    class_names: list[str]
    predict: list[Sample]


class DataModule(LightningDataModule):
    """Scenes composed of scikit-learn's digits, or a folder of images and masks.

    Args:
        path: a folder with `images` and `masks`, or with `train`, `val` and `test` that contain
            these; by default the scenes.
        predict_path: an image, or a folder of images, for `predict`; by default the test split.
        image_size: side in pixels of the square that images are scaled to fit into; the rest of
            the square is padding.
        batch_size: images per batch, summed over all devices.
        val_fraction: share of all images held out for validation if the data has no `val` split.
        test_fraction: share of all images held out for testing if the data has no `test` split.
        split_seed: seed of the random split, which keeps the proportions of the classes; the
            class of an image is that of most pixels, other than the background.
        folds: number of cross-validation folds; 0 disables.
        fold: index of the fold that is the test split, from 0.
        augment: strength of augmentation; 0 disables, 1 rotates by up to 10 degrees and shifts and
            scales by up to 10 %, and varies brightness, contrast and saturation by up to 20 %.
        flip: mirror training images left to right with probability 0.5.
        num_workers: loader processes; by default chosen for the data and the machine.

    Raises:
        UserError: for everything that is wrong with the images and masks, when `class_names` is
            read or the data is set up.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        predict_path: str | None = None,
        image_size: Annotated[int, Range(min=1)] = 48,
        batch_size: Annotated[int, Range(min=1)] = 16,
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
    def loaded(self) -> LoadedData:
        """All data, read once.

        Raises:
            UserError: with a line for everything that is wrong.
        """
        errors = ErrorCollector()
        if self.hparams.path:
            folder = read_mask_folder(Path(self.hparams.path), errors)
        else:
            folder = load_scenes()
        predict_images = list_predict_images(self.hparams.predict_path, errors)
        check_images(predict_images, errors)

        splits = dict(folder.splits)
        samples = splits["train"]
        with errors:
            classes = [sample.largest_class() for sample in samples]
            parts = cut_splits(classes, splits, self.hparams)
            for split, indices in parts.items():
                splits[split] = [samples[index] for index in indices]

        classes_in_images = list_classes(splits["train"], folder.class_names)
        check_classes(classes_in_images, folder.class_names, errors)
        if self.hparams.path:
            background = folder.class_names[0]
            note_imbalance([name for name in classes_in_images if name != background])
            note_leaks(contents_by_name(splits, folder.images))
        errors.raise_if_any()
        return LoadedData(
            splits=splits,
            class_names=folder.class_names,
            predict=[Sample(name=str(path), image=path) for path in predict_images],
        )

    def setup(self, stage: str) -> None:
        loaded = self.loaded
        splits = loaded.splits
        # A dataset for each split, so that only the training split is augmented.
        side = self.hparams.image_size
        self.train = MaskDataset(
            splits["train"],
            side,
            augmentation=self.make_augmentation(),
        )
        self.val = MaskDataset(splits["val"], side)
        self.test = MaskDataset(splits["test"], side)
        self.predict = self.test
        if loaded.predict:
            self.predict = MaskDataset(loaded.predict, side)

    def make_augmentation(self) -> v2.Transform:
        """Vary image and mask alike; what comes in from outside the image is ignored."""
        augment = self.hparams.augment
        jitter = 2 * augmentation_strength(augment)
        return v2.Compose(
            [
                random_affine(
                    augment,
                    fill={tv_tensors.Image: 0, tv_tensors.Mask: IGNORED},
                ),
                v2.ColorJitter(
                    brightness=jitter,
                    contrast=jitter,
                    saturation=jitter,
                ),
                random_flip(self.hparams.flip),
            ]
        )

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.val, self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.test, self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.predict, self)


class MaskDataset(Dataset):
    """Images and masks, scaled to fit into a square, with padding on the right or below.

    Each item is a dict with
    - `image`: float32 (3, S, S), values from 0 to 1, 0 in the padding;
    - `mask`: uint8 (S, S), class indices, 255 (ignored) in the padding;
    - `name`: the path of the image, or its number if it is in memory;
    - `size`: int64 (2,), height and width of the image before scaling;
    - `scaled_size`: int64 (2,), height and width of the part of the square without padding.

    In a batch, tensors are stacked, and `name` is a list of B paths, or int64 (B,).
    """

    def __init__(
        self, samples: list[Sample], side: int, augmentation: v2.Transform | None = None
    ) -> None:
        self.samples = samples
        self.side = side
        self.augmentation = augmentation
        self.in_memory = isinstance(samples[0].image, Image.Image)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict:
        sample = self.samples[index]
        photo = sample.image
        if isinstance(photo, Path):
            photo = read_image(photo)
        class_indices = load_class_indices(sample, photo)
        scaled_size = scale_to_fit(photo.size, self.side)
        scaled_photo = photo.resize(scaled_size, Image.Resampling.BILINEAR)
        scaled_mask = class_indices.resize(scaled_size, Image.Resampling.NEAREST)
        padded_photo = pad(scaled_photo, self.side, fill=0)
        padded_mask = pad(scaled_mask, self.side, fill=IGNORED)
        image: Any = tv_tensors.Image(padded_photo)
        mask: Any = tv_tensors.Mask(padded_mask)
        if self.augmentation is not None:
            image, mask = self.augmentation(image, mask)
        return {
            "image": image.as_subclass(torch.Tensor) / 255,
            "mask": mask.as_subclass(torch.Tensor)[0],
            "name": sample.name,
            "size": torch.tensor([photo.height, photo.width]),
            "scaled_size": torch.tensor([scaled_photo.height, scaled_photo.width]),
        }


def load_class_indices(sample: Sample, photo: Image.Image) -> Image.Image:
    """The class index of each pixel; all are ignored if the sample has no mask."""
    if sample.mask is None:
        return Image.new("L", photo.size, IGNORED)
    if isinstance(sample.mask, Path):
        return Image.fromarray(read_mask(sample.mask))
    return Image.fromarray(sample.mask)


def scale_to_fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height after scaling so that the longer one is `side`."""
    width, height = size
    scale = side / max(width, height)
    scaled_width = max(1, round(width * scale))
    scaled_height = max(1, round(height * scale))
    return scaled_width, scaled_height


def pad(image: Image.Image, side: int, fill: int) -> Image.Image:
    """A square with the image in its upper left corner."""
    square = Image.new(image.mode, (side, side), fill)
    square.paste(image)
    return square


def load_scenes() -> MaskFolder:
    """600 scenes; no two share the scan of a digit, so every random split is fair."""
    samples = []
    for number, scene in enumerate(compose_scenes(size=SCENE_SIZE)):
        sample = Sample(
            name=number,
            image=scene.image,
            mask=scene.mask,
            pixel_counts=count_pixels(scene.mask),
        )
        samples.append(sample)
    return MaskFolder(
        splits={"train": samples},
        class_names=["background", *DIGIT_NAMES],
        images={},
    )


def list_classes(samples: list[Sample], class_names: list[str]) -> list[str]:
    """The name of each class in an image, image after image."""
    names = []
    for sample in samples:
        for class_index in sample.pixel_counts:
            names.append(class_names[class_index])
    return names


def check_classes(
    classes_in_images: list[str],
    class_names: list[str],
    errors: ErrorCollector,
) -> None:
    """Report classes that no pixel of the training split has."""
    occurring = {"", *classes_in_images}  # an empty name is reported already
    missing = [name for name in class_names if name not in occurring]
    if missing:
        shown = ", ".join(missing[:NAMES_IN_ERROR])
        errors.append(
            f"data.path: no pixel of train has class {shown};"
            " label some, or number the classes without gaps"
        )


def contents_by_name(
    splits: dict[str, list[Sample]],
    images: dict[Path, ImageInfo],
) -> dict[str, dict[str, str]]:
    """A hash of each image file that was read, by its path, for each split."""
    contents = {}
    for split, samples in splits.items():
        contents[split] = {}
        for sample in samples:
            path = sample.image
            if isinstance(path, Path) and path in images:
                contents[split][str(path)] = images[path].content
    return contents
