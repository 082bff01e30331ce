"""Images with labels: digits to start with, or your own. Yours: updates leave it alone."""

from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from PIL import Image, ImageOps
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import v2

from .harness import Faults, UserError, cut, note_imbalance, note_leaks
from .harness.loaders import make_loader

Splits = dict[str, tuple[Any, list[int]]]  # images, which are images, paths or Hub rows, and labels


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
        folds: for cross-validation, so many equal parts of `train`, of which one is `test`; 0: none.
        fold: which one, from 0.
        augment: strength, up to 9; at 1, turns by 10 degrees, shifts and zooms by 10 %, either way.
        flip: mirror left and right half of the time.
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
        folds: int = 0,
        fold: int = 0,
        augment: float = 1.0,
        flip: bool = False,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @cached_property
    def splits(self) -> Splits:
        """The images and labels of each split, when nothing is wrong with any of them."""
        hp, faults, contents = self.hparams, Faults(), {}
        splits, self.names = read_hub(hp.hub) if hp.hub else read_folder(hp.path, faults) if hp.path else read_digits()
        self.new = list_images(Path(hp.predict_path)) if hp.predict_path else []
        faults += [f"data.predict_path={hp.predict_path}: no image is there"] * bool(hp.predict_path and not self.new)
        for image in [*self.new, *(path for paths, _ in splits.values() if hp.path for path in paths)]:
            with faults:
                contents[image] = content(image)
        images, labels = splits["train"]
        with faults:
            parts = cut([self.names[label] for label in labels], splits, hp)
            splits |= {name: (Subset(images, part), [labels[i] for i in part]) for name, part in parts.items()}
        note_imbalance([self.names[label] for label in splits["train"][1]])
        if hp.path:
            note_leaks({n: {p: contents[p] for p in paths if p in contents} for n, (paths, _) in splits.items()})
        faults.refuse()
        return splits

    @cached_property
    def class_names(self) -> list[str]:
        return self.names if self.splits else []

    def setup(self, stage: str) -> None:
        hp, a = self.hparams, self.hparams.augment / max(10, self.hparams.augment + 1)
        fit = [v2.Resize(hp.image_size), v2.CenterCrop(hp.image_size), v2.ToImage(), v2.ToDtype(torch.float32, True)]
        vary = [v2.RandomAffine(100 * a, (a, a), (1 - a, 1 + a), interpolation=2), v2.RandomHorizontalFlip(hp.flip / 2)]
        plain = v2.Compose(fit)
        # A dataset for each split, so that only the training split is augmented.
        self.train = ImageDataset(*self.splits["train"], v2.Compose([*fit[:2], *vary, *fit[2:]]))
        self.val, self.test = (ImageDataset(*self.splits[split], plain) for split in ("val", "test"))
        self.predict = ImageDataset(self.new, [-1] * len(self.new), plain) if self.new else self.test

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


def read_digits() -> tuple[Splits, list[str]]:
    """1,797 handwritten digits of 8 x 8 pixels (E. Alpaydin and C. Kaynak, UCI, 1998)."""
    scans, labels = load_digits(return_X_y=True)
    images = [Image.fromarray((scan.reshape(8, 8) / 16 * 255).astype("uint8")).convert("RGB") for scan in scans]
    return {"train": (images, list(map(int, labels)))}, [str(digit) for digit in range(10)]


def read_folder(path: str, faults: Faults) -> tuple[Splits, list[str]]:
    """The images of each split and the names of the classes; what is wrong with the folders is added to the faults."""
    root = Path(path)
    given = [name for name in ("train", "val", "test") if (root / "train").is_dir() and (root / name).is_dir()]
    names = list_folders(root / "train" if given else root)
    if len(names) < 2:
        raise UserError(f"data.path={path} takes CLASS/*.png or train/CLASS/*.png, 2 classes or more; it has {names}")
    odd = [name for name in list_folders(root) if given and name not in ("train", "val", "test")]
    faults += [f"{root / name}: beside train there are val and test alone; move it away" for name in odd]
    splits: Splits = {}
    for split in given or ["train"]:
        at = root / split if given else root
        unknown = [name for name in list_folders(at) if name not in names]
        faults += [f"{at / name}: train has no such class; add it there, or move this away" for name in unknown]
        loose = [file for file in list_images(at) if Path(file).parent == at]
        faults += [f"{file}: an image lies in the folder of its class; move it there" for file in loose]
        images = {name: list_images(at / name) for name in names}
        faults += [f"{at / name}: no image of this class is there; add some" for name in names if not images[name]]
        items = [(image, label) for label, name in enumerate(names) for image in images[name]]
        splits[split] = [image for image, _ in items], [label for _, label in items]
    return splits, names


def list_folders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.is_dir() and p.name[0] != ".") if path.is_dir() else []


def list_images(path: Path) -> list[str]:
    """An image, or those of a folder and of the folders in it, but for hidden ones."""
    found = [path] if path.is_file() else sorted(path.rglob("[!.]*"))
    return [str(p) for p in found if p.suffix.lower() in IMG_EXTENSIONS]


def read_hub(name: str) -> tuple[Splits, list[str]]:
    """Needs the extra `hub`, and the network unless the dataset is cached or a local folder."""
    try:
        from datasets import load_dataset

        hub = {split: rows for split, rows in load_dataset(name).items() if -1 not in rows["label"]}  # a secret label
        names = hub["train"].features["label"].names
    except Exception as error:  # not installed, offline, misspelt, private, other columns
        raise UserError(f"data.hub={name} cannot be used: {error}".replace("\n", " ")) from error
    return {str(k).replace("validation", "val"): (rows, list(rows["label"])) for k, rows in hub.items()}, names


def content(path: str) -> bytes:
    """A hash of an image file that can be read."""
    try:
        data = Path(path).read_bytes()
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"{image.mode} has more than 8 bits in a channel")  # which would be clipped to white
            image.draft("RGB", (1, 1))  # an eighth of a JPEG's size, which takes a fraction of the time
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # all are Pillow's
        reason = getattr(error, "strerror", None) or str(error).partition("<")[0].strip()  # no object in memory
        raise UserError(f"{path} is no readable image ({reason}): replace it, or take it out") from error
    return blake2b(data, digest_size=16).digest()


def read_image(item: str | dict | Image.Image) -> Image.Image:
    """The RGB image of a path, a Hub row, or an image; upright."""
    try:
        image = Image.open(item) if isinstance(item, str) else item["image"] if isinstance(item, dict) else item
        return ImageOps.exif_transpose(image).convert("RGB")
    except OSError as error:
        raise UserError(f"{item} is no readable image ({error}): replace it, or take it out") from error
