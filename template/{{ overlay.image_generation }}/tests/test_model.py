"""The model. Yours: change this as your experiment changes."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.test_harness import ModelSuite
from lightning.pytorch import Callback, Trainer

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness").UserError
samples = importlib.import_module(f"{PACKAGE}.harness.samples")


class TestModel(ModelSuite):
    """The way to a single image is learnt, a gradient reaches every weight, and validation changes none."""

    floor = 0.1
    options = (
        "--data.batch_size=1",
        "--model.dim=32",
        "--model.depth=2",
        "--model.lr=0.01",
        "--trainer.max_epochs=150",
    )


def make_model(**dials: Any) -> Any:
    """A tiny model with weights all over, since a fresh one stands still."""
    torch.manual_seed(0)
    model = Model(image_shape=[1, 8, 8], class_names=["a", "b"], dim=16, heads=2, depth=1, **dials).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def test_velocities_have_the_shape_of_images() -> None:
    """Samples (B, C, H, W) give velocities of that shape, of any channels, size and patch; without classes as well."""
    for shape, names, patch in (([1, 8, 8], ["a"], 1), ([3, 12, 12], [], 4)):
        model = Model(image_shape=shape, class_names=names, patch_size=patch, dim=16)
        velocity = model(torch.rand(5, *shape), torch.rand(5), torch.zeros(5, dtype=torch.long))
        assert velocity.shape == (5, *shape)


def test_velocity_depends_on_time_and_class() -> None:
    """Another time or class, or none, gives another velocity; another sample in the batch changes nothing."""
    model, x = make_model(), torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        base = model(x, torch.tensor([0.2, 0.2]), torch.tensor([0, 0]))
        for time, label in ((0.2, 1), (0.2, 2), (0.7, 0)):
            other = model(x, torch.tensor([0.2, time]), torch.tensor([0, label]))
            torch.testing.assert_close(other[0], base[0])
            assert (other[1] - base[1]).abs().max() > 1e-3


def test_sampling_follows_the_velocity() -> None:
    """Heun's method reaches the image that a velocity leads to: exactly where this is straight, else by its order."""
    model, noise = make_model(), torch.randn(2, 1, 8, 8)
    model.ema.forward = lambda x, t, labels: torch.full_like(x, 0.5)
    torch.testing.assert_close(model.sample(noise, torch.zeros(2).long()), (noise + 0.5).clamp(-1, 1))
    model.ema.forward = lambda x, t, labels: -x  # so x(1) = x(0) / e
    errors = []
    for model.hparams.sampling_steps in (8, 16):
        errors.append((model.sample(noise, torch.zeros(2).long()) - (noise / np.e).clamp(-1, 1)).abs().max())
    assert errors[1] < errors[0] / 3 < 1e-3


def test_guidance_leads_away_from_no_class() -> None:
    """At 1 it is the class's velocity; at w, w times as far from that of no class."""
    model, noise = make_model(sampling_steps=1), torch.zeros(1, 1, 8, 8)
    model.ema.forward = lambda x, t, labels: torch.where(labels.view(-1, 1, 1, 1) == 2, 0.1, 0.2).expand_as(x)
    for model.hparams.guidance, ends in ((1.0, 0.2), (3.0, 0.4)):
        torch.testing.assert_close(model.sample(noise, torch.zeros(1).long()), torch.full((1, 1, 8, 8), ends))


def make_trainer(folder: Path, **limits: Any) -> Trainer:
    switches = ("logger", "enable_progress_bar", "enable_model_summary", "enable_checkpointing")
    quiet: dict[str, Any] = dict.fromkeys(switches, False)
    return Trainer(default_root_dir=folder, accelerator="cpu", **quiet, **limits)


