"""The model and the data. Yours: change them as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.test_harness import ModelSuite
from lightning.pytorch import Trainer
from PIL import Image

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
DIGITS = [str(digit) for digit in range(10)]


class TestModel(ModelSuite):
    """One batch is imitated, a gradient reaches every weight of both networks, and validation changes none.

    Neither loss of a GAN has a floor, for what one network gains the other loses. What falls, where the
    generator learns, is the distance of its images from those of the batch, which validation measures.
    """

    loss = "train/mmd"
    floor = 0.1
    options = ("--data.batch_size=8", "--trainer.max_epochs=300")


def build(**dials: Any) -> Any:
    torch.manual_seed(0)
    return Model(image_shape=[1, 8, 8], class_names=DIGITS, width=4, **dials)


def drawn(size: int = 6) -> tuple:
    """Images, labels, latents, and the noise for the slope."""
    torch.manual_seed(1)
    images = torch.rand(size, 1, 8, 8) * 2 - 1
    return images, torch.arange(size) % 10, torch.randn(size, 32), torch.randn_like(images)


def fit(folder: Path, model: Any, **limits: Any) -> Any:
    """A trainer that has done three steps, of batches of 12."""
    torch.manual_seed(2)
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
    }
    quiet |= {"max_epochs": 1, "limit_train_batches": 3, "limit_val_batches": 0, "enable_checkpointing": False}
    trainer = Trainer(default_root_dir=folder, **quiet, **limits)
    trainer.fit(model, DataModule(batch_size=12, num_workers=0))
    return trainer


@pytest.mark.parametrize("shape", [[1, 8, 8], [3, 30, 30], [3, 4, 4]])
def test_networks_take_any_size(shape: list[int]) -> None:
    """Latents (B, L) give images (B, C, H, W) from -1 to 1, which give logits (B,); with classes or without."""
    for names in (DIGITS, []):
        model = Model(image_shape=shape, class_names=names, width=4)
        images = model("generator", torch.randn(2, 32), torch.zeros(2, dtype=torch.long))
        assert images.shape == (2, *shape)
        assert images.abs().max() <= 1
        assert model("discriminator", images, torch.zeros(2, dtype=torch.long)).shape == (2,)


def test_each_network_descends_its_own_loss() -> None:
    """One backward pass leaves in each network the gradient of its own loss, the other's weights being constants."""
    model, (real, labels, latents, nudge) = build(penalty=0.0), drawn()
    model.losses(real, labels, latents, nudge)[0].backward()
    fake = model("generator", latents, labels)
    for name, image, sign in (("generator", fake, -1), ("discriminator", fake.detach(), 1)):
        gap = model("discriminator", image, labels) - model("discriminator", real, labels)
        weights = dict(model.net[name].named_parameters())
        expected = torch.autograd.grad(torch.nn.functional.softplus(sign * gap).mean(), list(weights.values()))
        for weight, gradient in zip(weights.values(), expected, strict=True):
            torch.testing.assert_close(weight.grad, gradient)


def test_penalty_is_the_squared_slope() -> None:
    """On average over the noise, the difference gives what the derivative would: the squared gradients, summed."""
    model, (real, labels, latents, _) = build(nudge=1e-3).double(), drawn()
    real, latents = real.double(), latents.double()
    found = [model.losses(real, labels, latents, torch.randn_like(real))[1]["train/penalty"].item() for _ in range(80)]
    expected = 0.0
    for images in (real, model("generator", latents, labels).detach()):
        score = model("discriminator", images.requires_grad_(), labels).sum()
        expected += torch.autograd.grad(score, images)[0].square().sum().item() / len(images)
    assert np.mean(found) == pytest.approx(expected, rel=0.25)


