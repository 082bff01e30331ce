"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.model_suite import ModelSuite
from lightning.pytorch import Callback, Trainer
from torch import Tensor

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
UserError = importlib.import_module(f"{PACKAGE}.harness.errors").UserError
KernelDistance = importlib.import_module(f"{PACKAGE}.metrics.kernel_distance").KernelDistance
fixed_noise = importlib.import_module(f"{PACKAGE}.harness.fixed_noise").fixed_noise
grids = importlib.import_module(f"{PACKAGE}.figures.grids")
NO_CLASS = 2  # the label after the two classes of `make_model`


class TestModel(ModelSuite):
    """The model fits one image, every weight gets a gradient, and validation changes none."""

    floor = 0.1
    options = (
        "--data.batch_size=1",
        "--model.dim=32",
        "--model.depth=2",
        "--model.lr=0.01",
        "--trainer.max_epochs=150",
    )


def make_model(**options: Any) -> Any:
    """A tiny model with random weights, since a new one gives velocities of zero."""
    torch.manual_seed(0)
    model = Model(
        image_shape=[1, 8, 8],
        class_names=["a", "b"],
        dim=16,
        heads=2,
        depth=1,
        **options,
    )
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def make_trainer(folder: Path, **options: Any) -> Trainer:
    """A trainer that writes nothing but checkpoints to the folder."""
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


@pytest.mark.parametrize(
    ("image_shape", "class_names", "patch_size"),
    [([1, 8, 8], ["a"], 1), ([3, 12, 12], [], 4)],
)
def test_velocities_have_the_shape_of_images(
    image_shape: list[int], class_names: list[str], patch_size: int
) -> None:
    """Samples (B, C, H, W) give velocities of that shape, for any size, with or without classes."""
    model = Model(image_shape, class_names, patch_size=patch_size, dim=16)
    samples = torch.rand(5, *image_shape)
    velocities = model(samples, torch.rand(5), torch.zeros(5, dtype=torch.long))
    assert velocities.shape == samples.shape


@pytest.mark.parametrize(("time", "label"), [(0.2, 1), (0.2, NO_CLASS), (0.7, 0)])
def test_velocity_depends_on_time_and_class(time: float, label: int) -> None:
    """Another time or class gives another velocity, and leaves the rest of the batch alone."""
    model = make_model()
    samples = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        before = model(samples, torch.tensor([0.2, 0.2]), torch.tensor([0, 0]))
        after = model(samples, torch.tensor([0.2, time]), torch.tensor([0, label]))
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-3


