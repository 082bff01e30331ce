# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Data loaders whose every random draw has an address, so that a run can be continued exactly.

The order of an epoch is a function of (seed, epoch), a sample's augmentation of (seed, epoch, index),
and where to go on comes from the Trainer's progress: no state is saved, and neither workers,
prefetching nor the number of ranks make a difference. Not covered: a changed `data.batch_size`,
which counts the samples of a step over all ranks, and GPU kernels without `preset/reproducible`.
"""

import os
import random
import signal
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from torch.utils.data import DataLoader, Dataset, DistributedSampler, default_collate, default_convert

from . import UserError

# What asks a run to stop; Windows has no SIGUSR1, which clusters send first.
SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name)]


def seed_at(*address: int | str) -> None:
    """Seed torch (CPU, CUDA, MPS), NumPy and Python from a hash of the address, the same on every machine."""
    seed = int.from_bytes(blake2b(repr(address).encode(), digest_size=8).digest()) >> 1
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a hundred times as long
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def run_seed() -> int:
    """What `seed_everything` was given."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))


def make_loader(dataset: Any, data: Any, train: bool = False) -> DataLoader:
    """A loader over a dataset; where that has `__getitems__(indices)`, it returns whole batches.

    Args:
        dataset: says by `in_memory` whether reading a sample takes time.
        data: the LightningDataModule. Its `hparams.batch_size` is of a step, over all ranks; its
            `hparams.num_workers` read ahead. None: one for each core, shared among the ranks of the
            machine and at most 8; none for data in memory, where they would only cost.
        train: in an order of its own for each epoch, without a last batch that is not half full,
            which would unsettle batch norm.

    Raises:
        UserError: for a batch that the ranks cannot share.
    """
    trainer, workers = data.trainer, data.hparams.num_workers
    if workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        sharing = getattr(trainer and trainer.strategy, "num_processes", 1)
        workers = 0 if dataset.in_memory else max(1, min(8, cores // sharing))
    return Loader(
        Addressed(dataset),
        batch_size=share_of_batch(data),
        sampler=AddressedSampler(dataset, trainer, data.hparams.batch_size) if train else None,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=ignore_signals,
        pin_memory=isinstance(trainer and trainer.accelerator, CUDAAccelerator),  # it helps CUDA alone
        collate_fn=default_convert if hasattr(dataset, "__getitems__") else default_collate,
    )


def ranks_of(trainer: Any) -> tuple[int, int]:
    """How many ranks there are, and which one this is."""
    return (trainer.world_size, trainer.global_rank) if trainer else (1, 0)


def share_of_batch(data: Any) -> int:
    """The samples of a step that are this rank's; a UserError where the ranks cannot share them evenly."""
    size, (ranks, _) = data.hparams.batch_size, ranks_of(data.trainer)
    if size < 1 or size % ranks:
        raise UserError(f"data.batch_size={size} cannot be shared by {ranks} devices: use a multiple of {ranks}")
    return size // ranks


class Loader(DataLoader):
    """Starts at the first batch that is asked for: the Trainer makes an iterator before it knows where it is."""

    def __iter__(self) -> Any:
        yield from super().__iter__()

    def state_dict(self) -> dict:
        return {}  # says that it can be continued; the Trainer's progress is all it needs

    def load_state_dict(self, state: dict) -> None: ...


class AddressedSampler(DistributedSampler):  # a kind that Lightning does not replace
    """Addresses (seed, epoch, index) of this rank's share of the epoch's batches, from the Trainer's place on."""

    def __init__(self, dataset: Any, trainer: Any, size: int) -> None:
        self.trainer, (self.ranks, self.rank) = trainer, ranks_of(trainer)
        self.count = len(dataset)
        self.size = min(size, self.count - self.count % self.ranks)
        rest = self.count % self.size
        self.rest = rest - rest % self.ranks if 2 * rest >= max(self.size, 3) else 0

    def __len__(self) -> int:
        return (self.count // self.size * self.size + self.rest) // self.ranks

    def __iter__(self) -> Iterator:
        epoch, start = place(self.trainer)
        seed_at(run_seed(), "order", epoch)
        order = torch.randperm(self.count)[: len(self) * self.ranks].split(self.size)[start:]  # global batches
        share = [index for batch in order for index in batch.tensor_split(self.ranks)[self.rank].tolist()]
        return ((run_seed(), epoch, index) for index in share)


def place(trainer: Any) -> tuple[int, int]:
    """The epoch, and how many of its batches are done."""
    if trainer is None or not trainer.training:
        return 0, 0
    return trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.ready


class Addressed(Dataset):
    """A dataset whose samples are drawn under their own seeds."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, addresses: list) -> Any:
        places = [address if isinstance(address, tuple) else (0, 0, address) for address in addresses]
        if hasattr(self.dataset, "__getitems__"):  # a whole batch is drawn at once, under its first seed
            seed_at(*places[0])
            return self.dataset.__getitems__([index for *_, index in places])
        return [seed_at(*place) or self.dataset[place[-1]] for place in places]


def ignore_signals(worker: int) -> None:
    """A signal to the whole group is answered by the ranks, which still need their workers then."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