def test_a_batch_in_parts_is_one_step(tmp_path: Path) -> None:
    """Three batches are three steps of both optimizers and schedulers, whatever the parts, to the same weights."""
    models = [build(accumulate=parts) for parts in (1, 5)]
    for trainer in (fit(tmp_path, model, precision="64-true") for model in models):
        assert trainer.global_step == 3
        assert [scheduler.scheduler.last_epoch for scheduler in trainer.lr_scheduler_configs] == [3, 3]
        assert [{int(s["step"]) for s in o.state.values()} for o in trainer.optimizers] == [{3}, {3}]
    for one, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_gradients_are_clipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before every optimizer's step the norm of its gradient is `clip` at most."""
    norms, model = [], build(clip=0.01)
    clip = model.on_before_optimizer_step

    def measure(optimizer: Any) -> None:
        clip(optimizer)
        squares = [p.grad.square().sum() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.stack(squares).sum().sqrt())

    monkeypatch.setattr(model, "on_before_optimizer_step", measure)
    fit(tmp_path, model)
    assert len(norms) == 6
    assert max(norms) <= 0.01001


def test_average_follows_the_generator(tmp_path: Path) -> None:
    """It is trained by no gradient, and lies between the first weights and the last."""
    model = build()
    first = [weight.clone() for weight in model.net["average"].parameters()]
    fit(tmp_path, model)
    for before, mean, last in zip(first, model.net["average"].parameters(), model.net["generator"].parameters()):
        assert ((mean - before) * (last - mean) >= -1e-9).all() or (mean - before).abs().max() < 0.02
        assert mean.grad is None


def test_samples_repeat() -> None:
    """A sample is the same in any batch, whatever was drawn before, and a grid of all ends the columns."""
    model = build().eval()
    index, labels = torch.arange(5), torch.arange(5)
    torch.testing.assert_close(model.make(index, labels)[3:], model.make(index[3:], labels[3:]))
    columns = model.predict_step({"index": index, "label": labels}, 0)
    assert {len(column) for column in columns.values()} == {6}
    assert columns["input"][::5] == ["sample 0", "samples 0 to 4"]
    assert columns["prediction"] == [*"01234", ""]
    assert all(image.size == (64, 64) for image in columns["image"][:5])


def picture(seed: int, size: tuple[int, int] = (40, 40)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(256, size=(*size[::-1], 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of cats and ten of dogs."""
    for seed, name in enumerate(["cat", "dog"]):
        (tmp_path / name).mkdir()
        for i in range(10):
            picture(10 * seed + i).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_splits_are_apart_and_repeat() -> None:
    """The splits share no digit and cover all; a seed gives the same ones again, and folds cover all in turn."""
    first, again, other = (DataModule(split_seed=seed).splits for seed in (0, 0, 1))
    assert sum(len(labels) for _, labels in first.values()) == 1797
    assert np.array_equal(first["test"][0], again["test"][0])
    assert not np.array_equal(first["test"][1], other["test"][1])
    assert sum(len(DataModule(folds=3, fold=fold).splits["test"][1]) for fold in range(3)) == 1797


def test_folder_of_classes(folder: Path) -> None:
    """CLASS/*.png gives a class for each folder, and colours from -1 to 1; only the training images are mirrored."""
    data = DataModule(path=str(folder), image_size=16, batch_size=4, flip=True)
    assert data.class_names == ["cat", "dog"]
    assert data.image_shape == [3, 16, 16]
    batch = next(iter(data.val_dataloader()))
    assert batch["image"].shape == (2, 3, 16, 16)
    assert -1 <= batch["image"].min() < -0.5 < 0.5 < batch["image"].max() <= 1
    assert [data.pictures(split).flip for split in ("train", "val", "test")] == [True, False, False]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("cat/words.png", b"text", r"words\.png is no readable image"),
        ("cat/empty.jpg", b"", r"empty\.jpg is no readable image"),
        ("cat/small.png", (20, 40), r"small\.png is 20 x 40 pixels"),
        ("cat/wide.png", (200, 40), r"wide\.png is 200 pixels"),
        ("loose.png", (40, 40), r"loose\.png is of no class"),
        ("fish/notes.txt", b"", "fish has no image"),
    ],
)
def test_bad_images_are_named(path: str, content: Any, message: str, folder: Path) -> None:
    """What is wrong is named by file, in one line, before training."""
    (folder / path).parent.mkdir(exist_ok=True)
    if isinstance(content, bytes):
        (folder / path).write_bytes(content)
    else:
        picture(0, content).save(folder / path)
    with pytest.raises(UserError, match=message) as refused:
        DataModule(path=str(folder)).splits  # noqa: B018
    assert len(str(refused.value).splitlines()) == 1