def test_sampling_follows_a_straight_line_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same velocity everywhere, the steps make no difference."""

    def constant(samples: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        return torch.full_like(samples, 0.5)

    model = make_model()
    monkeypatch.setattr(model.ema, "forward", constant)
    noise = torch.randn(2, 1, 8, 8)
    samples = model.sample(noise, torch.tensor([0, 0]))
    torch.testing.assert_close(samples, (noise + 0.5).clamp(-1, 1))


def test_sampling_error_falls_with_the_square_of_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Heun's method is of second order: twice the steps, about a quarter of the error."""

    def towards_zero(samples: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        return -samples

    noise = torch.randn(2, 1, 8, 8)
    exact = (noise / math.e).clamp(-1, 1)
    errors = []
    for steps in (8, 16):
        model = make_model(sampling_steps=steps)
        monkeypatch.setattr(model.ema, "forward", towards_zero)
        samples = model.sample(noise, torch.tensor([0, 0]))
        errors.append((samples - exact).abs().max())
    assert errors[0] < 3e-3
    assert errors[1] < errors[0] / 3


@pytest.mark.parametrize(("guidance", "expected"), [(1.0, 0.2), (3.0, 0.4)])
def test_guidance_extrapolates_from_no_class(
    guidance: float, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 1 the velocity is that of the class; at w it is w times as far from that of no class."""

    def by_class(samples: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        is_free = labels.view(-1, 1, 1, 1) == NO_CLASS
        return torch.where(is_free, 0.1, 0.2).expand_as(samples)

    model = make_model(sampling_steps=1, guidance=guidance)
    monkeypatch.setattr(model.ema, "forward", by_class)
    samples = model.sample(torch.zeros(1, 1, 8, 8), torch.tensor([0]))
    torch.testing.assert_close(samples, torch.full((1, 1, 8, 8), expected))


class ReferenceAverage(Callback):
    """Follows the weights after each optimizer step by the documented formula, in float64."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.weights = [weight.detach().double() for weight in pl_module.ema.parameters()]

    def on_train_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if trainer.global_step == self.steps:
            return  # gradients are still accumulating
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for i, latest in enumerate(pl_module.net.parameters()):
            kept = decay * self.weights[i]
            self.weights[i] = kept + (1 - decay) * latest.detach().double()
        self.steps = trainer.global_step


def test_average_follows_optimizer_steps(tmp_path: Path) -> None:
    """The average moves once per optimizer step, by the formula, and gets no gradient."""
    data = DataModule(batch_size=8)
    model = Model(data.image_shape, data.class_names, dim=16, depth=1, ema_decay=0.5)
    reference = ReferenceAverage(decay=0.5)
    trainer = make_trainer(
        tmp_path,
        callbacks=[reference],
        max_epochs=1,
        limit_train_batches=24,
        limit_val_batches=0,
        accumulate_grad_batches=2,
    )
    trainer.fit(model, data)
    assert reference.steps == 12
    for averaged, expected in zip(model.ema.parameters(), reference.weights, strict=True):
        torch.testing.assert_close(averaged.double(), expected, rtol=1e-5, atol=1e-6)
        assert averaged.grad is None
    for averaged, latest in zip(model.ema.parameters(), model.net.parameters(), strict=True):
        assert not torch.equal(averaged, latest)


def test_average_copies_weights_that_are_too_coarse(tmp_path: Path) -> None:
    """In bfloat16 an average with a high decay would stand still, so it is the latest weights."""
    data = DataModule(batch_size=8)
    model = Model(data.image_shape, data.class_names, dim=16, depth=1, ema_decay=0.999)
    trainer = make_trainer(
        tmp_path,
        precision="bf16-true",
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=0,
    )
    trainer.fit(model, data)
    for averaged, latest in zip(model.ema.parameters(), model.net.parameters(), strict=True):
        assert torch.equal(averaged, latest)


def distance(generated: Tensor, real: Tensor) -> float:
    metric = KernelDistance()
    metric.update(generated, real)
    return metric.compute().item()


def test_distance_tells_samples_apart() -> None:
    """Other digits are close; digits with noise, and digits of one class alone, are not."""
    data = DataModule()
    train = data.dataset("train")
    test = data.dataset("test")
    images = train.__getitems__(list(range(0, 1200, 4)))["image"]
    real = test.__getitems__(list(range(300)))["image"]
    assert distance(images, real) < 0.03
    assert distance(images + 0.5 * torch.randn_like(images), real) > 0.05
    ones = (train.source.labels == 1).nonzero()[0].tolist()
    only_ones = train.__getitems__((ones * 3)[:300])["image"]
    assert distance(only_ones, real) > 0.05


def test_distance_of_the_same_images_is_zero() -> None:
    """It is not negative, as the unbiased estimate would be."""
    images = torch.rand(20, 1, 8, 8)
    assert distance(images, images) == 0


def test_distance_compares_the_first_batches(tmp_path: Path) -> None:
    """`val/mmd` compares `sample_batches` batches at most; the loss is over all of them."""
    data = DataModule(batch_size=12)

    def validate(sample_batches: int, batches: int) -> dict[str, float]:
        torch.manual_seed(0)
        model = Model(
            data.image_shape,
            data.class_names,
            dim=16,
            depth=1,
            sampling_steps=1,
            sample_batches=sample_batches,
        )
        trainer = make_trainer(tmp_path, limit_val_batches=batches)
        (metrics,) = trainer.validate(model, data, verbose=False)
        return dict(metrics)

    two_of_four = validate(sample_batches=2, batches=4)
    four_of_four = validate(sample_batches=4, batches=4)
    two_of_two = validate(sample_batches=4, batches=2)
    assert two_of_four["val/mmd"] == two_of_two["val/mmd"]
    assert two_of_four["val/mmd"] != four_of_four["val/mmd"]
    assert two_of_four["val/loss"] == four_of_four["val/loss"]
    assert two_of_four["val/loss"] != two_of_two["val/loss"]


def test_noise_depends_on_the_index_alone() -> None:
    """An index has the same noise in any batch, and each index has other noise."""
    noise = fixed_noise(torch.tensor([3, 4, 5]), [1, 2, 2])
    alone = fixed_noise(torch.tensor([4]), [1, 2, 2])
    assert torch.equal(noise[1:2], alone)
    assert len(noise.unique()) == 12


def test_predictions_are_samples_and_their_grid() -> None:
    """There is a row for each sample, with its class, and one for a grid of all."""
    model = make_model(sampling_steps=1)
    batch = {"index": torch.arange(3), "label": torch.tensor([0, 1, 0])}
    columns = model.predict_step(batch, 0)
    assert columns["input"] == ["sample 0", "sample 1", "sample 2", "samples 0 to 2"]
    assert columns["prediction"] == ["a", "b", "a", ""]
    sizes = [image.size for image in columns["image"]]
    assert sizes == [(64, 64), (64, 64), (64, 64), (140, 140)]


def test_color_images_are_drawn_in_color() -> None:
    """Images with three channels are RGB; large ones keep their size."""
    (image,) = grids.draw_images(torch.zeros(1, 3, 96, 96))
    assert image.mode == "RGB"
    assert image.size == (96, 96)


def test_patches_must_fill_the_image() -> None:
    with pytest.raises(UserError, match=r"patch_size must divide data\.image_size=8, got 3"):
        Model([1, 8, 8], [], patch_size=3)


def test_heads_must_share_the_width() -> None:
    with pytest.raises(UserError, match=r"multiple of 2 \* model\.heads = 6, got 64"):
        Model([1, 8, 8], [], dim=64, heads=3)
