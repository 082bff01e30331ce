# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Data loaders that resume exactly, because every random draw has an address.

The order of an epoch depends on (seed, epoch), the augmentation of a sample on (seed, epoch,
index), and the place to resume at comes from the Trainer's progress. So no state is saved, and
neither the number of workers nor that of devices changes what is drawn. Two things are not covered:
a changed `data.batch_size`, and GPU kernels that are not deterministic (`preset/reproducible`).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.accelerators import CUDAAccelerator
from torch.utils.data import DataLoader, Dataset, default_collate, default_convert

from .errors import UserError
from .lightning_internals import KeptSampler, training_position
from .seeding import run_seed, seed_at
from .signals import ignore_signals, kill_workers_at_exit

MAX_DEFAULT_WORKERS = 8
MIN_LAST_BATCH = 2  # samples, which batch norm needs

# (seed, epoch, index of the sample)
Address = tuple[int, int, int]


def make_loader(dataset: Any, data: LightningDataModule, train: bool = False) -> DataLoader:
    """A loader over a dataset.

    Args:
        dataset: a map-style dataset. `in_memory = True` says that reading a sample takes no time.
            A method `__getitems__(indices)` may return a list of samples, as in torch, or a batch
            that needs no collation.
        data: its `hparams.batch_size` is summed over all devices, and `hparams.num_workers` is the
            number of loader processes, or None to choose it.
        train: shuffle in each epoch. A last batch that is less than half full is dropped, since it
            would unsettle batch norm.

    Raises:
        UserError: if the devices cannot share a batch evenly.
    """
    trainer = data.trainer
    workers = number_of_workers(dataset, data)
    sampler = None
    if train:
        sampler = AddressedSampler(dataset, trainer, data.hparams["batch_size"])
    return ResumableLoader(
        AddressedDataset(dataset),
        batch_size=samples_per_rank(data),
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=ignore_signals,
        pin_memory=trainer is not None and isinstance(trainer.accelerator, CUDAAccelerator),
        collate_fn=collate,
    )


def number_of_workers(dataset: Any, data: LightningDataModule) -> int:
    """How many loader processes; by default none for data in memory, else a share of the cores."""
    asked = data.hparams["num_workers"]
    if asked is not None:
        return asked
    if getattr(dataset, "in_memory", False):
        return 0
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    strategy = data.trainer.strategy if data.trainer else None
    processes_here = getattr(strategy, "num_processes", 1)
    return max(1, min(MAX_DEFAULT_WORKERS, cores // processes_here))


def world_of(trainer: Trainer | None) -> tuple[int, int]:
    """The number of ranks, and the global rank of this process; outside of a Trainer (1, 0)."""
    if trainer is None:
        return 1, 0
    return trainer.world_size, trainer.global_rank


def samples_per_rank(data: LightningDataModule) -> int:
    """The number of samples in this rank's part of a batch.

    Raises:
        UserError: if the ranks cannot share it evenly.
    """
    batch_size = data.hparams["batch_size"]
    ranks, _ = world_of(data.trainer)
    if batch_size < 1 or batch_size % ranks:
        raise UserError(
            f"data.batch_size={batch_size} cannot be shared by {ranks} devices;"
            f" use a multiple of {ranks}"
        )
    return batch_size // ranks


class ResumableLoader(DataLoader):
    """A DataLoader that asks its sampler where to resume when the first batch is requested.

    The Trainer makes the iterator before it knows where to resume. `__iter__` is a generator, so
    that its body runs later.

    Raises:
        UserError: in the main process, for one that was raised while a sample was read.
    """

    def __iter__(self) -> Any:
        batches = super().__iter__()
        if self.num_workers > 0:
            kill_workers_at_exit()
        for batch in batches:
            if isinstance(batch, WorkerFailure):
                raise UserError(*batch.lines)
            yield batch

    def state_dict(self) -> dict:
        """Empty, since the Trainer's progress is enough; Lightning warns of loaders without it."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        pass


class AddressedSampler(KeptSampler):
    """Yields the addresses of this rank's samples, from the batch where training is.

    Global batches are cut from the epoch's order before each rank takes its part, so that their
    sequence does not depend on the number of ranks.

    Args:
        dataset: its length is the number of samples.
        trainer: knows the epoch and the batch; None outside of training.
        batch_size: samples per batch, summed over all ranks.
    """

    def __init__(self, dataset: Any, trainer: Trainer | None, batch_size: int) -> None:
        self.trainer = trainer
        self.ranks, self.rank = world_of(trainer)
        self.sample_count = len(dataset)
        samples_for_all_ranks = self.sample_count - self.sample_count % self.ranks
        self.batch_size = min(batch_size, samples_for_all_ranks)
        self.last_batch_size = self.size_of_last_batch()

    def size_of_last_batch(self) -> int:
        """Samples of the last batch if it is incomplete; 0 if it is dropped."""
        rest = self.sample_count % self.batch_size
        if rest < MIN_LAST_BATCH or 2 * rest < self.batch_size:
            return 0
        return rest - rest % self.ranks

    def __len__(self) -> int:
        complete_batches = self.sample_count // self.batch_size
        return (complete_batches * self.batch_size + self.last_batch_size) // self.ranks

    def __iter__(self) -> Iterator[Address]:
        epoch, first_batch = training_position(self.trainer)
        seed = run_seed()
        seed_at(seed, "order", epoch)
        order = torch.randperm(self.sample_count)[: len(self) * self.ranks]
        global_batches = order.split(self.batch_size)
        for batch in global_batches[first_batch:]:
            own_part = batch.tensor_split(self.ranks)[self.rank]
            for index in own_part.tolist():
                yield seed, epoch, index


@dataclass(frozen=True)
class WorkerFailure:
    """Stands in for a batch that could not be read, to carry its error to the main process.

    An exception would arrive as text, with the worker's traceback in front of the message.
    """

    lines: tuple[str, ...]


class AddressedDataset(Dataset):
    """A dataset whose samples are drawn under seeds of their own.

    torch's fetcher calls `__getitems__` with all addresses of a batch, if there is one.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, addresses: list[Address] | list[int]) -> Any:
        """A list of samples, or a whole batch if the dataset makes it at once."""
        try:
            return self.read([with_seed(address) for address in addresses])
        except UserError as error:
            return WorkerFailure(error.args)

    def read(self, addresses: list[Address]) -> Any:
        if hasattr(self.dataset, "__getitems__"):
            seed_at(*addresses[0])  # one seed for the batch: that of its first sample
            return self.dataset.__getitems__([index for _, _, index in addresses])
        samples = []
        for address in addresses:
            seed_at(*address)
            samples.append(self.dataset[address[-1]])
        return samples


def with_seed(address: Address | int) -> Address:
    """The address of a sample; in evaluation, where samplers yield plain indices, its seed is 0."""
    if isinstance(address, tuple):
        return address
    return 0, 0, address


def collate(fetched: Any) -> Any:
    """Collate a list of samples; convert the arrays of a whole batch; pass on a `WorkerFailure`."""
    if isinstance(fetched, list):
        return default_collate(fetched)
    return default_convert(fetched)
