# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""How far generated images are from real ones."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

# Relative to the mean squared distance of two real images. A kernel as narrow as this sees details
# that the mean and the covariance of the pixels do not contain.
KERNEL_SHARPNESS = 8
MIN_SQUARED_DISTANCE = 1e-6  # real images may all be the same


class KernelDistance(Metric):
    """The maximum mean discrepancy of pixels (jmlr.org/papers/v13/gretton12a); 0 is best.

    The kernel is `exp(-8 * d**2 / m)` for two images at distance d, where m is the mean of d**2
    over all pairs of real images. The estimate of the squared discrepancy is unbiased, so chance
    can make it negative; it is 0 then.

    Time and memory grow with the square of the number of images. Models therefore limit the
    batches that they compare, with `sample_batches`.
    """

    higher_is_better = False
    full_state_update = False
    generated: list[Tensor]
    real: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("generated", [], dist_reduce_fx="cat")
        self.add_state("real", [], dist_reduce_fx="cat")

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add generated images and as many real ones, both (B, C, H, W)."""
        self.generated.append(generated.float().flatten(1))
        self.real.append(real.float().flatten(1))

    def compute(self) -> Tensor:
        """The distance of all images added so far, a scalar."""
        generated = dim_zero_cat(self.generated)
        real = dim_zero_cat(self.real)
        variance = real.var(dim=0, correction=0).sum()
        mean_square = 2 * variance.clamp_min(MIN_SQUARED_DISTANCE)
        within_generated = kernel(generated, generated, mean_square)
        within_real = kernel(real, real, mean_square)
        between = kernel(generated, real, mean_square)
        # An image does not pair with itself, so the diagonals are left out.
        total = within_generated.sum() - within_generated.trace()
        total = total + within_real.sum() - within_real.trace()
        pairs = max(1, len(real) * (len(real) - 1))
        squared_discrepancy = total / pairs - 2 * between.mean()
        return squared_discrepancy.clamp_min(0).sqrt()


def kernel(first: Tensor, second: Tensor, mean_square: Tensor) -> Tensor:
    """Similarities (N, M), from 0 to 1, of images (N, D) and images (M, D)."""
    squared_distances = torch.cdist(first, second).square()
    exponents = -KERNEL_SHARPNESS / mean_square * squared_distances
    return exponents.exp()
