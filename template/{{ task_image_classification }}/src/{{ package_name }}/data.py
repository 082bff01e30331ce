"""Images with labels: digits to start with, or your own. Yours: updates leave it alone."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.datasets.folder import IMG_EXTENSIONS, ImageFolder
from torchvision.transforms import v2

from .harness import UserError
from .harness.loaders import make_loader


class DataModule(LightningDataModule):
    """Scikit-learn's digits, a folder with a subfolder for each class, or a Hub dataset.

    Args:
        path: a folder `CLASS/*.png`, or `{train,val,test}/CLASS/*.png`; neither path nor hub: digits.
        hub: a Hugging Face dataset with the columns `image` and `label`, by name or local folder.
        predict_path: an image, or a folder of images, to predict; default: the test split.
        image_size: side in pixels, after resizing and centre cropping.
        batch_size: images of a step, over all devices.
        val_fraction: share of all images that is cut from `train` where there is no `val`.
        test_fraction: the same for `test`.
        split_seed: of the cuts, which keep the classes' shares.
        augment: strength, from 0; at 1, turns by 10 degrees, shifts and zooms by 10 %, either way.
        flip: mirror left and right half of the time, as part of the augmentation.
        num_workers: loader processes; default: to fit data and machine.
    """

    hparams: Any

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
        augment: float = 1.0,
        flip: bool = False,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @cached_property
    def splits(self) -> dict[str, tuple[Any, list[int]]]:
        """For each split its images, which are images, paths or Hub rows, and their labels."""
        hp = self.hparams
        splits, self.names = read_hub(hp.hub) if hp.hub else read_folder(Path(hp.path)) if hp.path else read_digits()
        total = sum(len(labels) for _, labels in splits.values())
        for name, fraction in (("test", hp.test_fraction), ("val", hp.val_fraction)):
            if name not in splits:
                splits["train"], splits[name] = cut(*splits["train"], round(fraction * total), hp.split_seed)
        return splits

    @cached_property
    def class_names(self) -> list[str]:
        return self.names if self.splits else []

    @cached_property
    def new_images(self) -> list[str]:
        """The images of `predict_path`, a folder or a single one."""
        path = Path(self.hparams.predict_path or "")
        found = [str(p) for p in sorted(path.rglob("*")) if p.suffix.lower() in IMG_EXTENSIONS]
        return [] if self.hparams.predict_path is None else found or [str(path)]

    def prepare_data(self) -> None:
        """Open every file once, so that a broken one shows before training, not in its midst."""
        named = [] if self.hparams.hub else [image for images, _ in self.splits.values() for image in images]
        for image in (image for image in named + self.new_images if isinstance(image, str)):
            read_image(image, check=True)

    def setup(self, stage: str) -> None:
        hp, a = self.hparams, self.hparams.augment / 10
        fit = [v2.Resize(hp.image_size), v2.CenterCrop(hp.image_size), v2.ToImage(), v2.ToDtype(torch.float32, True)]
        vary = [v2.RandomAffine(100 * a, (a, a), (1 - a, 1 + a), interpolation=2), v2.RandomHorizontalFlip(hp.flip / 2)]
        plain = v2.Compose(fit)
        # A dataset for each split, so that only the training split is augmented.
        self.train = ImageDataset(*self.splits["train"], v2.Compose([*fit[:2], *vary, *fit[2:]]))
        self.val = ImageDataset(*self.splits["val"], plain)
        self.test = self.predict = ImageDataset(*self.splits["test"], plain)
        if self.new_images:
            self.predict = ImageDataset(self.new_images, [-1] * len(self.new_images), plain)

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.train, self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.val, self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.test, self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.predict, self)


class ImageDataset(Dataset):
    """Dicts of `image` (3, size, size) with values from 0 to 1, `label`, and `name`, a path or a number."""

    def __init__(self, images: Any, labels: list[int], transform: v2.Transform) -> None:
        self.images, self.labels, self.transform = images, labels, transform
        self.in_memory = isinstance(images[0], Image.Image)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        image = self.images[index]
        name = image if isinstance(image, str) else index
        return {"image": self.transform(read_image(image)), "label": self.labels[index], "name": name}


def read_digits() -> tuple[dict[str, tuple[Any, list[int]]], list[str]]:
    """1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998)."""
    scans, labels = load_digits(return_X_y=True)
    images = [Image.fromarray((scan.reshape(8, 8) / 16 * 255).astype("uint8")).convert("RGB") for scan in scans]
    return {"train": (images, list(map(int, labels)))}, [str(digit) for digit in range(10)]


def read_folder(root: Path) -> tuple[dict[str, tuple[Any, list[int]]], list[str]]:
    splits = [name for name in ("train", "val", "test") if (root / "train").is_dir() and (root / name).is_dir()]
    try:
        folders = {name or "train": ImageFolder(str(root / name)) for name in splits or [""]}
    except OSError as error:  # no folder, no class in it, or a class without images
        reason = str(error).replace("\n", " ")
        raise UserError(f"data.path={root} takes CLASS/*.png or train/CLASS/*.png: {reason}") from error
    names = folders["train"].classes
    if odd := [p.name for p in root.iterdir() if splits and p.is_dir() and p.name not in (*splits, "val", "test")]:
        raise UserError(f"data.path={root}: beside train there are val and test, not {odd[0]}: move it away")
    if len(names) < 2:
        raise UserError(f"data.path={root} has one class, {names[0]}: add a folder for another")
    if other := [name for name, folder in folders.items() if folder.classes != names]:
        raise UserError(f"data.path={root}: {other[0]} has the classes {folders[other[0]].classes}, train has {names}")
    return {name: ([path for path, _ in folder.samples], folder.targets) for name, folder in folders.items()}, names


def read_hub(name: str) -> tuple[dict[str, tuple[Any, list[int]]], list[str]]:
    """Needs the extra `hub`, and the network unless the dataset is cached or a local folder."""
    try:
        from datasets import load_dataset

        hub = load_dataset(name)
        names = hub["train"].features["label"].names
    except Exception as error:  # not installed, offline, misspelt, private, other columns
        raise UserError(f"data.hub={name} cannot be used: {error}".replace("\n", " ")) from error
    return {str(key).replace("validation", "val"): (split, list(split["label"])) for key, split in hub.items()}, names


def cut(images: Any, labels: list[int], count: int, seed: int) -> list[tuple[Any, list[int]]]:
    """What remains of a split, and `count` samples taken from it; both keep the classes' shares."""
    try:
        parts = train_test_split(range(len(labels)), test_size=count, stratify=labels, random_state=seed)
    except ValueError as error:
        raise UserError(f"cannot take {count} images for a split from {len(labels)}: {error}") from error
    return [(Subset(images, part), [labels[i] for i in part]) for part in parts]


def read_image(item: str | dict | Image.Image, check: bool = False) -> Any:
    """The RGB image of a path, a Hub row, or an image; `check` looks at the file alone."""
    try:
        image = Image.open(item) if isinstance(item, str) else item["image"] if isinstance(item, dict) else item
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"{image.mode} has more than 8 bits in a channel")  # which convert would clip to white
        return image.verify() if check else image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # all are Pillow's
        raise UserError(f"{item} is no readable image: replace it, or take it out") from error
