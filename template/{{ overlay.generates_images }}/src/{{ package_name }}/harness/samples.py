# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What models that generate images share: averaged weights, noise, how good samples are, how they are shown."""

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


@torch.no_grad()
def follow(mean: nn.Module, net: nn.Module, decay: float, trainer: Any) -> None:
    """Move averaged weights towards those of a network that has made an optimizer step.

    The average keeps `decay` of itself, and less in the first steps, since it starts at weights that know nothing. In
    numbers too coarse for so small a move, those of bf16 where `decay` is over 0.992, it is the last weights.
    """
    share = 1 - min(decay, (1 + trainer.global_step) / (10 + trainer.global_step))
    # fsdp cuts all weights as one, so that a device's parts of the two need not be the same.
    sharded = isinstance(trainer.model, FullyShardedDataParallel)
    with FullyShardedDataParallel.summon_full_params(trainer.model) if sharded else nullcontext():
        for weight, new in zip(mean.parameters(), net.parameters()):
            # An average whose moves are less than the numbers can tell apart would stand still.
            exact = torch.finfo(weight.dtype).eps < 1 - decay
            weight.lerp_(new, share if exact else 1.0)


def fixed_noise(indices: Tensor, shape: list[int]) -> Tensor:
    """Normal noise (B, *shape) that an index (B,) always has, on any device and any number of them."""
    draws = (torch.Generator().manual_seed(index) for index in indices.tolist())
    return torch.stack([torch.randn(shape, generator=one, dtype=torch.float32) for one in draws]).to(indices.device)


class KernelDistance(Metric):
    """The maximum mean discrepancy of pixels (jmlr.org/papers/v13/gretton12a): 0 for samples that are like the images.

    The kernel is `exp(-8 d^2 / m)` of a distance d, where m is the mean d^2 of two images; it sees details that a mean
    and covariance do not have. The estimate of the square is without bias, and what chance makes negative is 0. Time
    and memory grow with the square of the images: `sample_batches` of the models is how many batches there are of them.
    """

    higher_is_better, full_state_update = False, False
    made: list[Tensor]
    real: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("made", "real"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, made: Tensor, real: Tensor) -> None:
        """Takes samples and images, both (B, C, H, W)."""
        self.made.append(made.float().flatten(1))
        self.real.append(real.float().flatten(1))

    def compute(self) -> Tensor:
        made, real = dim_zero_cat(self.made), dim_zero_cat(self.real)
        scale = 2 * real.var(dim=0, correction=0).sum().clamp_min(1e-6)
        mm, rr, mr = (
            (-8 / scale * torch.cdist(a, b).square()).exp() for a, b in ((made, made), (real, real), (made, real))
        )
        pairs = max(1, len(real) * (len(real) - 1))
        square = (mm.sum() - mm.trace() + rr.sum() - rr.trace()) / pairs - 2 * mr.mean()
        return square.clamp_min(0).sqrt()


def draw(images: Tensor, least: int = 64) -> list[Image.Image]:
    """Pictures of images (B, C, H, W), from -1 to 1, of one channel or three, enlarged to `least` pixels or more."""
    scale = -(-least // images.shape[-1])
    large = F.interpolate(images.float(), scale_factor=scale, mode="bicubic") if scale > 1 else images.float()
    pixels = (large * 127.5 + 128).clamp(0, 255).byte().permute(0, 2, 3, 1).squeeze(dim=-1).cpu().numpy()
    return [Image.fromarray(image) for image in pixels]


def tile(images: list[Image.Image], classes: int = 0, gap: int = 4) -> Image.Image:
    """A grid of images, by rows; a column for each class where they are 2 to 16, else about as many as rows."""
    columns = min(classes if 1 < classes <= 16 else round(len(images) ** 0.5), len(images))
    rows, width, height = -(-len(images) // columns), images[0].width + gap, images[0].height + gap
    grid = Image.new(images[0].mode, (columns * width + gap, rows * height + gap), "gray")
    for i, image in enumerate(images):
        grid.paste(image, (gap + i % columns * width, gap + i // columns * height))
    return grid


def rows(made: Tensor, batch: dict, class_names: list[str]) -> dict:
    """What `predict_step` returns of samples (B, C, H, W): a row for each, by number and class, and a grid of all."""
    index, images = batch["index"].tolist(), draw(made)
    asked = [class_names[label] if class_names else "" for label in batch["label"].tolist()]
    inputs = [*(f"sample {i}" for i in index), f"samples {index[0]} to {index[-1]}"]
    return {"input": inputs, "prediction": [*asked, ""], "image": [*images, tile(images, len(class_names))]}
