# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Data loaders whose workers and pinning fit the data and the accelerator."""

import os
from typing import Any

from lightning.pytorch.accelerators import CUDAAccelerator
from torch.utils.data import DataLoader, default_convert


def make_loader(dataset: Any, data: Any, train: bool = False) -> DataLoader:
    """A loader over a dataset; where that has `__getitems__(indices)`, it returns whole batches.

    Args:
        dataset: says by `in_memory` whether reading a sample takes time.
        data: the LightningDataModule. Its `hparams.batch_size` is for each process; its
            `hparams.num_workers` read ahead. None: one for each core, shared among the ranks of the
            machine and at most 8; none for data in memory, where they would only cost.
        train: shuffle, and drop a last batch that is not full, which would unsettle batch norm.
    """
    trainer, workers, size = data.trainer, data.hparams.num_workers, data.hparams.batch_size
    if workers is None:
        ranks = getattr(trainer and trainer.strategy, "num_processes", 1)
        workers = 0 if dataset.in_memory else max(1, min(8, (os.cpu_count() or 1) // ranks))
    return DataLoader(
        dataset,
        batch_size=size,
        shuffle=train,
        drop_last=train and len(dataset) >= size * getattr(trainer, "world_size", 1),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=isinstance(trainer and trainer.accelerator, CUDAAccelerator),  # it helps CUDA alone
        collate_fn=default_convert if hasattr(dataset, "__getitems__") else None,
    )
