"""A generative adversarial network. Yours: updates of the template leave this file alone."""

import math
from collections import defaultdict
from contextlib import nullcontext
from copy import deepcopy
from itertools import pairwise
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from .figures.grids import prediction_table
from .harness.fixed_noise import fixed_noise
from .harness.ranges import Range
from .harness.two_optimizers import adamw_for_each, local_gradients, step_uncounted
from .harness.weight_averaging import update_average
from .metrics.kernel_distance import KernelDistance

# Parameters of this type are checked before the model is built.
Count = Annotated[int, Range(min=1)]

LEAK = 0.2  # slope of the activations below zero
SMALLEST_SIDE = 4  # images are halved as long as no side becomes shorter than this
MAX_WIDENING = 4  # channels at the smallest size, relative to those at full size


class Model(LightningModule):
    """A relativistic GAN (R3GAN, arXiv 2501.05441).

    The discriminator does not judge images one by one. It is trained to give a real image a higher
    logit than a generated one of the same class, and the generator is trained to reverse that.

    Both gradient penalties, at real and at generated images, are estimated by finite differences
    (arXiv 2501.08316), because `torch.compile` and fsdp2 lack second derivatives.

    The images that are evaluated and predicted come from a moving average of the generator.

    All steps take batches from `data.py`: `image` (B, C, H, W), float with values from -1 to 1;
    `label` (B,) and `index` (B,), int64. Batches for `predict` have no `image`.

    Args:
        image_shape: channels, height and width; filled in from the data, as is the next one.
        class_names: empty for images without classes.
        latent: number of random values that an image is generated from, beside its class.
        width: channels at full size; half the size has twice as many, and smaller ones four times.
        penalty: weight of the gradient penalties.
        nudge: standard deviation of the noise that the finite differences add to images.
        ema_decay: share of itself that the average of weights keeps per step. 0 disables the
            average, and so do values over 0.992 with bf16-true.
        sample_batches: largest number of batches that `val/mmd` and `test/mmd` compare; their
            time grows with its square.
        clip: largest norm of each network's gradient, in place of `trainer.gradient_clip_val`;
            0 disables.
        accumulate: number of parts that a batch is processed in, to save memory; in place of
            `trainer.accumulate_grad_batches`.
        lr: peak learning rate of both networks, after the warm-up.
        weight_decay: AdamW's weight decay, applied to all weights, biases included.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the networks with `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        image_shape: list[int],
        class_names: list[str],
        latent: Count = 32,
        width: Count = 16,
        penalty: float = 0.2,
        nudge: Annotated[float, Range(above=0)] = 0.1,
        ema_decay: Annotated[float, Range(min=0, max=1)] = 0.995,
        sample_batches: Count = 8,
        clip: float = 10.0,
        accumulate: Count = 1,
        lr: Annotated[float, Range(min=0)] = 1e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.0,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.classes = max(1, len(class_names))
        generator = make_generator(image_shape, latent + self.classes, width)
        discriminator = make_discriminator(image_shape, self.classes, width)
        average = deepcopy(generator)
        average.requires_grad_(False)
        self.net = nn.ModuleDict(
            {
                "generator": generator,
                "discriminator": discriminator,
                "average": average,
            }
        )
        self.train_mmd = KernelDistance()
        self.val_mmd = KernelDistance()
        self.test_mmd = KernelDistance()

    def configure_model(self) -> None:
        if self.hparams.compile:
            for network in self.net.values():
                # In place, so that the checkpoint's keys stay those of the plain networks.
                network.compile()

    def configure_optimizers(self) -> list[Any]:
        networks = {
            "lr-generator": self.net["generator"],
            "lr-discriminator": self.net["discriminator"],
        }
        return adamw_for_each(
            self,
            networks,
            lr=self.hparams.lr,
            weight_decay=self.hparams.weight_decay,
            warmup_steps=self.hparams.warmup_steps,
        )

    def forward(self, name: str, inputs: Tensor, labels: Tensor) -> Tensor:
        """Run one of the networks for inputs of classes `labels` (B,).

        `generator` and its `average` give images (B, C, H, W) from latents (B, L);
        `discriminator` gives logits (B,) from images. All go through this method, because fsdp2
        gathers the weights when it is called.
        """
        classes = F.one_hot(labels, self.classes).type_as(inputs)
        if name == "discriminator":
            # It has an output for each class (arXiv 1801.04406).
            logits = self.net["discriminator"](inputs)
            return (logits * classes).sum(dim=1)
        _, height, width = self.hparams.image_shape
        images = self.net[name](torch.cat([inputs, classes], dim=1))
        # A copy, because fsdp2 warns about views.
        return images[..., :height, :width].clone()

    def training_step(self, batch: dict, batch_idx: int) -> None:
        """Make a step of both networks, with gradients that add up over the parts of the batch.

        The parts are cut from one batch, so that no run is stopped and resumed between them.
        """
        images = batch["image"]
        size = len(images)
        latents = torch.randn(
            size,
            self.hparams.latent,
            device=images.device,
            dtype=images.dtype,
        )
        directions = torch.randn_like(images)
        count = min(self.hparams.accumulate, size)
        parts = zip(
            images.tensor_split(count),
            batch["label"].tensor_split(count),
            latents.tensor_split(count),
            directions.tensor_split(count),
        )
        logged: dict[str, Any] = defaultdict(float)
        for number, part in enumerate(parts, start=1):
            objective, losses = self.losses(*part)
            share = len(part[0]) / size
            # Devices exchange their gradients once, with the last part.
            is_last = number == count
            with nullcontext() if is_last else local_gradients(self.trainer):
                self.manual_backward(objective * share)
            for name, loss in losses.items():
                logged[name] += share * loss
        self.log_dict(logged, prog_bar=True)
        self.step_both()

    def losses(
        self,
        real: Tensor,
        labels: Tensor,
        latents: Tensor,
        directions: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective of the backward pass, and the losses to log.

        One backward pass of the objective gives each network the gradient of its own loss. For
        this the discriminator sees the generated images detached, and the generator is given the
        gradient of its loss at these images (the chain rule). So the loss of one network does not
        reach the other, and no weight is reached twice, which ddp does not allow.

        Args:
            real: images (B, C, H, W) with values from -1 to 1.
            labels: their classes (B,).
            latents: normal noise (B, L) to generate as many images of these classes from.
            directions: normal noise (B, C, H, W), in which the slope of the logits is measured.
        """
        generated = self("generator", latents, labels)
        detached = generated.detach()
        images = torch.cat([real, detached])
        nudge = self.hparams.nudge
        nearby = images + nudge * directions.repeat(2, 1, 1, 1)
        logits = self("discriminator", torch.cat([images, nearby]), labels.repeat(4))
        at_images, at_nearby = logits.chunk(2)
        at_real, at_generated = at_images.chunk(2)
        discriminator_loss = F.softplus(at_generated - at_real).mean()
        slopes = (at_nearby - at_images) / nudge
        # The sum of R1 at real images and R2 at generated ones, so twice the mean over both.
        penalty = 2 * slopes.square().mean()
        discriminator_objective = discriminator_loss + self.hparams.penalty * penalty

        detached.requires_grad_()
        at_detached = self("discriminator", detached, labels)
        generator_losses = F.softplus(at_real.detach() - at_detached)
        # Of the sum, because gradients of the mean may be too small for half precision.
        (gradient,) = torch.autograd.grad(generator_losses.sum(), detached)
        generator_objective = (generated * gradient).sum() / len(generated)
        generator_loss = generator_losses.mean()

        mmd = self.train_mmd(generated, real)
        self.train_mmd.reset()
        losses = {
            "train/generator_loss": generator_loss.detach(),
            "train/discriminator_loss": discriminator_loss.detach(),
            "train/penalty": penalty.detach(),
            "train/loss": (generator_loss + discriminator_objective).detach(),
            "train/mmd": mmd.detach(),
        }
        return discriminator_objective + generator_objective, losses

    def step_both(self) -> None:
        """Make a step of both networks and their schedules: one of `trainer.global_step`."""
        optimizers: Any = self.optimizers()
        schedulers: Any = self.lr_schedulers()
        generator_optimizer, discriminator_optimizer = optimizers
        step_uncounted(self.trainer, discriminator_optimizer.optimizer)
        generator_optimizer.step()
        for optimizer in optimizers:
            optimizer.zero_grad()
        for scheduler in schedulers:
            scheduler.step()
        update_average(
            self.net["average"],
            self.net["generator"],
            decay=self.hparams.ema_decay,
            trainer=self.trainer,
        )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # When this hook runs, the gradients are no longer multiplied by the loss scale of 16-mixed.
        self.clip_gradients(
            optimizer,
            gradient_clip_val=self.hparams.clip,
            gradient_clip_algorithm="norm",
        )

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "val", self.val_mmd)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "test", self.test_mmd)

    def evaluate(
        self,
        batch: dict,
        batch_idx: int,
        split: str,
        mmd: KernelDistance,
    ) -> None:
        """Log both losses, without penalties, and the distance of generated images from real ones.

        The generated images are of the same classes, and depend on an image's index alone.
        """
        real = batch["image"]
        labels = batch["label"]
        generated = self.generate(batch["index"], labels)
        at_generated = self("discriminator", generated, labels)
        at_real = self("discriminator", real, labels)
        gap = at_generated - at_real
        generator_loss = F.softplus(-gap).mean()
        discriminator_loss = F.softplus(gap).mean()
        losses = {
            f"{split}/generator_loss": generator_loss,
            f"{split}/discriminator_loss": discriminator_loss,
            f"{split}/loss": generator_loss + discriminator_loss,
        }
        self.log_dict(losses, sync_dist=True, batch_size=len(real))
        if batch_idx < self.hparams.sample_batches:
            mmd.update(generated, real)
            self.log(
                f"{split}/mmd",
                mmd,
                prog_bar=True,
                batch_size=len(real),
            )

    def predict_step(self, batch: dict, batch_idx: int) -> dict[str, list]:
        """Generate and draw an image for each `index` (B,) and `label` (B,), both int64."""
        samples = self.generate(batch["index"], batch["label"])
        return prediction_table(samples, batch, self.hparams.class_names)

    def generate(self, index: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, H, W) of the average; index (B,) and label (B,) determine each of them."""
        latents = fixed_noise(index, [self.hparams.latent])
        return self("average", latents.to(self.dtype), labels)


def make_generator(image_shape: list[int], inputs: int, width: int) -> nn.Sequential:
    """A network from inputs (B, I) to images (B, C, H, W), or a few pixels larger."""
    channels, *size = image_shape
    widths = widths_by_level(size, width)
    start = smallest_shape(size, widths)
    network = nn.Sequential(
        nn.Linear(inputs, math.prod(start)),
        nn.Unflatten(1, start),
        Residual(start[0]),
    )
    for before, after in pairwise(reversed(widths)):
        network.append(nn.Upsample(scale_factor=2))
        network.append(nn.Conv2d(before, after, 3, padding=1))
        network.append(Residual(after))
    network.append(nn.LeakyReLU(LEAK))
    network.append(nn.Conv2d(width, channels, 3, padding=1))
    network.append(nn.Tanh())
    return network


def make_discriminator(image_shape: list[int], classes: int, width: int) -> nn.Sequential:
    """A network from images (B, C, H, W) to logits (B, classes)."""
    channels, *size = image_shape
    widths = widths_by_level(size, width)
    end = smallest_shape(size, widths)
    network = nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        Residual(width),
    )
    for before, after in pairwise(widths):
        network.append(nn.Conv2d(before, after, 3, padding=1))
        network.append(nn.AvgPool2d(2, ceil_mode=True))
        network.append(Residual(after))
    network.append(nn.LeakyReLU(LEAK))
    network.append(nn.Flatten())
    network.append(nn.Linear(math.prod(end), classes))
    return network


def widths_by_level(size: list[int], width: int) -> list[int]:
    """Channels at each level, from full size [H, W] to the smallest; each halves the one before."""
    halvings = max(0, int(math.log2(min(size) / SMALLEST_SIDE)))
    widths = []
    for level in range(halvings + 1):
        widths.append(width * min(MAX_WIDENING, 2**level))
    return widths


def smallest_shape(size: list[int], widths: list[int]) -> list[int]:
    """Channels, height and width at the smallest level."""
    height, width = size
    reduction = 2 ** (len(widths) - 1)
    return [
        widths[-1],
        math.ceil(height / reduction),
        math.ceil(width / reduction),
    ]


class Residual(nn.Sequential):
    """Two convolutions beside a shortcut, without norms; at first the identity (arXiv 1901.09321).

    Maps (B, width, H, W) to the same shape.
    """

    def __init__(self, width: int) -> None:
        first = nn.Conv2d(width, width, 3, padding=1)
        last = nn.Conv2d(width, width, 3, padding=1)
        super().__init__(
            nn.LeakyReLU(LEAK),
            first,
            nn.LeakyReLU(LEAK),
            last,
        )
        nn.init.zeros_(last.weight)

    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)
