"""A generative adversarial network, its two optimizers stepped by hand. Yours: updates leave it alone."""

import math
from contextlib import nullcontext
from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from .harness import UserError
from .harness.adversaries import adams_warmup_cosine, step_uncounted
from .harness.samples import KernelDistance, fixed_noise, follow, rows


class Model(LightningModule):
    """A relativistic GAN (R3GAN, arXiv 2501.05441): a real image and a generated one of its class are told apart.

    Its two gradient penalties are taken by a difference (arXiv 2501.08316), since `torch.compile` and fsdp2 have no
    second derivative. What is evaluated is made by the average of the generator's weights.

    Args:
        image_shape: filled in from the data: channels, height and width.
        class_names: filled in from the data; none for images without classes.
        latent: random numbers that an image is made from, besides its class.
        width: channels at full size; twice as many at half of it, and four times below.
        penalty: weight of the discriminator's squared slope at real and at generated images.
        nudge: standard deviation of the noise by which the slope is measured; pixels go from -1 to 1.
        ema_decay: what the average of weights keeps in a step; 0, or over 0.992 under bf16-true: the last weights.
        sample_batches: `val/mmd` and `test/mmd` are of so many batches at most, since time grows with their square.
        clip: largest norm of each network's gradient, 0: any; in place of trainer.gradient_clip_val.
        accumulate: parts a batch goes through in, for less memory; in place of trainer.accumulate_grad_batches.
        lr: peak learning rate of both networks, after the warm-up.
        weight_decay: AdamW's.
        warmup_steps: steps to the peak, at most a tenth of the run.
        compile: run the networks through `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        image_shape: list[int],
        class_names: list[str],
        latent: int = 32,
        width: int = 16,
        penalty: float = 0.2,
        nudge: float = 0.1,
        ema_decay: float = 0.995,
        sample_batches: int = 8,
        clip: float = 10.0,
        accumulate: int = 1,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        if min(latent, accumulate, sample_batches) < 1 or nudge <= 0:
            counts = f"model.latent={latent}, accumulate={accumulate} and sample_batches={sample_batches}"
            raise UserError(f"{counts} are at least 1, nudge={nudge} above 0")
        self.classes = max(1, len(class_names))
        generator = make_generator(image_shape, latent + self.classes, width)
        networks = {"generator": generator, "discriminator": make_discriminator(image_shape, self.classes, width)}
        self.net = nn.ModuleDict(networks | {"average": deepcopy(generator).requires_grad_(False)})
        self.train_mmd, self.val_mmd, self.test_mmd = (KernelDistance() for _ in range(3))

    def configure_model(self) -> None:
        for network in self.net.values() if self.hparams.compile else ():
            network.compile()  # in place: the checkpoint's keys stay those of the plain networks

    def configure_optimizers(self) -> list[Any]:
        networks = {f"lr-{name}": self.net[name] for name in ("generator", "discriminator")}
        return adams_warmup_cosine(self, networks, *(self.hparams[n] for n in ("lr", "weight_decay", "warmup_steps")))

    def forward(self, name: str, inputs: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, H, W) of latents (B, L), or logits (B,) of images; fsdp2 gathers the weights on this way."""
        classes = F.one_hot(labels, self.classes).type_as(inputs)
        if name == "discriminator":  # it has an output for each class (arXiv 1801.04406)
            return (self.net[name](inputs) * classes).sum(dim=1)
        _, height, width = self.hparams.image_shape  # a copy, since fsdp2 warns of a view
        return self.net[name](torch.cat([inputs, classes], dim=1))[..., :height, :width].clone()

    def training_step(self, batch: dict, batch_idx: int) -> None:
        """One step of both networks, in as many parts as `accumulate` says: so none is cut off between two of them."""
        images, size, logged = batch["image"], len(batch["image"]), {}
        latents = torch.randn(size, self.hparams.latent, device=images.device, dtype=images.dtype)
        drawn, parts = (images, batch["label"], latents, torch.randn_like(images)), min(self.hparams.accumulate, size)
        silent = getattr(self.trainer.strategy, "block_backward_sync", nullcontext)
        for number, part in enumerate(zip(*(t.tensor_split(parts) for t in drawn), strict=True), 1):
            objective, losses = self.losses(*part)
            share = len(part[0]) / size
            with nullcontext() if number == parts else silent():  # ranks exchange gradients with the last part
                self.manual_backward(objective * share)
            logged = {name: logged.get(name, 0) + share * loss for name, loss in losses.items()}
        self.log_dict(logged, prog_bar=True)
        self.step_both()

    def losses(self, real: Tensor, labels: Tensor, latents: Tensor, nudge: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What one backward pass takes to give each network the gradient of its own loss, and the losses.

        The discriminator sees generated images without their past. The generator is given the gradient at these
        images, by the chain rule: so no weight is reached twice, as ddp asks, nor by the other network's loss.
        """
        fake = self("generator", latents, labels)
        both = torch.cat([real, seen := fake.detach()])
        near = both + self.hparams.nudge * nudge.repeat(2, 1, 1, 1)
        here, there = self("discriminator", torch.cat([both, near]), labels.repeat(4)).chunk(2)
        at_real, at_fake = here.chunk(2)
        discriminator_loss = F.softplus(at_fake - at_real).mean()
        penalty = 2 * ((there - here) / self.hparams.nudge).square().mean()  # R1 + R2: of real and of generated images
        fooled = F.softplus(at_real.detach() - self("discriminator", seen.requires_grad_(), labels))
        (direction,) = torch.autograd.grad(fooled.sum(), seen)  # of the sum: half precision would lose a mean's
        objective, mmd = discriminator_loss + self.hparams.penalty * penalty, self.train_mmd(fake, real)
        self.train_mmd.reset()
        losses = {"generator_loss": fooled.mean(), "discriminator_loss": discriminator_loss, "penalty": penalty}
        losses |= {"loss": fooled.mean() + objective, "mmd": mmd}
        return objective + (fake * direction).sum() / len(fake), {f"train/{n}": v.detach() for n, v in losses.items()}

    def step_both(self) -> None:
        """Optimizers, schedulers and average take a step, and `trainer.global_step` counts one."""
        optimizers: Any = self.optimizers()
        schedulers: Any = self.lr_schedulers()
        step_uncounted(self.trainer, optimizers[1].optimizer)
        optimizers[0].step()
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.zero_grad()
            scheduler.step()
        follow(self.net["average"], self.net["generator"], self.hparams.ema_decay, self.trainer)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        self.clip_gradients(optimizer, self.hparams.clip, "norm")  # by now 16-mixed has taken its scale off them

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "val", self.val_mmd)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "test", self.test_mmd)

    def evaluate(self, batch: dict, batch_idx: int, split: str, mmd: KernelDistance) -> None:
        """Both losses, without the penalty, and how far images of the same classes are from the real ones."""
        real, labels, size = batch["image"], batch["label"], len(batch["image"])
        fake = self.make(batch["index"], labels)
        gap = self("discriminator", fake, labels) - self("discriminator", real, labels)
        one, other = F.softplus(-gap).mean(), F.softplus(gap).mean()
        losses = {"generator_loss": one, "discriminator_loss": other, "loss": one + other}
        self.log_dict({f"{split}/{name}": loss for name, loss in losses.items()}, sync_dist=True, batch_size=size)
        if batch_idx < self.hparams.sample_batches:
            mmd.update(fake, real)
            self.log(f"{split}/mmd", mmd, prog_bar=True, batch_size=size)

    def make(self, index: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, H, W) of the average: an index (B,) and a label (B,) always give the same one."""
        return self("average", fixed_noise(index, [self.hparams.latent]).to(self.dtype), labels)

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        return rows(self.make(batch["index"], batch["label"]), batch, self.hparams.class_names)


class Residual(nn.Sequential):
    """Two convolutions beside a shortcut, without norms; it starts as the identity (Fixup, arXiv 1901.09321)."""

    def __init__(self, width: int) -> None:
        first, last = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        super().__init__(nn.LeakyReLU(0.2), first, nn.LeakyReLU(0.2), last)
        nn.init.zeros_(last.weight)

    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)


