# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Random draws with an address: each depends only on where in training it is made."""

import os
import random
from hashlib import blake2b

import numpy as np
import torch

SEED_BYTES = 8
NUMPY_SEED_MASK = 0xFFFFFFFF  # NumPy's legacy generator takes 32 bits


def run_seed() -> int:
    """The run's seed, from `seed_everything`; Lightning keeps it in the environment."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))


def seed_at(*address: int | str) -> None:
    """Seed torch (CPU, CUDA, MPS), NumPy and Python from a hash of the address.

    Args:
        address: names the draws that follow, such as `(seed, epoch, index)` for a sample.
    """
    digest = blake2b(repr(address).encode(), digest_size=SEED_BYTES).digest()
    seed = int.from_bytes(digest) >> 1  # torch's seeds are signed
    random.seed(seed)
    np.random.seed(seed & NUMPY_SEED_MASK)
    # torch.manual_seed takes a hundred times as long, since it also queues a seed for every device.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
