"""The model and the data. Yours: change them as your experiment changes."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.test_harness import ModelSuite
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten red and ten blue images, a subfolder for each colour."""
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / name).mkdir()
        for i in range(10):
            Image.new("RGB", (12, 20), colour).save(tmp_path / name / f"{i}.png")
    return tmp_path


def batch_of(data: Any, split: str) -> dict:
    data.prepare_data()
    data.setup("fit")
    return next(iter(getattr(data, f"{split}_dataloader")()))


def test_logits_have_a_column_for_each_class() -> None:
    """Images (B, 3, H, W) give logits (B, classes), of any size the backbone takes."""
    model = Model(class_names=["a", "b", "c"])
    assert model(torch.rand(4, 3, 32, 32)).shape == model(torch.rand(4, 3, 48, 48)).shape == (4, 3)


class TestModel(ModelSuite):
    """One batch is learnt, a gradient reaches every weight, and validation changes none."""

    options = ("--model.backbone=test_resnet", "--data.batch_size=8", "--data.augment=0", "--trainer.max_epochs=40")


def test_only_training_images_vary() -> None:
    """The training split is augmented anew each time; validation and test stay as they are."""
    data = DataModule()
    data.setup("fit")
    assert not torch.equal(data.train[0]["image"], data.train[0]["image"])
    assert torch.equal(data.val[0]["image"], data.val[0]["image"])
    DataModule(augment=20).setup("fit")  # a strength over 9 is no mistake


def test_splits_are_apart_and_repeat() -> None:
    """The splits share no digit, cover all, and a seed gives the same ones again."""
    first, again, other = (DataModule(split_seed=seed).splits for seed in (0, 0, 1))
    indices = {name: set(map(id, images)) for name, (images, _) in first.items()}
    assert sum(map(len, indices.values())) == len(set().union(*indices.values())) == 1797
    assert first["test"][1] == again["test"][1] != other["test"][1]


def test_folder_of_classes(folder: Path) -> None:
    """CLASS/*.png gives a class for each folder, and images of the size asked for."""
    data = DataModule(path=str(folder), image_size=16, batch_size=4)
    batch = batch_of(data, "train")
    assert data.class_names == ["blue", "red"]
    assert batch["image"].shape == (4, 3, 16, 16)
    assert 0 <= batch["image"].min() <= batch["image"].max() <= 1
    assert [Path(name).parent.name for name in batch["name"]] == [data.class_names[i] for i in batch["label"]]


def test_folder_with_splits(folder: Path, tmp_path: Path) -> None:
    """{train,val,test}/CLASS/*.png is used as it is split."""
    root = tmp_path / "split"
    for split in ("train", "val", "test"):
        for name in ("red", "blue"):
            (root / split / name).mkdir(parents=True)
            for i in range(2):
                (root / split / name / f"{i}.png").write_bytes((folder / name / f"{i}.png").read_bytes())
    splits = DataModule(path=str(root)).splits
    assert {name: len(labels) for name, (_, labels) in splits.items()} == {"train": 4, "val": 4, "test": 4}


def test_predict_takes_a_folder_or_a_file(folder: Path) -> None:
    """`predict_path` needs no labels."""
    for path, count in ((folder, 20), (folder / "red" / "0.png", 1)):
        data = DataModule(predict_path=str(path))
        data.setup("predict")
        assert len(data.predict) == count


def test_folds_test_every_image_once(folder: Path) -> None:
    """The test splits of all folds are apart and cover the data; a fold that is none is refused."""
    tests = [DataModule(path=str(folder), folds=5, fold=fold).splits["test"][0] for fold in range(5)]
    assert sorted(image for images in tests for image in images) == sorted(map(str, folder.glob("*/*.png")))
    with pytest.raises(UserError, match=r"data\.fold=5 of data\.folds=5"):
        DataModule(path=str(folder), folds=5, fold=5).splits  # noqa: B018


def test_all_faults_are_named_at_once(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """A class without an image and two broken images are a line each; a leak between the splits is a note."""
    for split in ("train", "test"):
        shutil.copytree(folder, folder / "all" / split, ignore=shutil.ignore_patterns("all"))
    (folder / "all" / "train" / "green").mkdir()
    for i in range(2):
        (folder / "all" / "train" / "red" / f"{i}.png").write_bytes(b"no image")
    with pytest.raises(UserError) as error:
        DataModule(path=str(folder / "all")).splits  # noqa: B018
    said = str(error.value).splitlines()
    assert [sum(word in line for line in said) for word in ("red/0.png", "red/1.png", "train/green")] == [1, 1, 1]
    assert "of test are in train as well" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the file that is left open
@pytest.mark.parametrize("kind", ["bmp", "jpg", "png", "tiff", "webp"])
def test_images_that_are_cut_short_are_named(kind: str, folder: Path) -> None:
    """Whatever the format, an image whose end is missing is named before training; one that breaks later, then."""
    broken = folder / "red" / f"broken.{kind}"
    Image.effect_noise((64, 64), 50).convert("RGB").save(broken)
    data = DataModule(path=str(folder), batch_size=99, augment=0)
    data.setup("fit")
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size * 9 // 10])
    with pytest.raises(UserError, match=f"broken.{kind} is no readable image"):
        DataModule(path=str(folder)).splits  # noqa: B018
    with pytest.raises(UserError, match=f"broken.{kind} is no readable image"):
        [sample for split in (data.train, data.val, data.test) for sample in split]


@pytest.mark.parametrize(("path", "message"), [("nowhere", "2 classes or more"), ("few", "too few samples of class")])
def test_bad_folders_are_named(path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder, and a class with too few images to be cut."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("a", 9), ("b", 1)):
        for i in range(count):
            (tmp_path / "few" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9), (i, i, i)).save(tmp_path / "few" / name / f"{i}.png")
    with pytest.raises(UserError, match=message):
        DataModule(path=path, test_fraction=0.5, val_fraction=0.4).splits  # noqa: B018


def test_unknown_backbone_is_named() -> None:
    """A name that timm does not know is refused."""
    with pytest.raises(UserError, match="resnet10x"):
        Model(class_names=["a", "b"], backbone="resnet10x")
