"""Image generation by flow matching. Yours: updates of the template leave this file alone."""

from copy import deepcopy
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from .figures.grids import prediction_table
from .harness.errors import UserError
from .harness.fixed_noise import fixed_noise
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range
from .harness.weight_averaging import update_average
from .metrics.kernel_distance import KernelDistance

# Parameters of these types are checked before the model is built.
Count = Annotated[int, Range(min=1)]
Share = Annotated[float, Range(min=0, max=1)]

POSITION_STD = 0.02  # of the position embeddings at the start, as in arXiv 2212.09748
MAX_FREQUENCY = 1e3  # of the time embedding, in radians per unit of time
TIME_INDEX_OFFSET = 2**32  # over every image's index, so that no time shares an image's noise


class Model(LightningModule):
    """A network that learns to move noise to images along straight lines (flow matching).

    At time t, from 0 to 1, a sample is `(1 - t) * noise + t * image`. The network learns its
    velocity, `image - noise` (arXiv 2210.02747, 2209.03003), by least squares. The loss has a
    floor above zero, because many pairs of noise and image pass through the same sample.

    Training uses the network's weights, everything else a moving average of them.

    All steps take batches from `data.py`: `image` (B, C, H, W), float with values from -1 to 1;
    `label` (B,) and `index` (B,), int64. Batches for `predict` have no `image`.

    Args:
        image_shape: channels, height and width; filled in from the data, as is the next one.
        class_names: empty for images without classes.
        patch_size: side in pixels of the squares that become tokens.
        depth: number of transformer blocks.
        dim: width of the transformer.
        heads: attention heads per block, each dim / heads wide.
        label_dropout: share of training images whose class is withheld, for guidance.
        guidance: values over 1 give samples more typical of their class and less diverse
            (arXiv 2207.12598).
        sampling_steps: steps of Heun's method from noise to image, with two evaluations each.
        ema_decay: share of itself that the average of weights keeps per step. 0 disables the
            average, and so do values over 0.992 with bf16-true.
        sample_every: number of epochs from one `val/mmd` to the next, since it takes time to
            generate the samples.
        sample_batches: largest number of batches that `val/mmd` and `test/mmd` compare; their
            time grows with its square. 0 disables both.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.

    Raises:
        UserError: if the patches do not fill the image, or the heads cannot share `dim`.
    """

    hparams: Any

    def __init__(
        self,
        image_shape: list[int],
        class_names: list[str],
        patch_size: Count = 2,
        depth: Count = 4,
        dim: Count = 128,
        heads: Count = 4,
        label_dropout: Share = 0.1,
        guidance: float = 1.0,
        sampling_steps: Count = 16,
        ema_decay: Share = 0.999,
        sample_every: Count = 10,
        sample_batches: Annotated[int, Range(min=0)] = 8,
        lr: Annotated[float, Range(min=0)] = 3e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.01,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        image_size = image_shape[-1]
        if image_size % patch_size:
            raise UserError(
                f"model.patch_size must divide data.image_size={image_size}, got {patch_size}; "
                "change one of them"
            )
        # Each head has an even number of features, and so has the time embedding.
        smallest_dim = 2 * heads
        if dim % smallest_dim:
            raise UserError(
                f"model.dim must be a multiple of 2 * model.heads = {smallest_dim}, got {dim}; "
                "change one of them"
            )
        self.net = Transformer(
            image_shape=image_shape,
            classes=len(class_names),
            patch=patch_size,
            depth=depth,
            dim=dim,
            heads=heads,
        )
        self.ema = deepcopy(self.net)
        self.ema.requires_grad_(False)
        self.val_mmd = KernelDistance()
        self.test_mmd = KernelDistance()

    @property
    def no_class(self) -> int:
        """The label that stands for no class."""
        return len(self.hparams.class_names)

    def configure_model(self) -> None:
        if self.hparams.compile:
            # In place, so that the checkpoint's keys stay those of the plain network.
            self.net.compile()
            self.ema.compile()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(
            self,
            lr=self.hparams.lr,
            weight_decay=self.hparams.weight_decay,
            warmup_steps=self.hparams.warmup_steps,
        )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Update the average of weights after each optimizer step, not after each batch."""
        super().optimizer_step(*args, **kwargs)
        update_average(
            self.ema,
            self.net,
            decay=self.hparams.ema_decay,
            trainer=self.trainer,
        )

    def forward(self, samples: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """Velocities (B, C, H, W) of samples (B, C, H, W) at times (B,) from 0 to 1.

        Labels (B,) from 0 are classes; the label after the last class stands for no class.
        """
        network = self.net if self.training else self.ema
        return network(samples, times, labels)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        images = batch["image"]
        labels = batch["label"]
        chance = torch.rand(len(labels), device=labels.device)
        withheld = chance < self.hparams.label_dropout
        labels = labels.masked_fill(withheld, self.no_class)
        noise = torch.randn_like(images)
        # Times halfway between noise and image are the hardest, so they are drawn most often
        # (arXiv 2403.03206, section 3.1).
        one_per_image = images[:, 0, 0, 0]
        times = torch.randn_like(one_per_image).sigmoid()
        loss = self.loss(images, noise, times, labels)
        self.log(
            "train/loss",
            loss,
            prog_bar=True,
            batch_size=len(labels),
        )
        return loss

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
        """Log the loss, and the distance of generated images of the same classes.

        Noise and times depend on an image's index alone, so that epochs and runs compare.
        """
        images = batch["image"]
        labels = batch["label"]
        index = batch["index"]
        noise = fixed_noise(index, self.hparams.image_shape)
        time_noise = fixed_noise(index + TIME_INDEX_OFFSET, [1])
        times = time_noise[:, 0].sigmoid()
        loss = self.loss(
            images,
            noise.type_as(images),
            times.type_as(images),
            labels,
        )
        self.log(
            f"{split}/loss",
            loss,
            prog_bar=True,
            sync_dist=True,
            batch_size=len(labels),
        )
        if self.compares_samples(batch_idx):
            samples = self.sample(noise, labels)
            mmd.update(samples, images)
            self.log(
                f"{split}/mmd",
                mmd,
                prog_bar=True,
                batch_size=len(labels),
            )

    def compares_samples(self, batch_idx: int) -> bool:
        """Whether images are generated, and compared with those of this batch."""
        if batch_idx >= self.hparams.sample_batches:
            return False
        if self.trainer.state.fn != "fit":
            return True
        epochs_done = self.current_epoch + 1
        return epochs_done % self.hparams.sample_every == 0

    def predict_step(self, batch: dict, batch_idx: int) -> dict[str, list]:
        """Generate and draw an image for each `index` (B,) and `label` (B,), both int64."""
        noise = fixed_noise(batch["index"], self.hparams.image_shape)
        samples = self.sample(noise, batch["label"])
        return prediction_table(samples, batch, self.hparams.class_names)

    def loss(
        self,
        images: Tensor,
        noise: Tensor,
        times: Tensor,
        labels: Tensor,
    ) -> Tensor:
        """Mean squared error of the velocities between noise and images, both (B, C, H, W)."""
        share = times.view(-1, 1, 1, 1)
        samples = (1 - share) * noise + share * images
        velocities = self(samples, times, labels)
        return F.mse_loss(velocities, images - noise)

    def sample(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, H, W), from -1 to 1, that the flow moves noise (B, C, H, W) to."""
        steps = self.hparams.sampling_steps
        samples = noise.float()
        for step in range(steps):
            # Heun's method: Euler's step, with the mean of the velocities at both of its ends.
            start_velocity = self.guided_velocity(samples, step, labels)
            end = samples + start_velocity / steps
            end_velocity = self.guided_velocity(end, step + 1, labels)
            samples = samples + (start_velocity + end_velocity) / (2 * steps)
        return samples.clamp(-1, 1)

    def guided_velocity(self, samples: Tensor, step: int, labels: Tensor) -> Tensor:
        """Velocities (B, C, H, W) in float32 at time `step / sampling_steps`."""
        dtype = next(self.ema.parameters()).dtype
        samples = samples.to(dtype)
        times = torch.full_like(labels, step, dtype=dtype)
        times = times / self.hparams.sampling_steps
        with_class = self(samples, times, labels).float()
        guidance = self.hparams.guidance
        if guidance == 1 or not self.hparams.class_names:
            return with_class
        no_class = torch.full_like(labels, self.no_class)
        without_class = self(samples, times, no_class).float()
        return without_class + guidance * (with_class - without_class)


class Transformer(nn.Module):
    """DiT (arXiv 2212.09748). B: batch, T: patches, C: dim, nh: heads, hs: head size."""

    def __init__(
        self,
        image_shape: list[int],
        classes: int,
        patch: int,
        depth: int,
        dim: int,
        heads: int,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        rows = height // patch
        columns = width // patch
        self.patch = patch
        self.embed = nn.Conv2d(channels, dim, patch, patch)
        self.places = nn.Parameter(POSITION_STD * torch.randn(rows * columns, dim))
        self.labels = nn.Embedding(classes + 1, dim)  # the last one is for no class
        self.times = nn.Sequential(
            nn.Linear(dim, dim),
            nn.SiLU(),
            nn.Linear(dim, dim),
        )
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(Block(dim, heads))
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.head = nn.Linear(dim, channels * patch**2)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("octaves", torch.arange(dim // 2), persistent=False)

    def forward(self, samples: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """Velocities (B, channels, H, W) of samples of that shape, times (B,) and labels (B,)."""
        waves = self.waves(times).type_as(samples)
        condition = self.times(waves) + self.labels(labels)  # (B, C)
        x = self.embed(samples)  # (B, channels, H, W) -> (B, C, rows, columns)
        rows, columns = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)  # (B, T, C)
        x = x + self.places
        for block in self.blocks:
            x = block(x, condition)
        x = self.head(self.norm(x))  # (B, T, channels * patch**2)
        x = x.transpose(1, 2).unflatten(2, (rows, columns))
        return F.pixel_shuffle(x, self.patch)  # (B, channels, H, W)

    def waves(self, times: Tensor) -> Tensor:
        """Cosines and sines (B, C) of times (B,), at frequencies from 1 to `MAX_FREQUENCY`."""
        octaves = self.octaves.float()
        frequencies = MAX_FREQUENCY ** (octaves / len(octaves))  # (C/2,)
        angles = times[:, None].float() * frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class Block(nn.Module):
    """Attention among the patches, then an MLP; time and class shift, scale and gate both."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.modulate = nn.Sequential(
            nn.SiLU(),
            nn.Linear(dim, 6 * dim),
        )
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
        )
        nn.init.zeros_(self.modulate.get_parameter("1.weight"))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens (B, T, C) of the same shape, under a condition (B, C) of time and class."""
        modulation = self.modulate(condition)
        modulation = modulation[:, None].chunk(6, dim=-1)
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation  # each (B, 1, C)
        attention_input = self.norm(x) * (1 + scale1) + shift1
        x = x + gate1 * self.attend(attention_input)
        mlp_input = self.norm(x) * (1 + scale2) + shift2
        return x + gate2 * self.mlp(mlp_input)

    def attend(self, x: Tensor) -> Tensor:
        """Attention among all patches: tokens (B, T, C) of the same shape."""
        qkv = self.qkv(x)  # (B, T, 3C)
        qkv = qkv.unflatten(-1, (3, self.heads, -1))  # (B, T, 3, nh, hs)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, nh, T, hs)
        attended = F.scaled_dot_product_attention(query, key, value)
        attended = attended.transpose(1, 2).flatten(2)  # (B, nh, T, hs) -> (B, T, C)
        return self.project(attended)
