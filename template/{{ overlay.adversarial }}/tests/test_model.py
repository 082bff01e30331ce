"""The model. Yours: change this as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.test_harness import ModelSuite
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
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


def make_trainer(folder: Path, **limits: Any) -> Any:
    switches = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    quiet: dict[str, Any] = dict.fromkeys(switches, False)
    return Trainer(default_root_dir=folder, accelerator="cpu", max_epochs=1, **quiet, **limits)


def fit(folder: Path, model: Any, **limits: Any) -> Any:
    """A trainer that has done three steps, of batches of 12."""
    torch.manual_seed(2)
    trainer = make_trainer(folder, limit_train_batches=3, limit_val_batches=0, **limits)
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


def record_norms(model: Any) -> list[float]:
    """Filled in training: the norm of each network's gradient, before its optimizer's step."""
    norms, clip = [], model.on_before_optimizer_step

    def measure(optimizer: Any) -> None:
        clip(optimizer)
        squares = [p.grad.square().sum() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.stack(squares).sum().sqrt().item())

    model.on_before_optimizer_step = measure
    return norms


def test_gradients_are_clipped(tmp_path: Path) -> None:
    """Before every optimizer's step the norm of its gradient is `clip` at most."""
    norms = record_norms(model := build(clip=0.01))
    fit(tmp_path, model)
    assert len(norms) == 6
    assert max(norms) <= 0.01001


def test_half_precision_has_one_scale_a_step(tmp_path: Path) -> None:
    """The loss scale of 16-mixed grows once for both networks: its growth is in neither's gradient."""
    found = []
    for growth in (1.0 + 1e-9, 4.0):
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_factor=growth, growth_interval=1)
        found.append(record_norms(model := build(clip=0.0)))
        fit(tmp_path, model, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
        assert scaler.get_scale() == pytest.approx(64 * growth**3)
    assert found[1] == pytest.approx(found[0], rel=0.01)


@pytest.mark.filterwarnings(
    "ignore:Detected call of `lr_scheduler.step"
)  # torch says it where first steps are left out
def test_infinite_gradients_of_either_lower_the_scale(tmp_path: Path) -> None:
    """A network whose gradient is not finite takes no step, the other does, and the scale is lowered once."""
    scaler, model = torch.amp.GradScaler("cpu", init_scale=64.0), build()
    next(model.net["discriminator"].parameters()).register_hook(lambda gradient: gradient * torch.inf)
    trainer = fit(tmp_path, model, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert scaler.get_scale() == 64 / 2**3
    assert [len(optimizer.state) > 0 for optimizer in trainer.optimizers] == [True, False]


def test_distance_is_of_the_first_batches(tmp_path: Path) -> None:
    """`val/mmd` is that of `sample_batches` batches alone, the losses are those of all."""
    data, found = DataModule(batch_size=12), []
    for limit, batches in ((2, 4), (4, 4), (4, 2)):
        trainer = make_trainer(tmp_path, limit_val_batches=batches)
        found += trainer.validate(build(sample_batches=limit), data, verbose=False)
    assert found[0]["val/mmd"] == found[2]["val/mmd"] != found[1]["val/mmd"]
    assert found[0]["val/loss"] == found[1]["val/loss"] != found[2]["val/loss"]


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