class Averager(Callback):
    """The average of the weights after each optimizer step, in double precision."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.mean, self.step = [weight.detach().double() for weight in pl_module.ema.parameters()], 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step > self.step:
            decay = min(0.5, (1 + self.step) / (10 + self.step))
            weights = [weight.detach().double() for weight in pl_module.net.parameters()]
            self.mean = [decay * mean + (1 - decay) * new for mean, new in zip(self.mean, weights)]
            self.step = trainer.global_step


def test_average_follows_optimizer_steps(tmp_path: Path) -> None:
    """The averaged weights are those of the formula, once for each optimizer step, and no gradient reaches them."""
    data, averager = DataModule(batch_size=8), Averager()
    model = Model(data.image_shape, data.class_names, dim=16, depth=1, ema_decay=0.5)
    limits = {"max_epochs": 1, "limit_train_batches": 24, "limit_val_batches": 0, "accumulate_grad_batches": 2}
    make_trainer(tmp_path, callbacks=[averager], **limits).fit(model, data)
    assert averager.step == 12
    for mean, expected, weight in zip(model.ema.parameters(), averager.mean, model.net.parameters()):
        torch.testing.assert_close(mean.double(), expected, rtol=1e-5, atol=1e-6)
        assert mean.grad is None
        assert not torch.equal(mean, weight)


def test_distance_tells_samples_apart() -> None:
    """Images of the same kind have nearly none, those with noise and those of one class have more."""
    train, test = (DataModule().pictures(split) for split in ("train", "test"))  # sorted by who wrote them
    images, real = (
        split.__getitems__(list(range(0, len(split), len(split) // 300)))["image"][:300] for split in (train, test)
    )
    ones = train.__getitems__([i for i in range(len(train)) if train.labels[i] == 1] * 3)["image"][:300]
    found = []
    for made in (images, images + 0.5 * torch.randn_like(images), ones):
        (distance := samples.KernelDistance()).update(made, real)
        found.append(distance.compute())
    assert 0 <= found[0] < 0.03 < 0.05 < min(found[1:])
    (same := samples.KernelDistance()).update(real, real)
    assert same.compute() == 0


def test_distance_is_of_the_first_batches(tmp_path: Path) -> None:
    """`val/mmd` is that of `sample_batches` batches alone, the loss is that of all."""
    data, found = DataModule(batch_size=12), []
    for limit, batches in ((2, 4), (4, 4), (4, 2)):
        torch.manual_seed(0)
        model = Model(data.image_shape, data.class_names, dim=16, depth=1, sampling_steps=1, sample_batches=limit)
        found += make_trainer(tmp_path, limit_val_batches=batches).validate(model, data, verbose=False)
    assert found[0]["val/mmd"] == found[2]["val/mmd"] != found[1]["val/mmd"]
    assert found[0]["val/loss"] == found[1]["val/loss"] != found[2]["val/loss"]


def test_noise_is_an_index_own() -> None:
    """The same whatever is beside it in the batch, and another for each index."""
    noise = samples.fixed_noise(torch.tensor([3, 4, 5]), [1, 2, 2])
    assert torch.equal(noise[1:2], samples.fixed_noise(torch.tensor([4]), [1, 2, 2]))
    assert len(noise.unique()) == 12


def test_predict_draws_each_class_and_a_grid() -> None:
    """A row for each sample, the classes in turn, and one for the grid of all, in grey or colour."""
    model = make_model(sampling_steps=1)
    found = model.predict_step({"index": torch.arange(5), "label": torch.arange(5) % 2}, 0)
    assert found["prediction"] == ["a", "b", "a", "b", "a", ""]
    assert [found["input"][0], found["input"][-1]] == ["sample 0", "samples 0 to 4"]
    assert [image.size for image in found["image"]] == [(64, 64)] * 5 + [(140, 208)]
    assert samples.draw(torch.zeros(1, 3, 96, 96))[0].mode == "RGB"


def test_bad_settings_are_named() -> None:
    """Patches that do not fill the image, and heads that do not share the width."""
    with pytest.raises(UserError, match=r"model\.patch_size=3 does not divide data\.image_size=8"):
        Model([1, 8, 8], [], patch_size=3)
    with pytest.raises(UserError, match=r"model\.dim is a multiple of 2 \* model\.heads = 6, not 64"):
        Model([1, 8, 8], [], dim=64, heads=3)
