# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Data that is read as it goes, at addresses: a stream is continued by reading up to where it was."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from . import UserError
from .loaders import Loader, ignore_signals, place, ranks_of, run_seed, seed_at, share_of_batch


def make_stream_loader(dataset: Any, data: Any) -> DataLoader:
    """A loader over a dataset with `stream(seed)`, an endless iterator over samples.

    An epoch is `trainer.limit_train_batches` batches of it.

    Args:
        dataset: as said.
        data: the LightningDataModule; its `hparams.batch_size` is of a step, over all ranks, and its
            `hparams.num_workers` read ahead, by default one: each of them reads all of the stream.

    Raises:
        UserError: for a batch that the ranks cannot share, or an epoch without an end.
    """
    workers = data.hparams.num_workers
    return StreamLoader(
        AddressedStream(dataset, data.trainer, data.hparams.batch_size),
        batch_size=share_of_batch(data),
        num_workers=1 if workers is None else workers,
        worker_init_fn=ignore_signals,
    )


class StreamLoader(Loader):
    """Tells the workers of an epoch where it starts."""

    dataset: Any

    def __iter__(self) -> Any:
        self.dataset.locate()
        self._iterator = self._get_iterator()  # where the Trainer looks for workers to end when all ends with an error
        yield from self._iterator


class AddressedStream(IterableDataset):
    """An epoch's part of a stream: every worker reads all of it, and keeps this rank's share of its own batches."""

    def __init__(self, dataset: Any, trainer: Any, size: int) -> None:
        self.dataset, self.trainer, self.size, self.seed = dataset, trainer, size, run_seed()
        self.ranks, self.rank = ranks_of(trainer)
        self.batches = trainer.limit_train_batches if trainer else 1
        if not isinstance(self.batches, int):
            raise UserError(
                f"a stream has no end: trainer.limit_train_batches={self.batches} is to be a number of batches"
            )

    def __len__(self) -> int:
        return self.batches * self.size // self.ranks

    def __getstate__(self) -> dict:
        return self.__dict__ | {"trainer": None}  # which no worker needs

    def locate(self) -> None:
        epoch, start = place(self.trainer)
        self.first = epoch * self.batches + start

    def __iter__(self) -> Iterator:
        worker, share = get_worker_info(), self.size // self.ranks
        mine, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        samples = self.dataset.stream(self.seed)
        for number in count():
            batch = list(islice(samples, self.size))
            if number >= self.first and (number - self.first) % workers == mine:
                seed_at(self.seed, "batch", number, self.rank)
                yield from batch[self.rank * share : (self.rank + 1) * share]
