"""Tests of the model. Yours: updates of the template leave this file alone."""

import importlib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from harness.model_suite import ModelSuite
from lightning.pytorch import Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor

PACKAGE = next((Path(__file__).parents[1] / "src").glob("*/model.py")).parent.name
Model = importlib.import_module(f"{PACKAGE}.model").Model
DataModule = importlib.import_module(f"{PACKAGE}.data").DataModule
DIGITS = [str(digit) for digit in range(10)]
STEPS = 3  # of `fit`


class TestModel(ModelSuite):
    """The model imitates one batch, every weight gets a gradient, and validation changes none.

    The losses of a GAN have no floor, because what one network gains the other loses. While the
    generator learns, the distance of its images from those of the batch falls.
    """

    loss = "train/mmd"
    floor = 0.1
    options = ("--data.batch_size=8", "--trainer.max_epochs=300")


def make_model(**options: Any) -> Any:
    """A small model of the digits."""
    torch.manual_seed(0)
    return Model(image_shape=[1, 8, 8], class_names=DIGITS, width=4, **options)


class Batch(NamedTuple):
    """The arguments of `Model.losses`."""

    real: Tensor
    labels: Tensor
    latents: Tensor
    directions: Tensor


def make_batch() -> Batch:
    torch.manual_seed(1)
    real = torch.rand(6, 1, 8, 8) * 2 - 1
    return Batch(real, torch.arange(6), torch.randn(6, 32), torch.randn_like(real))


def make_trainer(folder: Path, **options: Any) -> Trainer:
    """A trainer that writes nothing to the folder."""
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def fit(folder: Path, model: Any, **options: Any) -> Trainer:
    """A trainer that has made three steps, with batches of 12."""
    torch.manual_seed(2)
    trainer = make_trainer(folder, limit_train_batches=STEPS, limit_val_batches=0, **options)
    trainer.fit(model, DataModule(batch_size=12, num_workers=0))
    return trainer


@pytest.mark.parametrize("image_shape", [[1, 8, 8], [3, 30, 30], [3, 4, 4]])
@pytest.mark.parametrize("class_names", [DIGITS, []])
def test_networks_take_any_size(image_shape: list[int], class_names: list[str]) -> None:
    """Latents (B, L) give images (B, C, H, W) from -1 to 1, and these give logits (B,)."""
    model = Model(image_shape, class_names, width=4)
    labels = torch.tensor([0, 0])
    images = model("generator", torch.randn(2, 32), labels)
    assert images.shape == (2, *image_shape)
    assert images.abs().max() <= 1
    assert model("discriminator", images, labels).shape == (2,)


def gradients_of(loss: Tensor, network: torch.nn.Module) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)


def test_each_network_descends_its_own_loss() -> None:
    """One backward pass gives each network the gradient of its own loss alone."""
    model = make_model(penalty=0.0)
    batch = make_batch()
    objective, _ = model.losses(*batch)
    objective.backward()

    generator = model.net["generator"]
    discriminator = model.net["discriminator"]
    at_generated = model(
        "discriminator", model("generator", batch.latents, batch.labels), batch.labels
    )
    at_real = model("discriminator", batch.real, batch.labels)
    gap = at_generated - at_real
    for network, loss in (
        (generator, F.softplus(-gap).mean()),
        (discriminator, F.softplus(gap).mean()),
    ):
        expected = gradients_of(loss, network)
        for weight, gradient in zip(network.parameters(), expected, strict=True):
            torch.testing.assert_close(weight.grad, gradient)


def test_penalty_is_the_squared_gradient() -> None:
    """On average over directions, the finite difference measures what the derivative would."""
    model = make_model(nudge=1e-3).double()
    batch = make_batch()
    real = batch.real.double()
    latents = batch.latents.double()

    expected = 0.0
    for images in (real, model("generator", latents, batch.labels).detach()):
        images.requires_grad_()
        logits = model("discriminator", images, batch.labels)
        (gradient,) = torch.autograd.grad(logits.sum(), images)
        expected += gradient.square().sum().item() / len(images)

    penalties = []
    for _ in range(80):
        directions = torch.randn_like(real)
        _, losses = model.losses(real.detach(), batch.labels, latents, directions)
        penalties.append(losses["train/penalty"].item())
    mean = sum(penalties) / len(penalties)
    assert mean == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("accumulate", [1, 5])
def test_a_batch_is_one_step(tmp_path: Path, accumulate: int) -> None:
    """However many parts a batch has, it is one step of all optimizers and schedulers."""
    trainer = fit(tmp_path, make_model(accumulate=accumulate))
    assert trainer.global_step == STEPS
    for configuration in trainer.lr_scheduler_configs:
        assert configuration.scheduler.last_epoch == STEPS
    for optimizer in trainer.optimizers:
        assert {int(state["step"]) for state in optimizer.state.values()} == {STEPS}


