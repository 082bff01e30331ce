"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError
DIGITS = 1797


def random_image(seed: str, size: tuple[int, int] = (12, 20)) -> Image.Image:
    """RGB noise of the given width and height, always the same for a seed."""
    width, height = size
    generator = np.random.default_rng(list(seed.encode()))
    return Image.fromarray(generator.integers(256, size=(height, width, 3), dtype=np.uint8))


def write_images(folder: Path, count: int) -> None:
    """Different images, named from 0.png."""
    folder.mkdir(parents=True)
    for i in range(count):
        random_image(f"{folder.parent.name}{folder.name}{i}").save(folder / f"{i}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images in each of two subfolders."""
    images = tmp_path / "images"
    write_images(images / "red", count=10)
    write_images(images / "blue", count=10)
    return images


def first_batch(data: Any, split: str) -> dict:
    loader = getattr(data, f"{split}_dataloader")()
    return next(iter(loader))


def image_sizes(data: Any) -> dict[str, int]:
    """The number of images in each split."""
    return {split: len(source.labels) for split, source in data.splits.items()}


def contents_of(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def errors_of(folder: Path) -> list[str]:
    """The lines of the error that the images in a folder raise."""
    with pytest.raises(UserError) as raised:
        _ = DataModule(path=str(folder), image_size=8).splits
    return str(raised.value).splitlines()


def test_a_seed_determines_the_splits() -> None:
    """The splits contain all digits, and only another seed gives others."""
    data = DataModule(split_seed=0)
    assert sum(image_sizes(data).values()) == DIGITS
    test_images = data.splits["test"].images
    assert np.array_equal(test_images, DataModule(split_seed=0).splits["test"].images)
    assert not np.array_equal(test_images, DataModule(split_seed=1).splits["test"].images)


def test_folds_partition_the_digits() -> None:
    """Each digit is in the test split of one fold."""
    tested: list[np.ndarray] = []
    for fold in range(4):
        tested.extend(DataModule(folds=4, fold=fold).splits["test"].images)
    assert len(tested) == DIGITS
    all_digits = set()
    for source in DataModule().splits.values():
        all_digits |= contents_of(source.images)
    assert contents_of(np.stack(tested)) == all_digits


def test_digits_span_the_range() -> None:
    """The scans come with values from -1 to 1, in steps of an eighth."""
    images = first_batch(DataModule(), "train")["image"]
    assert images.shape == (64, 1, 8, 8)
    assert images.min() == -1
    assert images.max() == 1
    eighths = images * 8
    assert (eighths - eighths.round()).abs().max() < 0.1


def test_digits_are_resized() -> None:
    """`image_size` and `channels` apply to the digits as well."""
    images = first_batch(DataModule(image_size=16, channels=3), "val")["image"]
    assert images.shape == (64, 3, 16, 16)


def test_subfolders_are_classes(folder: Path) -> None:
    """With CLASS/*.png each subfolder is a class; hidden files are left out."""
    (folder / "red" / ".hidden.png").touch()
    data = DataModule(path=str(folder), image_size=8, batch_size=4)
    assert data.class_names == ["blue", "red"]
    batch = first_batch(data, "train")
    for name, label in zip(batch["name"], batch["label"]):
        assert Path(name).parent.name == data.class_names[label]


def test_images_have_the_shape_that_is_asked_for(folder: Path) -> None:
    """Images are 32 x 32 in color by default, else as `image_size` and `channels` say."""
    assert DataModule(path=str(folder)).image_shape == [3, 32, 32]
    data = DataModule(path=str(folder), image_size=8, channels=1, batch_size=4)
    images = first_batch(data, "train")["image"]
    assert data.image_shape == [1, 8, 8]
    assert images.shape == (4, 1, 8, 8)
    assert images.min() >= -1
    assert images.max() <= 1


def test_folder_without_classes(folder: Path) -> None:
    """Images in no subfolder have no class, and are split like others."""
    data = DataModule(path=str(folder / "red"), image_size=8, batch_size=4)
    assert data.class_names == []
    assert image_sizes(data) == {"train": 7, "val": 1, "test": 2}
    assert first_batch(data, "train")["label"].tolist() == [0, 0, 0, 0]


def test_given_splits_are_used(tmp_path: Path) -> None:
    """Folders train, val and test are the splits; val and test need not have every class."""
    for name in ("train/red", "train/blue", "val/red", "test/blue"):
        write_images(tmp_path / name, count=1)
    splits = DataModule(path=str(tmp_path), image_size=8).splits
    assert splits["train"].labels.tolist() == [0, 1]
    assert splits["val"].labels.tolist() == [1]
    assert splits["test"].labels.tolist() == [0]


def test_only_training_images_are_mirrored(folder: Path) -> None:
    """`flip` mirrors some of the training images, and none of the others."""
    data = DataModule(path=str(folder), image_size=8, flip=True)
    torch.manual_seed(0)
    # The same image 20 times.
    views = data.dataset("train").__getitems__([0] * 20)["image"]
    image, mirrored = views.unique(dim=0)
    assert torch.equal(image, mirrored.flip(-1))
    assert len(data.dataset("val").__getitems__([0] * 20)["image"].unique(dim=0)) == 1


def test_the_center_is_kept_and_transparency_is_white(tmp_path: Path) -> None:
    """Images are cropped to the square in their center, after they were composited onto white."""
    image = Image.new("RGBA", (16, 8), (200, 0, 0, 0))
    image.paste((0, 0, 0, 255), (4, 0, 8, 8))
    for name in ("train", "val", "test"):
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "half.png")
    data = DataModule(path=str(tmp_path), image_size=8, channels=1, batch_size=1)
    pixels = first_batch(data, "train")["image"]
    assert pixels[0, 0, 0].tolist() == [-1, -1, -1, -1, 1, 1, 1, 1]


@pytest.fixture
def split_folder(tmp_path: Path) -> Path:
    """Splits with ten images of each of two classes."""
    for split in ("train", "val", "test"):
        for name in ("red", "blue"):
            write_images(tmp_path / split / name, count=10)
    return tmp_path


@pytest.mark.parametrize("split", ["val", "test"])
def test_first_batches_represent_the_split(split_folder: Path, split: str) -> None:
    """Val and test are shuffled once, so that all classes are in the first batch."""
    options = {"path": str(split_folder), "image_size": 8, "batch_size": 8, "num_workers": 0}
    batch = first_batch(DataModule(**options), split)
    assert set(batch["label"].tolist()) == {0, 1}
    same_seed = first_batch(DataModule(**options, split_seed=0), split)
    other_seed = first_batch(DataModule(**options, split_seed=1), split)
    assert torch.equal(batch["index"], same_seed["index"])
    assert not torch.equal(batch["index"], other_seed["index"])


def test_index_is_the_position_in_the_split(split_folder: Path) -> None:
    """Each image of a split is read once, and `index` is its position, however it is shuffled."""
    data = DataModule(path=str(split_folder), image_size=8, batch_size=8, num_workers=0)
    paths, labels = data.splits["val"]
    seen: list[int] = []
    for batch in data.val_dataloader():
        index = batch["index"]
        seen.extend(index.tolist())
        assert batch["name"] == paths[index].tolist()
        assert batch["label"].tolist() == labels[index].tolist()
    assert sorted(seen) == list(range(20))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((7, 20), "at least data.image_size=8 pixels, got 7 x 20 pixels"),
        ((90, 20), "at most 4 times the shorter, got 90 x 20 pixels"),
    ],
)
def test_image_of_the_wrong_size(folder: Path, size: tuple[int, int], message: str) -> None:
    """An image that would be enlarged or cropped to less than a quarter is an error."""
    random_image("wrong", size).save(folder / "red" / "wrong.png")
    (line,) = errors_of(folder)
    assert line.startswith(f"{folder}/red/wrong.png: ")
    assert message in line


