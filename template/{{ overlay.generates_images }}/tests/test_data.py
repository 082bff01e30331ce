"""The data. Yours: change this as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
read_image = importlib.import_module(f"{PACKAGE}.harness.pictures").read_image


def picture(seed: str, size: tuple[int, int] = (12, 20)) -> Image.Image:
    """Noise of a seed."""
    draw = np.random.default_rng(list(seed.encode()))
    return Image.fromarray(draw.integers(256, size=(*size[::-1], 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images in each of two subfolders."""
    for name in ("red", "blue"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(10):
            picture(f"{name}{i}").save(tmp_path / "images" / name / f"{i}.png")
    return tmp_path / "images"


def batch_of(data: Any, split: str) -> dict:
    return next(iter(getattr(data, f"{split}_dataloader")()))


def test_splits_are_apart_and_repeat() -> None:
    """The splits cover all digits, a seed gives the same ones again, and folds take turns to be tested."""
    first, again, other = (DataModule(split_seed=seed).splits for seed in (0, 0, 1))
    assert sum(len(labels) for _, labels in first.values()) == 1797
    assert np.array_equal(first["test"][0], again["test"][0])
    assert not np.array_equal(first["test"][0], other["test"][0])
    folds = [DataModule(folds=4, fold=fold).splits["test"][0] for fold in range(4)]
    assert sum(map(len, folds)) == 1797
    tested = {image.tobytes() for images in folds for image in images}
    assert tested == {image.tobytes() for images, _ in first.values() for image in images}


def test_digits_fill_the_range() -> None:
    """The digits come as they were scanned: from -1 to 1 in steps of an eighth; larger, resized."""
    batch = batch_of(DataModule(), "train")
    assert batch["image"].shape == (64, 1, 8, 8)
    assert (batch["image"].min(), batch["image"].max()) == (-1, 1)
    assert (batch["image"] * 8 - (batch["image"] * 8).round()).abs().max() < 0.1
    assert batch_of(DataModule(image_size=16, channels=3), "val")["image"].shape == (64, 3, 16, 16)


def test_folder_of_classes(folder: Path) -> None:
    """CLASS/*.png gives a class for each folder, and images of the size asked for; hidden files are left alone."""
    (folder / "red" / ".hidden.png").touch()
    data = DataModule(path=str(folder), image_size=8, batch_size=4)
    batch = batch_of(data, "train")
    assert (data.class_names, data.image_shape, batch["image"].shape) == (["blue", "red"], [3, 8, 8], (4, 3, 8, 8))
    assert -1 <= batch["image"].min() <= batch["image"].max() <= 1
    assert [Path(name).parent.name for name in batch["name"]] == [data.class_names[i] for i in batch["label"]]
    assert DataModule(path=str(folder)).image_shape == [3, 32, 32]


def test_folder_without_classes(folder: Path) -> None:
    """Images in no subfolder have no class, and are cut as others are."""
    data = DataModule(path=str(folder / "red"), image_size=8, batch_size=4)
    assert (data.class_names, {name: len(labels) for name, (_, labels) in data.splits.items()}) == (
        [],
        {"train": 7, "test": 2, "val": 1},
    )
    assert batch_of(data, "train")["label"].tolist() == [0] * 4


def test_folder_with_splits(tmp_path: Path) -> None:
    """{train,val,test}/CLASS/*.png is used as it is split."""
    for name in ("train/red", "train/blue", "val/red", "test/blue"):
        (tmp_path / name).mkdir(parents=True)
        picture(name).save(tmp_path / name / "0.png")
    splits = DataModule(path=str(tmp_path), image_size=8).splits
    assert {name: labels.tolist() for name, (_, labels) in splits.items()} == {"train": [0, 1], "val": [1], "test": [0]}


def test_only_training_images_are_mirrored(folder: Path) -> None:
    """`flip` mirrors some of the training images, and none of the others."""
    data = DataModule(path=str(folder), image_size=8, flip=True)
    train, val = data.pictures("train"), data.pictures("val")
    torch.manual_seed(0)
    views = torch.stack([train.__getitems__([0])["image"] for _ in range(20)])
    assert len(views.unique(dim=0)) == 2
    assert torch.equal(views[0], views[1:][(views[1:] != views[0]).flatten(1).any(dim=1)][0].flip(-1))
    assert torch.equal(val.__getitems__([0])["image"], val.__getitems__([0])["image"])


def test_transparent_is_white(tmp_path: Path) -> None:
    """What shines through is taken for white, whatever colour is hidden there; the centre square is kept."""
    image = Image.new("RGBA", (16, 8), (200, 0, 0, 0))
    image.paste((0, 0, 0, 255), (4, 0, 8, 8))
    image.save(tmp_path / "half.png")
    pixels = read_image(str(tmp_path / "half.png"), [1, 8, 8])
    assert pixels[0, 0].tolist() == [0, 0, 0, 0, 255, 255, 255, 255]


@pytest.mark.parametrize("split", ["val", "test"])
def test_first_images_are_a_fair_sample(tmp_path: Path, split: str) -> None:
    """Val and test, also those of folders, have all classes from the start, each row with its index, in one order."""
    for name in (f"{part}/{kind}" for part in ("train", "val", "test") for kind in ("red", "blue")):
        (tmp_path / name).mkdir(parents=True)
        for i in range(10):
            picture(f"{name}{i}").save(tmp_path / name / f"{i}.png")
    first, again, other = (
        DataModule(path=str(tmp_path), image_size=8, batch_size=8, num_workers=0, split_seed=seed) for seed in (0, 0, 1)
    )
    batches = list(getattr(first, f"{split}_dataloader")())
    paths, labels = first.splits[split]
    assert set(batches[0]["label"].tolist()) == {0, 1}
    index = torch.cat([batch["index"] for batch in batches])
    assert index.sort().values.tolist() == list(range(20))
    assert [name for batch in batches for name in batch["name"]] == paths[index].tolist()
    assert torch.cat([batch["label"] for batch in batches]).tolist() == labels[index].tolist()
    assert torch.equal(batches[0]["index"], batch_of(again, split)["index"])
    assert not torch.equal(batches[0]["index"], batch_of(other, split)["index"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("red/a.png", b"", r"a\.png is no readable image \(cannot identify"),
        ("red/a.jpg", b"text", r"a\.jpg is no readable image"),
        ("red/a.png", Image.new("I;16", (20, 20)), r"a\.png has more than 8 bits in a channel"),
        ("red/a.png", picture("", (7, 20)), r"a\.png is 7 x 20 pixels, less than data\.image_size=8"),
        ("red/a.png", picture("", (90, 20)), r"a\.png is 90 pixels by 20"),
        ("a.png", picture(""), r"a\.png is of no class, and train has blue, red"),
        ("red/deep/a.png/b.txt", b"", r"a\.png is no readable image"),
        ("green/.a.png", picture(""), "green has no image"),
        ("green/a.png", picture(""), "too few samples of class 'green'"),
    ],
)
def test_faults_are_named(folder: Path, name: str, content: bytes | Image.Image, message: str) -> None:
    """One fault among good images is one line, which names it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content) if isinstance(content, bytes) else content.save(path)
    with pytest.raises(UserError, match=message) as error:
        DataModule(path=str(folder), image_size=8).splits  # noqa: B018
    assert "\n" not in str(error.value)


def test_misplaced_splits_are_named(folder: Path) -> None:
    """Beside train/ nothing else is taken for a class; a split without images and one of other classes are named."""
    for name in ("train/red", "val/green", "test"):
        (folder / name).mkdir(parents=True)
        picture(name).save(folder / name / "0.png") if name != "test" else None
    with pytest.raises(UserError) as error:
        DataModule(path=str(folder), image_size=8).splits  # noqa: B018
    for message in ("blue: beside train", "red: beside train", "val/green: train has no such", "test has no image"):
        assert str(error.value).count(message) == 1