def test_parts_of_a_batch_make_no_difference(tmp_path: Path) -> None:
    """Training ends with the same weights, whatever `accumulate` is."""
    whole = make_model(accumulate=1)
    in_parts = make_model(accumulate=5)
    fit(tmp_path, whole, precision="64-true")
    fit(tmp_path, in_parts, precision="64-true")
    for one, other in zip(whole.parameters(), in_parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


class RecordingModel(Model):
    """Records the norm of each network's gradient, as its optimizer uses it."""

    def __init__(self, **options: Any) -> None:
        torch.manual_seed(0)
        super().__init__(image_shape=[1, 8, 8], class_names=DIGITS, width=4, **options)
        self.norms: list[float] = []

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        super().on_before_optimizer_step(optimizer)
        gradients = []
        for group in optimizer.param_groups:
            gradients.extend(weight.grad for weight in group["params"])
        self.norms.append(torch.nn.utils.get_total_norm(gradients).item())


def test_gradients_are_clipped(tmp_path: Path) -> None:
    """The norm of each network's gradient is `clip` at most."""
    model = RecordingModel(clip=0.01)
    fit(tmp_path, model)
    assert len(model.norms) == 2 * STEPS
    assert max(model.norms) <= 0.01001


def fit_with_growing_scale(folder: Path, growth: float) -> list[float]:
    """The norms of gradients in a `fit` whose loss scale grows with each step."""
    scaler = torch.amp.GradScaler(
        "cpu",
        init_scale=64.0,
        growth_factor=growth,
        growth_interval=1,
    )
    model = RecordingModel(clip=0.0)
    fit(folder, model, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert scaler.get_scale() == pytest.approx(64 * growth**STEPS)
    return model.norms


def test_half_precision_updates_the_loss_scale_once_per_step(tmp_path: Path) -> None:
    """The scale of 16-mixed grows once for both networks, and does not change their gradients."""
    constant = fit_with_growing_scale(tmp_path, growth=1.0 + 1e-9)
    growing = fit_with_growing_scale(tmp_path, growth=4.0)
    assert growing == pytest.approx(constant, rel=0.01)


def multiply_by_infinity(gradient: Tensor) -> Tensor:
    return gradient * torch.inf


# torch warns when the first optimizer steps are skipped.
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_infinite_gradients_lower_the_loss_scale(tmp_path: Path) -> None:
    """The network with infinite gradients skips its step, and the scale is halved once."""
    model = make_model()
    first_weight = next(model.net["discriminator"].parameters())
    first_weight.register_hook(multiply_by_infinity)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    trainer = fit(tmp_path, model, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert scaler.get_scale() == 64 / 2**STEPS
    generator_optimizer, discriminator_optimizer = trainer.optimizers
    assert generator_optimizer.state
    assert not discriminator_optimizer.state


def test_distance_compares_the_first_batches(tmp_path: Path) -> None:
    """`val/mmd` compares `sample_batches` batches at most; the losses are over all of them."""
    data = DataModule(batch_size=12)

    def validate(sample_batches: int, batches: int) -> dict[str, float]:
        model = make_model(sample_batches=sample_batches)
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


def test_average_follows_the_generator(tmp_path: Path) -> None:
    """The average gets no gradient, and moves towards the generator's weights."""
    model = make_model()
    average = model.net["average"]
    first_weights = [weight.clone() for weight in average.parameters()]
    fit(tmp_path, model)
    latest_weights = model.net["generator"].parameters()
    for first, averaged, latest in zip(first_weights, average.parameters(), latest_weights):
        assert averaged.grad is None
        moved_towards = (averaged - first) * (latest - averaged) >= -1e-9
        barely_moved = (averaged - first).abs().max() < 0.02
        assert moved_towards.all() or barely_moved


def test_samples_depend_on_index_and_class_alone() -> None:
    """A sample is the same in any batch."""
    model = make_model().eval()
    numbers = torch.arange(5)
    samples = model.generate(numbers, numbers)
    torch.testing.assert_close(samples[3:], model.generate(numbers[3:], numbers[3:]))


def test_predictions_are_samples_and_their_grid() -> None:
    """There is a row for each sample, with its class, and one for a grid of all."""
    model = make_model().eval()
    columns = model.predict_step({"index": torch.arange(3), "label": torch.tensor([2, 1, 0])}, 0)
    assert columns["input"] == ["sample 0", "sample 1", "sample 2", "samples 0 to 2"]
    assert columns["prediction"] == ["2", "1", "0", ""]
    assert len(columns["image"]) == 4
    for image in columns["image"][:3]:
        assert image.size == (64, 64)
