"""Images with boxes: scenes of digits to start with, or your own in COCO's format. Yours: updates leave it alone."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from .harness import Faults, cut, note_imbalance, note_leaks
from .harness.boxes import Sample, inspect, read_coco
from .harness.loaders import make_loader
from .harness.scenes import compose_scenes, list_images, read_image


class DataModule(LightningDataModule):
    """Scenes composed of scikit-learn's digits, or a folder of images with boxes in COCO's JSON.

    Args:
        path: a folder with `images/` and `annotations.json`, or `{train,val,test}.json`; default: scenes of digits.
        predict_path: an image, or a folder of images, to predict; default: the test split.
        image_size: the longer side in pixels, after resizing; the other keeps its share.
        batch_size: images of a step, over all devices.
        val_fraction: share of all images that is cut from `train` where there is no `val`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the shares of each image's rarest class.
        folds: with more than 0, `test` is one of so many equal parts, for cross-validation.
        fold: which one, from 0.
        augment: strength, up to 9; at 1, shifts and zooms by 10 %, either way.
        flip: mirror left and right half of the time, as part of the augmentation.
        num_workers: loader processes; default: to fit data and machine.

    Raises:
        UserError: with all that is wrong with the images and boxes, when a fact is read or data are prepared.
    """

    hparams: Any

    def __init__(
        self,
        path: str | None = None,
        predict_path: str | None = None,
        image_size: int = 64,
        batch_size: int = 8,
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
    def splits(self) -> dict[str, list[Any]]:
        """The samples of each split, when nothing is wrong with any of them."""
        hp, faults = self.hparams, Faults()
        splits, self.names = read_coco(Path(hp.path), faults) if hp.path else read_scenes()
        files = list_images(Path(hp.predict_path)) if hp.predict_path else []
        faults += [f"data.predict_path={hp.predict_path}: no image is there"] * bool(hp.predict_path and not files)
        self.new = [Sample(str(file), [], [], "data.predict_path") for file in files]
        contents = inspect([*self.new, *(sample for part in splits.values() for sample in part if hp.path)], faults)
        train = splits["train"]
        counts = Counter(label for sample in train for label in sample.labels)
        usual = max(counts, key=counts.__getitem__, default=0)  # stands for the class of an image without boxes
        with faults:
            rarest = [min(sample.labels, key=counts.__getitem__, default=usual) for sample in train]
            parts = cut(rarest, splits, hp) if train else {}
            splits |= {name: [train[i] for i in part] for name, part in parts.items()}
        boxes = [self.names[label] for sample in splits["train"] for label in sample.labels]
        lack = [name for name in self.names if train and name not in set(boxes)]
        faults += [f"{hp.path}: train has no box of category {name!r}; add some, or take it out" for name in lack]
        note_imbalance(boxes)
        if hp.path:
            note_leaks({n: {s.image: contents.get(s.image, s.image) for s in part} for n, part in splits.items()})
        faults.refuse()
        return splits

    # Facts: what the data know, for the model to keep.

    @cached_property
    def class_names(self) -> list[str]:
        return self.names if self.splits else []

    @property
    def image_size(self) -> int:
        return self.hparams.image_size

    def setup(self, stage: str) -> None:
        hp = self.hparams
        self.train = BoxedImages(self.splits["train"], hp, augment=hp.augment)
        self.val, self.test = (BoxedImages(self.splits[name], hp) for name in ("val", "test"))
        self.predict = BoxedImages(self.new or self.splits["test"], hp, keep=True)

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.val, self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.test, self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.predict, self)


class BoxedImages(Dataset):
    """Batches of lists: `image` (3, H, W) with values from 0 to 1, `boxes` [x1, y1, x2, y2] in its pixels, `labels`,
    `name`, a path or a number, and `picture`, the original, where it is kept.

    Boxes are numbers, since Lightning would make tensors as coarse as the model, in bfloat16 4 pixels of 640.
    """

    def __init__(self, samples: list[Any], hp: Any, augment: float = 0, keep: bool = False) -> None:
        self.samples, self.keep, a = samples, keep, min(9, augment) / 10
        self.in_memory = not isinstance(samples[0].image, str)
        vary = [v2.RandomAffine([0, 0], (a, a), (1 - a, 1 + a), interpolation=2), v2.ClampBoundingBoxes()]
        vary += [v2.RandomHorizontalFlip(hp.flip / 2), v2.SanitizeBoundingBoxes(min_size=2)]
        pixels = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.ToPureTensor()]
        self.transform = v2.Compose([v2.Resize(None, max_size=hp.image_size), *vary * (augment > 0), *pixels])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, indices: list[int]) -> dict[str, list]:
        rows = [self.read(index) for index in indices]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def read(self, index: int) -> dict:
        sample = self.samples[index]
        picture = sample.image if self.in_memory else read_image(sample.image)
        boxes = torch.tensor(sample.boxes, dtype=torch.float32).reshape(-1, 4)
        options: Any = {"format": "XYXY", "canvas_size": picture.size[::-1]}
        inside = {"boxes": tv_tensors.BoundingBoxes(boxes, **options)}
        image, inside = self.transform(picture, inside | {"labels": torch.tensor(sample.labels, dtype=torch.long)})
        row = {"image": image, "name": index if self.in_memory else sample.image}
        row |= {name: values.tolist() for name, values in inside.items()}
        return row | ({"picture": picture} if self.keep else {})


def read_scenes() -> tuple[dict[str, list[Any]], list[str]]:
    """600 scenes, of which no two share the scan of a digit, so that any cut is fair."""
    return {"train": [scene for part in compose_scenes().values() for scene in part]}, [str(i) for i in range(10)]
