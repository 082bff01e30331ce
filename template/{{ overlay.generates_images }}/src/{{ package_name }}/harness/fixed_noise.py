# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Noise that depends on an index and nothing else."""

import torch
from torch import Tensor


def fixed_noise(indices: Tensor, shape: list[int]) -> Tensor:
    """Normal noise (B, *shape), float32, for indices (B,).

    An index gets the same noise in every batch, on every device, with any number of devices.
    """
    samples = []
    for index in indices.tolist():
        # On the CPU: the same seed gives other numbers on other devices.
        generator = torch.Generator()
        generator.manual_seed(index)
        noise = torch.randn(
            shape,
            generator=generator,
            dtype=torch.float32,
        )
        samples.append(noise)
    return torch.stack(samples).to(indices.device)
