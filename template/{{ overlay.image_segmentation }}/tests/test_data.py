"""Tests of the data. Yours: updates of the template leave this file alone."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError

IMAGES = 12
WIDTH = 24
HEIGHT = 12
IGNORED = 255
RED = 1
BLUE = 2
ROTATED_BY_90 = 6  # an orientation of EXIF


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images: red on the left, which is class 1, and blue on the right, class 2."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for i in range(IMAGES):
        classes = np.full((HEIGHT, WIDTH), BLUE, np.uint8)
        classes[:, : 8 + i] = RED
        colors = np.array([[0, 0, 0], [200, i, 0], [0, i, 200]], np.uint8)
        Image.fromarray(colors[classes]).save(tmp_path / "images" / f"{i:02d}.png")
        classes[0, 0] = 0
        Image.fromarray(classes).save(tmp_path / "masks" / f"{i:02d}.png")
    (tmp_path / "classes.txt").write_text("none\nred\nblue\n")
    return tmp_path


def list_names(data: Any, split: str) -> list:
    return [sample.name for sample in data.loaded.splits[split]]


def read_error(data: Any) -> str:
    """The one line of the error that the data raises."""
    with pytest.raises(UserError) as raised:
        data.setup("fit")
    [line] = raised.value.args
    return line


def test_only_training_images_are_augmented() -> None:
    """A training image differs each time it is read, its mask too; a validation image does not."""
    data = DataModule()
    data.setup("fit")
    first = data.train[0]
    second = data.train[0]
    for key in ("image", "mask"):
        assert not torch.equal(first[key], second[key])
        assert torch.equal(data.val[0][key], data.val[0][key])


def test_strong_augmentation_is_possible() -> None:
    """The strength has no upper limit."""
    data = DataModule(augment=20)
    data.setup("fit")
    assert data.train[0]["image"].shape == (3, 48, 48)


def test_masks_are_augmented_like_their_images(folder: Path) -> None:
    """After augmentation, what is red is still class 1; what came in from outside is ignored."""
    torch.manual_seed(0)
    data = DataModule(path=str(folder), image_size=24, batch_size=8, flip=True, augment=2)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    red, _, blue = batch["image"].unbind(dim=1)
    is_red = batch["mask"] == RED
    assert (is_red == (red > blue)).float().mean() > 0.95
    assert set(batch["mask"].unique().tolist()) <= {0, RED, BLUE, IGNORED}
    assert (batch["mask"] == IGNORED).float().mean() > 0.4  # half of the square is padding


def test_splits_are_disjoint_and_complete() -> None:
    """Each scene is in one split."""
    names = []
    data = DataModule()
    for split in ("train", "val", "test"):
        names.extend(list_names(data, split))
    assert sorted(names) == list(range(600))


def test_splits_depend_on_the_seed_alone() -> None:
    """The same seed gives the same splits, another seed gives others."""
    first = list_names(DataModule(split_seed=0), "test")
    assert list_names(DataModule(split_seed=0), "test") == first
    assert list_names(DataModule(split_seed=1), "test") != first


def test_folds_test_every_image_once(folder: Path) -> None:
    """The test splits of all folds are disjoint and cover the data."""
    tested = []
    for fold in range(3):
        data = DataModule(path=str(folder), folds=3, fold=fold)
        tested.extend(list_names(data, "test"))
    assert sorted(tested) == sorted(str(path) for path in folder.glob("images/*"))


def test_images_are_scaled_and_padded(folder: Path) -> None:
    """Images keep their proportions, and the padding is ignored."""
    data = DataModule(path=str(folder), image_size=48, batch_size=4)
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    assert batch["image"].shape == (1, 3, 48, 48)
    assert batch["mask"].shape == (1, 48, 48)
    assert batch["size"].tolist() == [[HEIGHT, WIDTH]]
    assert batch["scaled_size"].tolist() == [[24, 48]]
    assert (batch["mask"][:, 24:] == IGNORED).all()
    assert batch["mask"][0, :24].unique().tolist() == [0, RED, BLUE]


def test_classes_have_names_or_numbers(folder: Path) -> None:
    """Without classes.txt, classes are named by their number."""
    assert DataModule(path=str(folder)).class_names == ["none", "red", "blue"]
    (folder / "classes.txt").unlink()
    assert DataModule(path=str(folder)).class_names == ["0", "1", "2"]


def test_folder_with_splits(folder: Path, tmp_path: Path) -> None:
    """`{train,val,test}/{images,masks}` is used as it is split."""
    for split in ("train", "val", "test"):
        for kind in ("images", "masks"):
            shutil.copytree(folder / kind, tmp_path / "split" / split / kind)
    data = DataModule(path=str(tmp_path / "split"))
    for split in ("train", "val", "test"):
        assert len(list_names(data, split)) == IMAGES


def test_masks_with_a_palette(folder: Path) -> None:
    """Of a mask of mode P, the indices count and not the colors."""
    for path in folder.glob("masks/*.png"):
        mask = Image.open(path)
        mask.putpalette([200, 100, 0] * 256)
        mask.save(path)
    data = DataModule(path=str(folder), image_size=24)
    for sample in data.loaded.splits["train"]:
        assert set(sample.pixel_counts) == {0, RED, BLUE}


def test_orientation_of_photos(folder: Path) -> None:
    """An image is turned upright, as its EXIF data say, before it is compared with its mask."""
    path = folder / "images/00.png"
    photo = Image.open(path).transpose(Image.Transpose.ROTATE_90)
    exif = photo.getexif()
    exif[ExifTags.Base.Orientation] = ROTATED_BY_90
    photo.save(path, exif=exif)
    DataModule(path=str(folder), image_size=24).setup("fit")


@pytest.mark.parametrize(("path", "count"), [("images", IMAGES), ("images/03.png", 1)])
def test_predict_path_is_a_folder_or_a_file(path: str, count: int, folder: Path) -> None:
    """`predict_path` needs no masks: all pixels are ignored."""
    data = DataModule(path=str(folder), predict_path=str(folder / path))
    data.setup("predict")
    assert len(data.predict) == count
    assert (data.predict[0]["mask"] == IGNORED).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("images/03.png", "masks/03.png: has no image 03"),
        ("masks/03.png", "images/03.png: has no mask 03.png"),
    ],
)
def test_missing_files_are_errors(name: str, message: str, folder: Path) -> None:
    """An image needs a mask, and a mask an image."""
    (folder / name).unlink()
    assert message in read_error(DataModule(path=str(folder)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images/03.png", b"no image", "images/03.png cannot be read"),
        ("masks/03.png", b"", "masks/03.png cannot be read"),
        ("classes.txt", b"none\n\nblue", "classes.txt, line 2: no name for class 1"),
        ("classes.txt", b"none\nred\nred", "classes.txt, line 3: 'red' is also in line 2"),
        ("classes.txt", b"none", "classes.txt: must name 2 to 255 classes, got 1"),
        ("classes.txt", b"\xff\xfe\x00", "classes.txt: must be UTF-8 text"),
        ("classes.txt", b"none\nred\nblue\ngreen", "no pixel of train has class green"),
    ],
)
def test_wrong_files_are_errors(name: str, content: bytes, message: str, folder: Path) -> None:
    """An error is one line that names the file."""
    (folder / name).write_bytes(content)
    assert message in read_error(DataModule(path=str(folder)))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Image.new("RGB", (WIDTH, HEIGHT)), "must be PNG of mode L or P, got PNG of mode RGB"),
        (Image.new("L", (HEIGHT, WIDTH)), "the size of its image, 24 x 12, got 12 x 24"),
        (Image.new("L", (WIDTH, HEIGHT), IGNORED), "all pixels are 255"),
        (Image.new("L", (WIDTH, HEIGHT), 3), "the pixel at x=0, y=0 has class 3"),
    ],
)
def test_wrong_masks_are_errors(mask: Image.Image, message: str, folder: Path) -> None:
    """A mask has one channel, the size of its image, and classes that exist."""
    mask.save(folder / "masks/03.png")
    assert message in read_error(DataModule(path=str(folder)))


def test_repeated_names_are_errors(folder: Path) -> None:
    """Two images of one name cannot have one mask."""
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images/03.jpg")
    line = read_error(DataModule(path=str(folder)))
    assert "images/03.png: has the same name as 03.jpg" in line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predict_path": "nowhere"}, "data.predict_path=nowhere: no image found there"),
        ({"folds": 3, "fold": 3}, "data.fold=3 of data.folds=3"),
    ],
)
def test_impossible_options_are_errors(changes: dict, message: str, folder: Path) -> None:
    """A missing file and a fold out of range are refused."""
    assert message in read_error(DataModule(path=str(folder), **changes))


def test_missing_folder_is_an_error() -> None:
    """Without the folder, both of those in it are missing."""
    with pytest.raises(UserError, match=r"nowhere.images: no such folder"):
        DataModule(path="nowhere").setup("fit")