def test_unreadable_image(folder: Path) -> None:
    """A file that is not an image is an error, which names it."""
    (folder / "red" / "broken.png").touch()
    (line,) = errors_of(folder)
    assert f"{folder}/red/broken.png cannot be read" in line


def test_image_outside_the_classes(folder: Path) -> None:
    """Where there are class folders, an image outside of them is an error, which names it."""
    random_image("loose").save(folder / "loose.png")
    (line,) = errors_of(folder)
    assert line.startswith(f"{folder}/loose.png: ")


def test_class_without_images(folder: Path) -> None:
    """A class folder that contains hidden files alone is an error."""
    (folder / "green").mkdir()
    random_image("hidden").save(folder / "green" / ".hidden.png")
    (line,) = errors_of(folder)
    assert line.startswith(f"{folder}/green: ")


def test_class_with_too_few_images(folder: Path) -> None:
    """A class of which no image is left to train on is an error."""
    write_images(folder / "green", count=1)
    (line,) = errors_of(folder)
    assert "'green'" in line


def test_misplaced_splits_are_all_named(folder: Path) -> None:
    """Beside train/ no other folder is a class; empty splits and unknown classes are errors."""
    write_images(folder / "train" / "red", count=1)
    write_images(folder / "val" / "green", count=1)
    (folder / "test").mkdir()
    places = {line.partition(": ")[0] for line in errors_of(folder)}
    expected = set()
    for name in ("blue", "red", "val", "val/green", "test"):
        expected.add(str(folder / name))
    assert places == expected