def plan(shape: list[int], width: int) -> tuple[list[int], list[int]]:
    """Channels at each size, the largest first, and the shape of the smallest, which is 4 to 7 pixels high."""
    levels = max(0, int(math.log2(min(shape[1:]) / 4)))  # which halve the size
    widths = [width * min(4, 2**level) for level in range(levels + 1)]
    return widths, [widths[-1], *(math.ceil(side / 2**levels) for side in shape[1:])]


def make_generator(shape: list[int], inputs: int, width: int) -> nn.Sequential:
    """Images (B, C, H, W), or a few pixels larger, of inputs (B, I)."""
    widths, start = plan(shape, width)
    blocks: list[nn.Module] = [nn.Linear(inputs, math.prod(start)), nn.Unflatten(1, start), Residual(start[0])]
    for before, after in pairwise(reversed(widths)):
        blocks += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1), Residual(after)]
    return nn.Sequential(*blocks, nn.LeakyReLU(0.2), nn.Conv2d(width, shape[0], 3, padding=1), nn.Tanh())


def make_discriminator(shape: list[int], classes: int, width: int) -> nn.Sequential:
    """Logits (B, classes) of images (B, C, H, W)."""
    widths, end = plan(shape, width)
    blocks: list[nn.Module] = [nn.Conv2d(shape[0], width, 3, padding=1), Residual(width)]
    for before, after in pairwise(widths):
        blocks += [nn.Conv2d(before, after, 3, padding=1), nn.AvgPool2d(2, ceil_mode=True), Residual(after)]
    return nn.Sequential(*blocks, nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(math.prod(end), classes))
