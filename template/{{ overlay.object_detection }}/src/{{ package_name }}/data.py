"""Images with boxes: scenes of digits to start with, or your own in COCO's format.

Yours: updates of the template leave this file alone.
"""

from collections import Counter
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
from .readers.augmentation import random_affine, random_flip
from .readers.coco import CocoFolder, Sample, check_aspect_ratio, read_coco_folder
from .readers.images import ImageInfo, check_images, list_predict_images, read_image
from .readers.scenes import compose_scenes

MIN_BOX_SIDE = 2  # pixels; augmentation removes boxes of which less is left


@dataclass(frozen=True)
class LoadedData:
    """All samples, read and checked.

    Args:
        splits: the samples of `train`, `val` and `test`.
        class_names: by label.
        predict: the samples of `predict_path`, if there is one.
    """

    splits: dict[str, list[Sample]]
    class_names: list[str]
    predict: list[Sample]


class DataModule(LightningDataModule):
    """Scenes composed of scikit-learn's digits, or a folder of images with boxes in COCO's JSON.

    Args:
        path: a folder with `images/` and `annotations.json`, or `{train,val,test}.json`; by
            default the scenes.
        predict_path: an image, or a folder of images, for `predict`; by default the test split.
        image_size: longer side of an image in pixels, after resizing that keeps the proportions.
        batch_size: images per batch, summed over all devices.
        val_fraction: share of all images held out for validation if the data has no `val` split.
        test_fraction: share of all images held out for testing if the data has no `test` split.
        split_seed: seed of the random split, which keeps the proportions of the classes; the
            class of an image is the rarest in it.
        folds: number of cross-validation folds; 0 disables.
        fold: index of the fold that is the test split, from 0.
        augment: strength of augmentation; 0 disables, 1 shifts and scales by up to 10 %.
        flip: mirror training images left to right with probability 0.5.
        num_workers: loader processes; by default chosen for the data and the machine.

    Raises:
        UserError: for everything that is wrong with the images and boxes, when `class_names` is
            read or the data is set up.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        predict_path: str | None = None,
        image_size: Annotated[int, Range(min=1)] = 64,
        batch_size: Annotated[int, Range(min=1)] = 8,
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

    # Facts: they fill in the Model's parameters of the same names.

    @property
    def class_names(self) -> list[str]:
        return self.loaded.class_names

    @property
    def image_size(self) -> int:
        return self.hparams.image_size

    @cached_property
    def loaded(self) -> LoadedData:
        """All data, read once.

        Raises:
            UserError: with a line for everything that is wrong.
        """
        errors = ErrorCollector()
        if self.hparams.path:
            folder = read_coco_folder(Path(self.hparams.path), errors)
        else:
            folder = load_scenes()
        predict_images = list_predict_images(self.hparams.predict_path, errors)
        for path, image in check_images(predict_images, errors).items():
            with errors:
                check_aspect_ratio(path, image)

        splits = dict(folder.splits)
        samples = splits["train"]
        with errors:
            parts = cut_splits(rarest_classes(samples), splits, self.hparams)
            for split, indices in parts.items():
                splits[split] = [samples[index] for index in indices]

        classes_of_boxes = list_classes(splits["train"], folder.class_names)
        check_classes(classes_of_boxes, folder.class_names, errors)
        note_imbalance(classes_of_boxes)
        if self.hparams.path:
            note_leaks(contents_by_name(splits, folder.images))
        errors.raise_if_any()
        return LoadedData(
            splits=splits,
            class_names=folder.class_names,
            predict=[Sample(path, boxes=[], labels=[]) for path in predict_images],
        )

    def setup(self, stage: str) -> None:
        loaded = self.loaded
        splits = loaded.splits
        # A dataset for each split, so that only the training split is augmented.
        image_size = self.hparams.image_size
        self.train = BoxDataset(
            splits["train"],
            image_size,
            augmentation=self.make_augmentation(),
        )
        self.val = BoxDataset(splits["val"], image_size)
        self.test = BoxDataset(splits["test"], image_size)
        self.predict = BoxDataset(
            loaded.predict or splits["test"],
            image_size,
            keep_original=True,
        )

    def make_augmentation(self) -> list[v2.Transform]:
        """Images are not rotated, since their boxes would grow."""
        transforms: list[v2.Transform] = []
        if self.hparams.augment > 0:
            transforms.append(random_affine(self.hparams.augment, rotate=False))
            transforms.append(v2.ClampBoundingBoxes())
            transforms.append(v2.SanitizeBoundingBoxes(min_size=MIN_BOX_SIDE))
        transforms.append(random_flip(self.hparams.flip))
        return transforms

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.val, self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.test, self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.predict, self)


class BoxDataset(Dataset):
    """Images and boxes, read in whole batches, since images differ in size.

    A batch is a dict of lists with an entry for each image:
    - `image`: float32 (3, H, W), values from 0 to 1;
    - `boxes`: a list of [x1, y1, x2, y2] in pixels of `image`;
    - `labels`: a list of class indices from 0, as many as boxes;
    - `name`: the path of the image, or its number if it is in memory;
    - `original`: the PIL image before resizing, if `keep_original` is set.

    Boxes are numbers, since Lightning converts tensors to the precision of the model, and
    bfloat16 rounds 640 pixels to multiples of 4.
    """

    def __init__(
        self,
        samples: list[Sample],
        image_size: int,
        augmentation: list[v2.Transform] | None = None,
        keep_original: bool = False,
    ) -> None:
        self.samples = samples
        self.keep_original = keep_original
        self.in_memory = isinstance(samples[0].image, Image.Image)
        self.transform = v2.Compose(
            [
                v2.Resize(None, max_size=image_size),
                *(augmentation or []),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.ToPureTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, indices: list[int]) -> dict[str, list]:
        batch: dict[str, list] = {}
        for index in indices:
            for key, value in self.read_item(index).items():
                batch.setdefault(key, []).append(value)
        return batch

    def read_item(self, index: int) -> dict[str, Any]:
        """One image of a batch."""
        sample = self.samples[index]
        name: int | str = index
        original = sample.image
        if isinstance(original, Path):
            name = str(original)
            original = read_image(original)
        coordinates = torch.tensor(sample.boxes, dtype=torch.float32).reshape(-1, 4)
        box_format: Any = {"format": "XYXY", "canvas_size": (original.height, original.width)}
        objects = {
            "boxes": tv_tensors.BoundingBoxes(coordinates, **box_format),
            "labels": torch.tensor(sample.labels, dtype=torch.long),
        }
        image, objects = self.transform(original, objects)
        item = {
            "image": image,
            "boxes": objects["boxes"].tolist(),
            "labels": objects["labels"].tolist(),
            "name": name,
        }
        if self.keep_original:
            item["original"] = original
        return item


def load_scenes() -> CocoFolder:
    """600 scenes; no two share the scan of a digit, so every random split is fair."""
    samples = []
    for scene in compose_scenes():
        samples.append(Sample(scene.image, scene.boxes, scene.labels))
    return CocoFolder(
        splits={"train": samples},
        class_names=[str(digit) for digit in range(10)],
        images={},
    )


def rarest_classes(samples: list[Sample]) -> list[int]:
    """For each image, the label in it that is rarest overall; without boxes, the most frequent."""
    box_counts: Counter[int] = Counter()
    for sample in samples:
        box_counts.update(sample.labels)
    most_frequent = max(box_counts, key=box_counts.__getitem__, default=0)
    rarest = []
    for sample in samples:
        label = min(sample.labels, key=box_counts.__getitem__, default=most_frequent)
        rarest.append(label)
    return rarest


def list_classes(samples: list[Sample], class_names: list[str]) -> list[str]:
    """The name of each box's class, image after image."""
    names = []
    for sample in samples:
        for label in sample.labels:
            names.append(class_names[label])
    return names


def check_classes(
    classes_of_boxes: list[str],
    class_names: list[str],
    errors: ErrorCollector,
) -> None:
    """Report categories without a box in the training split."""
    occurring = set(classes_of_boxes)
    for name in class_names:
        if name not in occurring:
            errors.append(
                f"data.path: train has no box of category {name!r}; add some or remove the category"
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
