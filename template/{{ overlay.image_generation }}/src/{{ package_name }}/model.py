"""Image generation by flow matching. Yours: updates of the template leave it alone."""

from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from .harness import UserError
from .harness.optim import adamw_warmup_cosine
from .harness.samples import KernelDistance, fixed_noise, follow, rows


class Model(LightningModule):
    """A network that learns the velocity from noise to images along straight lines (arXiv 2210.02747, 2209.03003).

    At time t from 0 to 1 a sample is `(1 - t) * noise + t * image`, and moves by `image - noise`. All but training
    uses a moving average of the weights. The squared error has a floor above zero: many images meet in one sample.

    Args:
        image_shape: channels, height and width; filled in from the data, as are the next.
        class_names: what can be asked for; none for images without classes.
        patch_size: side of the squares of pixels that become tokens.
        depth: blocks.
        dim: width of the stream that the blocks read and add to.
        heads: attention heads.
        label_dropout: share of training images whose class is withheld, for guidance.
        guidance: over 1, samples that are more of their class and less diverse (arXiv 2207.12598).
        sampling_steps: of Heun's method from noise to image, each of two evaluations.
        ema_decay: what the average of weights keeps in a step; 0, or over 0.992 under bf16-true: the last weights.
        sample_every: epochs; in their validation, as many samples as images are made for `val/mmd`, which takes time.
        sample_batches: `val/mmd` and `test/mmd` are of so many batches at most, since time grows with their square.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        image_shape: list[int],
        class_names: list[str],
        patch_size: int = 2,
        depth: int = 4,
        dim: int = 128,
        heads: int = 4,
        label_dropout: float = 0.1,
        guidance: float = 1.0,
        sampling_steps: int = 16,
        ema_decay: float = 0.999,
        sample_every: int = 10,
        sample_batches: int = 8,
        lr: float = 3e-3,
        weight_decay: float = 0.01,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if image_shape[-1] % patch_size:
            raise UserError(
                f"model.patch_size={patch_size} does not divide data.image_size={image_shape[-1]}: change one"
            )
        if dim % (2 * heads):
            raise UserError(f"model.dim is a multiple of 2 * model.heads = {2 * heads}, not {dim}: change one of them")
        self.net = Transformer(image_shape, len(class_names), patch_size, depth, dim, heads)
        self.ema = deepcopy(self.net).requires_grad_(False)
        self.val_mmd, self.test_mmd = KernelDistance(), KernelDistance()

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network
            self.ema.compile()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Steps come one for each `accumulate_grad_batches`, and the average follows them."""
        super().optimizer_step(*args, **kwargs)
        follow(self.ema, self.net, self.hparams.ema_decay, self.trainer)

    def forward(self, samples: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """Velocities (B, C, H, W) of samples (B, C, H, W) at times (B,); a label (B,) after the last class is none."""
        return (self.net if self.training else self.ema)(samples, times, labels)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        images, labels = batch["image"], batch["label"]
        withheld = torch.rand(len(labels), device=labels.device) < self.hparams.label_dropout
        labels = labels.masked_fill(withheld, len(self.hparams.class_names))
        # Times amid noise and image are the hardest, and drawn most often (arXiv 2403.03206, section 3.1).
        noise, times = torch.randn_like(images), torch.randn_like(images[:, 0, 0, 0]).sigmoid()
        loss = self.loss(images, noise, times, labels)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "val", self.val_mmd)

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.evaluate(batch, batch_idx, "test", self.test_mmd)

    def evaluate(self, batch: dict, batch_idx: int, split: str, mmd: KernelDistance) -> None:
        """The loss under noise that is an image's own, and how far samples of the same classes are from the images."""
        images, labels, noise = batch["image"], batch["label"], fixed_noise(batch["index"], self.hparams.image_shape)
        times = fixed_noise(batch["index"] + 2**32, [1])[:, 0].sigmoid().type_as(images)
        loss = self.loss(images, noise.type_as(images), times, labels)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=True, batch_size=len(labels))
        epochs = self.hparams.sample_every if self.trainer.state.fn == "fit" else 1
        if (self.current_epoch + 1) % epochs == 0 and batch_idx < self.hparams.sample_batches:
            mmd.update(self.sample(noise, labels), images)
            self.log(f"{split}/mmd", mmd, prog_bar=True, batch_size=len(labels))

    def loss(self, images: Tensor, noise: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        t = times.view(-1, 1, 1, 1)
        return F.mse_loss(self((1 - t) * noise + t * images, times, labels), images - noise)

    def sample(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, H, W), from -1 to 1, that the flow carries the noise to."""
        x, steps, dtype = noise.float(), self.hparams.sampling_steps, next(self.ema.parameters()).dtype

        def velocity(x: Tensor, step: int) -> Tensor:
            times = torch.full_like(labels, step, dtype=dtype) / steps
            v = self(x.to(dtype), times, labels).float()
            if self.hparams.guidance == 1 or not self.hparams.class_names:
                return v
            free = self(x.to(dtype), times, torch.full_like(labels, len(self.hparams.class_names))).float()
            return free + self.hparams.guidance * (v - free)

        for step in range(steps):  # Heun's method; what it ends with, Euler's would begin with
            first = velocity(x, step)
            x = x + (first + velocity(x + first / steps, step + 1)) / (2 * steps)
        return x.clamp(-1, 1)

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        noise = fixed_noise(batch["index"], self.hparams.image_shape)
        return rows(self.sample(noise, batch["label"]), batch, self.hparams.class_names)


class Transformer(nn.Module):
    """DiT (arXiv 2212.09748). B: batch, T: patches, C: dim, nh: heads, hs: head size."""

    def __init__(self, image_shape: list[int], classes: int, patch: int, depth: int, dim: int, heads: int) -> None:
        super().__init__()
        self.patch, (channels, height, width) = patch, image_shape
        self.embed = nn.Conv2d(channels, dim, patch, patch)
        self.places = nn.Parameter(0.02 * torch.randn(height // patch * (width // patch), dim))
        self.labels = nn.Embedding(classes + 1, dim)  # the last is no class
        self.times = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.head = nn.Linear(dim, channels * patch**2)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("octaves", torch.arange(dim // 2), persistent=False)

    def forward(self, samples: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        speeds = 1e3 ** (self.octaves.float() / len(self.octaves))  # (C/2,)
        angles = times[:, None].float() * speeds
        waves = torch.cat([angles.cos(), angles.sin()], dim=1).type_as(samples)
        c = self.times(waves) + self.labels(labels)  # (B, C)
        x = self.embed(samples)  # (B, channels, H, W) -> (B, C, h, w)
        h, w = x.shape[2:]
        x = x.flatten(2).transpose(1, 2) + self.places  # (B, T, C)
        for block in self.blocks:
            x = block(x, c)
        x = self.head(F.layer_norm(x, x.shape[-1:]))
        return F.pixel_shuffle(x.transpose(1, 2).unflatten(2, (h, w)), self.patch)  # (B, channels, H, W)


class Block(nn.Module):
    """Attention among the patches, then an MLP; time and class shift, scale and gate both, from zero."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.modulate = heads, nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.qkv, self.project = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        nn.init.zeros_(self.modulate.get_parameter("1.weight"))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulate(c)[:, None].chunk(6, dim=-1)  # each (B, 1, C)
        y = F.layer_norm(x, x.shape[-1:]) * (1 + scale1) + shift1
        qkv = self.qkv(y).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, nh, T, hs)
        y = F.scaled_dot_product_attention(*qkv).transpose(1, 2).flatten(2)  # (B, nh, T, hs) -> (B, T, C)
        x = x + gate1 * self.project(y)
        return x + gate2 * self.mlp(F.layer_norm(x, x.shape[-1:]) * (1 + scale2) + shift2)
