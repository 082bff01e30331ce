"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
data_module = importlib.import_module(f"{PACKAGE}.data")
DataModule = data_module.DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

COLORS = {"red": (200, 0, 0), "blue": (0, 0, 200)}
IMAGES_PER_CLASS = 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ten images for each color."""
    folder = tmp_path / "images"
    for name, color in COLORS.items():
        write_images(folder / name, IMAGES_PER_CLASS, color)
    return folder


def write_images(folder: Path, count: int, color: tuple[int, int, int]) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (12, 20), color).save(folder / f"{i}.png")


def read_errors(data: Any) -> list[str]:
    """The lines of the error that the data raises."""
    with pytest.raises(UserError) as raised:
        data.setup("fit")
    return list(raised.value.args)


def read_all(data: Any) -> None:
    """Read every image of every split."""
    for dataset in (data.train, data.val, data.test):
        list(dataset)


def test_only_training_images_are_augmented() -> None:
    """A training image differs each time it is read; a validation image does not."""
    data = DataModule()
    data.setup("fit")
    assert not torch.equal(data.train[0]["image"], data.train[0]["image"])
    assert torch.equal(data.val[0]["image"], data.val[0]["image"])


def test_strong_augmentation_is_possible() -> None:
    """The strength has no upper limit."""
    data = DataModule(augment=20)
    data.setup("fit")
    assert data.train[0]["image"].shape == (3, 32, 32)


def test_splits_are_disjoint_and_complete() -> None:
    """Each digit is in one split."""
    names = []
    data = DataModule()
    for samples in data.loaded.splits.values():
        names.extend(id(image) for image in samples.images)
    assert len(names) == len(set(names)) == 1797


def test_splits_depend_on_the_seed_alone() -> None:
    """The same seed gives the same splits, another seed gives others."""
    labels = []
    for seed in (0, 0, 1):
        data = DataModule(split_seed=seed)
        labels.append(data.loaded.splits["test"].labels)
    assert labels[0] == labels[1]
    assert labels[0] != labels[2]


def test_folder_of_classes(folder: Path) -> None:
    """`CLASS/*.png` gives a class for each folder, and images of the size asked for."""
    data = DataModule(path=str(folder), image_size=16, batch_size=4)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert data.class_names == ["blue", "red"]
    assert batch["image"].shape == (4, 3, 16, 16)
    assert batch["image"].min() >= 0
    assert batch["image"].max() <= 1
    for label, name in zip(batch["label"], batch["name"]):
        assert Path(name).parent.name == data.class_names[label]


def test_folder_with_splits(folder: Path, tmp_path: Path) -> None:
    """`{train,val,test}/CLASS/*.png` is used as it is split."""
    for split in ("train", "val", "test"):
        shutil.copytree(folder, tmp_path / "split" / split)
    splits = DataModule(path=str(tmp_path / "split")).loaded.splits
    for split in ("train", "val", "test"):
        assert len(splits[split].labels) == 2 * IMAGES_PER_CLASS


def test_hub_dataset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns `image` and `label` are read; a test split with secret labels is not used."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["blue", "red"])}
    )
    paths = [str(path) for path in sorted(folder.glob("*/*.png"))]
    labels = [0] * IMAGES_PER_CLASS + [1] * IMAGES_PER_CLASS
    secret = [-1] * len(paths)
    splits = {
        "train": datasets.Dataset.from_dict({"image": paths, "label": labels}, features=features),
        "test": datasets.Dataset.from_dict({"image": paths, "label": secret}, features=features),
    }
    monkeypatch.setattr(data_module, "load_hub_splits", lambda name: splits)
    data = DataModule(hub="owner/colors", augment=0)
    data.setup("fit")
    assert data.class_names == ["blue", "red"]
    assert len(data.train) + len(data.val) + len(data.test) == len(paths)
    for item in data.test:
        red, _, blue = item["image"].mean(dim=(1, 2))
        assert (red > blue) == bool(item["label"])


@pytest.mark.parametrize(("path", "count"), [("", 20), ("red/0.png", 1)])
def test_predict_path_is_a_folder_or_a_file(path: str, count: int, folder: Path) -> None:
    """`predict_path` needs no labels."""
    data = DataModule(predict_path=str(folder / path))
    data.setup("predict")
    assert len(data.predict) == count


def test_folds_test_every_image_once(folder: Path) -> None:
    """The test splits of all folds are disjoint and cover the data."""
    tested = []
    for fold in range(5):
        data = DataModule(path=str(folder), folds=5, fold=fold)
        tested.extend(data.loaded.splits["test"].images)
    assert sorted(tested) == sorted(folder.glob("*/*.png"))


def test_fold_out_of_range_is_an_error(folder: Path) -> None:
    """Folds are counted from 0."""
    [line] = read_errors(DataModule(path=str(folder), folds=5, fold=5))
    assert "data.fold=5" in line


def test_all_errors_are_reported_at_once(folder: Path, tmp_path: Path) -> None:
    """An empty class and two unreadable images have a line each."""
    for split in ("train", "test"):
        shutil.copytree(folder, tmp_path / "split" / split)
    red = tmp_path / "split/train/red"
    (red / "0.png").write_bytes(b"not an image")
    (red / "1.png").write_bytes(b"not an image")
    (tmp_path / "split/train/green").mkdir()
    lines = read_errors(DataModule(path=str(tmp_path / "split")))
    for part in ("red/0.png cannot be read", "red/1.png cannot be read", "train/green: no image"):
        assert sum(part in line for line in lines) == 1


def test_leaks_are_noted(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """An image that is in two splits is worth a note."""
    for split in ("train", "test"):
        shutil.copytree(folder, tmp_path / "split" / split)
    DataModule(path=str(tmp_path / "split")).setup("fit")
    assert "of test are in train as well" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["bmp", "jpg", "png", "tiff", "webp"])
def test_truncated_images_are_errors(suffix: str, folder: Path) -> None:
    """A truncated file of any format is reported before training; one that breaks later, then."""
    broken = folder / "red" / f"broken.{suffix}"
    Image.effect_noise((64, 64), 50).convert("RGB").save(broken)
    data = DataModule(path=str(folder), augment=0)
    data.setup("fit")
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size * 9 // 10])

    [line] = read_errors(DataModule(path=str(folder)))
    assert f"broken.{suffix} cannot be read" in line
    with pytest.raises(UserError, match=f"broken.{suffix} cannot be read"):
        read_all(data)


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    """A path that does not exist has no classes."""
    [line] = read_errors(DataModule(path=str(tmp_path / "nowhere")))
    assert "at least two class folders" in line


def test_too_few_images_to_split_are_an_error(tmp_path: Path) -> None:
    """Each class needs an image to train on after the others were held out."""
    write_images(tmp_path / "few/red", 9, COLORS["red"])
    write_images(tmp_path / "few/blue", 1, COLORS["blue"])
    data = DataModule(path=str(tmp_path / "few"), test_fraction=0.5, val_fraction=0.4)
    [line] = read_errors(data)
    assert "too few samples of class" in line
