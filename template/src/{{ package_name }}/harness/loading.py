# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Data loaders whose workers and pinning fit the data and the accelerator."""

import os
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CUDAAccelerator
from torch.utils.data import DataLoader, Dataset


def make_loader(
    dataset: Dataset,
    batch_size: int,
    trainer: Trainer | None,
    workers: int | None,
    train: bool = False,
) -> DataLoader:
    """A loader over a dataset that returns a whole batch from `__getitems__(indices)`.

    Args:
        dataset: has `in_memory`; samples that are not in memory are read by worker processes.
        batch_size: samples per process.
        trainer: tells the accelerator: pinned memory helps CUDA alone.
        workers: processes that read ahead; None takes one per core, at most 8, shared among the
            ranks of this machine, and none for data in memory, where they only cost.
        train: shuffle, and drop a last batch that is not full, which would unsettle batch norm.
    """
    if workers is None:
        ranks = trainer.strategy.num_processes if hasattr(trainer.strategy, "num_processes") else 1
        workers = 0 if dataset.in_memory else max(1, min(8, (os.cpu_count() or 1) // ranks))
    return DataLoader(
        dataset,
        batch_size=batch_size,
        shuffle=train,
        drop_last=train and len(dataset) >= batch_size,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=trainer is not None and isinstance(trainer.accelerator, CUDAAccelerator),
        collate_fn=identity,
    )


def identity(batch: Any) -> Any:
    return batch
