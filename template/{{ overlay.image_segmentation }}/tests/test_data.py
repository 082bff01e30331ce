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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images, 24 wide and 12 high: red on the left, of class 1, and blue on the right, of class 2."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(12):
        classes = np.repeat(np.array([[1] * (8 + i) + [2] * (16 - i)], np.uint8), 12, axis=0)
        colours = np.array([[0, 0, 0], [200, i, 0], [0, i, 200]], np.uint8)
        Image.fromarray(colours[classes]).save(tmp_path / "images" / f"{i:02d}.png")
        classes[0, 0] = 0
        Image.fromarray(classes).save(tmp_path / "masks" / f"{i:02d}.png")
    (tmp_path / "classes.txt").write_text("none\nred\nblue\n")
    return tmp_path


def batch_of(data: Any, split: str) -> dict:
    data.setup("fit")
    return next(iter(getattr(data, f"{split}_dataloader")()))


def test_only_training_images_vary() -> None:
    """The training split is augmented anew each time, image and mask alike; validation and test stay as they are."""
    data = DataModule()
    data.setup("fit")
    first, again = data.train[0], data.train[0]
    assert not torch.equal(first["image"], again["image"])
    assert not torch.equal(first["mask"], again["mask"])
    assert all(torch.equal(data.val[0][key], data.val[0][key]) for key in ("image", "mask"))
    DataModule(augment=20).setup("fit")  # a strength over 9 is no mistake


def test_masks_move_with_their_images(folder: Path) -> None:
    """After turning, shifting, zooming and mirroring, what is red is class 1, and what came in is ignored."""
    torch.manual_seed(0)
    data = DataModule(path=str(folder), image_size=24, batch_size=8, flip=True, augment=2)
    batch = batch_of(data, "train")
    (red, _, blue), mask = batch["image"].unbind(dim=1), batch["mask"]
    assert ((mask == 1) == (red > blue)).float().mean() > 0.95
    assert set(mask.unique().tolist()) <= {0, 1, 2, 255}
    assert (mask == 255).float().mean() > 0.4  # half of the square is empty


def test_splits_are_apart_and_repeat() -> None:
    """The splits share no scene, cover all, and a seed gives the same ones again."""
    first, again, other = (DataModule(split_seed=seed).splits for seed in (0, 0, 1))
    names = [{sample.name for sample in part} for part in first.values()]
    assert sum(map(len, names)) == len(set().union(*names)) == 600
    assert [s.name for s in first["test"]] == [s.name for s in again["test"]] != [s.name for s in other["test"]]


def test_folds_cover_all(folder: Path) -> None:
    """Each sample is in the test split of exactly one fold."""
    parts = [DataModule(path=str(folder), folds=3, fold=fold).splits["test"] for fold in range(3)]
    assert sorted(Path(sample.name).stem for part in parts for sample in part) == [f"{i:02d}" for i in range(12)]


def test_folder_of_images_and_masks(folder: Path) -> None:
    """Names are those of classes.txt, or the numbers; images keep their form, and what is empty is ignored."""
    data = DataModule(path=str(folder), image_size=48, batch_size=4)
    batch = batch_of(data, "val")
    assert data.class_names == ["none", "red", "blue"]
    assert batch["image"].shape == (1, 3, 48, 48)
    assert batch["mask"].shape == (1, 48, 48)
    assert (batch["mask"][:, 24:] == 255).all()
    assert batch["mask"][0, :24].unique().tolist() == [0, 1, 2]
    (folder / "classes.txt").unlink()
    assert DataModule(path=str(folder)).class_names == ["0", "1", "2"]


def test_folder_with_splits(folder: Path, tmp_path: Path) -> None:
    """{train,val,test}/{images,masks} are used as they are split."""
    root = tmp_path / "split"
    for i, split in enumerate(("train", "val", "test")):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
            for number in range(4 * i, 4 * i + 4 - i):
                path = folder / kind / f"{number:02d}.png"
                (root / split / kind / path.name).write_bytes(path.read_bytes())
    splits = DataModule(path=str(root)).splits
    assert {name: len(samples) for name, samples in splits.items()} == {"train": 4, "val": 3, "test": 2}


def test_palette_masks_and_photos_on_their_side(folder: Path) -> None:
    """A mask of mode P is read by its indices, and an image is turned as its EXIF data say."""
    for path in (folder / "masks").glob("*.png"):
        mask = Image.open(path)
        mask.putpalette([200, 100, 0] * 256)
        mask.save(path)
    photo = Image.open(folder / "images" / "00.png").transpose(Image.Transpose.ROTATE_90)
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(folder / "images" / "00.png", exif=exif)
    data = DataModule(path=str(folder), image_size=24)
    data.setup("fit")
    assert all(set(sample.pixels) == {0, 1, 2} for part in data.splits.values() for sample in part)


@pytest.mark.parametrize(
    ("name", "broken", "message"),
    [
        ("images/03.png", None, r"masks/03\.png: .* no image 03"),
        ("masks/03.png", None, r"images/03\.png: .* no mask 03"),
        ("images/03.png", b"no image", r"images/03\.png: .*no image"),
        ("images/03.png", Image.new("I;16", (24, 12)), r"images/03\.png: .*more than 8 bits"),
        ("masks/03.png", b"", r"masks/03\.png: .*no image"),
        ("masks/03.png", Image.new("RGB", (24, 12)), r"masks/03\.png: .*mode L or P.*RGB"),
        ("masks/03.png", Image.new("L", (12, 24)), r"masks/03\.png: .*24 x 12, not 12 x 24"),
        ("masks/03.png", Image.new("L", (24, 12), 255), r"masks/03\.png: all pixels are 255"),
        ("masks/03.png", Image.new("L", (24, 12), 3), r"masks/03\.png: classes are 0 to 2 .*x=0, y=0 is 3"),
        ("images/03.jpg", Image.new("RGB", (24, 12)), r"images/03\.png: a name has one file, 03\.jpg"),
        ("classes.txt", b"none\n\nblue", r"classes\.txt, line 2: .*empty"),
        ("classes.txt", b"none\nred\nred", r"classes\.txt, line 3: .*'red' is in line 2"),
        ("classes.txt", b"none", r"classes\.txt: there are 2 to 255 classes, not 1"),
        ("classes.txt", b"\xff\xfe\x00", r"classes\.txt is text in UTF-8"),
        ("classes.txt", b"none\nred\nblue\ngreen", "no pixel of train is of class green"),
    ],
)
def test_faults_are_named(name: str, broken: Any, message: str, folder: Path) -> None:
    """What is wrong is named by file, rule and value, in one line each, before training."""
    (folder / name).unlink(missing_ok=True)
    if isinstance(broken, bytes):
        (folder / name).write_bytes(broken)
    elif broken is not None:
        broken.save(folder / name)
    with pytest.raises(UserError, match=message) as refused:
        DataModule(path=str(folder)).splits  # noqa: B018
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "nowhere"}, r"nowhere.images: no such folder"),
        ({"predict_path": "nowhere"}, "predict_path=nowhere: no image is there"),
        ({"folds": 3, "fold": 3}, r"fold=3 of data\.folds=3"),
    ],
)
def test_options_that_cannot_be_are_named(changes: dict, message: str, folder: Path) -> None:
    """A missing folder and a fold that is not there are refused."""
    with pytest.raises(UserError, match=message):
        DataModule(**{"path": str(folder), **changes}).splits  # noqa: B018
