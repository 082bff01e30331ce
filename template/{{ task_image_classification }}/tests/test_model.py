"""The model and the data. Yours: change them as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
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


def test_one_batch_can_be_learnt() -> None:
    """Thirty steps on one batch bring the loss near zero."""
    torch.manual_seed(0)
    batch = batch_of(DataModule(batch_size=16), "val")
    model = Model(class_names=[str(i) for i in range(10)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(batch["image"]), batch["label"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_only_training_images_vary() -> None:
    """The training split is augmented anew each time; validation and test stay as they are."""
    data = DataModule()
    data.setup("fit")
    assert not torch.equal(data.train[0]["image"], data.train[0]["image"])
    assert torch.equal(data.val[0]["image"], data.val[0]["image"])


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


def test_bad_folders_are_named(folder: Path) -> None:
    """A missing folder, a class without an image, a broken image and too few images are named, each in one line."""
    with pytest.raises(UserError, match=r"nowhere.*CLASS"):
        DataModule(path="nowhere").splits  # noqa: B018
    (folder / "green").mkdir()
    with pytest.raises(UserError, match="green"):
        DataModule(path=str(folder)).splits  # noqa: B018
    Image.new("RGB", (9, 9)).save(folder / "green" / "0.png")
    with pytest.raises(UserError, match="least populated class"):
        DataModule(path=str(folder)).splits  # noqa: B018
    for i in range(1, 10):
        Image.new("RGB", (9, 9)).save(folder / "green" / f"{i}.png")
    (folder / "green" / "3.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"3\.png is no readable image"):
        DataModule(path=str(folder)).prepare_data()


def test_unknown_backbone_is_named() -> None:
    """A name that timm does not know is refused."""
    with pytest.raises(UserError, match="resnet10x"):
        Model(class_names=["a", "b"], backbone="resnet10x")
