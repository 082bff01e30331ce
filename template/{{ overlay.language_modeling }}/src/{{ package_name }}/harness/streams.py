# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Streams that resume exactly: data that is read during training, always in the same sequence.

The sequence of samples is a function of the run's seed. To resume, a stream is read again up to the
batch where training is.
"""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from torch.utils.data import DataLoader, IterableDataset, default_collate, get_worker_info

from .errors import UserError
from .lightning_internals import training_position
from .loaders import ResumableLoader, WorkerFailure, samples_per_rank, world_of
from .seeding import run_seed, seed_at
from .signals import ignore_signals

DEFAULT_WORKERS = 1


def make_stream_loader(dataset: Any, data: LightningDataModule) -> DataLoader:
    """A loader over an endless stream. An epoch is `trainer.limit_train_batches` batches of it.

    Args:
        dataset: has `stream(seed)`, an endless iterator over samples, the same for the same seed.
        data: its `hparams.batch_size` is summed over all devices, and `hparams.num_workers` is the
            number of loader processes, by default 1. Each of them reads the whole stream.

    Raises:
        UserError: if the devices cannot share a batch evenly, or an epoch has no end.
    """
    samples_per_rank(data)  # raises if the ranks cannot share a batch
    workers = data.hparams["num_workers"]
    if workers is None:
        workers = DEFAULT_WORKERS
    return StreamLoader(
        AddressedStream(dataset, data.trainer, data.hparams["batch_size"]),
        batch_size=None,  # the stream yields whole batches
        num_workers=workers,
        worker_init_fn=ignore_signals,
    )


class StreamLoader(ResumableLoader):
    """Tells the stream where training is, before workers receive their copies of the stream."""

    dataset: Any

    def _get_iterator(self) -> Any:  # private to torch, checked with 2.15
        self.dataset.move_to_training_position()
        # torch sets this attribute only if workers are persistent. Lightning looks for it to end
        # the workers when an error ends training.
        self._iterator = super()._get_iterator()
        return self._iterator


class AddressedStream(IterableDataset):
    """This rank's part of each batch of an epoch.

    With several workers, each one reads the whole stream and yields every n-th batch.

    Args:
        dataset: has `stream(seed)`.
        trainer: knows the epoch and the batch; None outside of training.
        batch_size: samples per batch, summed over all ranks.

    Raises:
        UserError: if an epoch has no end.
    """

    def __init__(self, dataset: Any, trainer: Trainer | None, batch_size: int) -> None:
        self.dataset = dataset
        self.trainer = trainer
        self.batch_size = batch_size
        self.seed = run_seed()
        self.ranks, self.rank = world_of(trainer)
        batches_per_epoch = trainer.limit_train_batches if trainer else 1
        if not isinstance(batches_per_epoch, int):
            raise UserError(
                f"trainer.limit_train_batches={batches_per_epoch} must be a number of batches,"
                " since a stream has no end"
            )
        self.batches_per_epoch = batches_per_epoch
        self.first_batch = 0

    def __len__(self) -> int:
        return self.batches_per_epoch

    def __getstate__(self) -> dict[str, Any]:
        """The workers' copies have no trainer, which cannot be copied and which none needs."""
        return self.__dict__ | {"trainer": None}

    def move_to_training_position(self) -> None:
        epoch, finished_batches = training_position(self.trainer)
        self.first_batch = epoch * self.batches_per_epoch + finished_batches

    def __iter__(self) -> Iterator[Any]:
        """Collated batches, or a failure in place of a batch that cannot be read."""
        worker = get_worker_info()
        worker_id = worker.id if worker else 0
        workers = worker.num_workers if worker else 1
        try:
            for number, batch in self.read_batches():
                if (number - self.first_batch) % workers == worker_id:
                    seed_at(self.seed, "batch", number, self.rank)
                    yield default_collate(self.own_part(batch))
        except UserError as error:
            yield WorkerFailure(error.args)

    def read_batches(self) -> Iterator[tuple[int, list]]:
        """Number and samples of each batch, from the first one that training needs."""
        samples = self.dataset.stream(self.seed)
        for number in count():
            batch = list(islice(samples, self.batch_size))
            if number >= self.first_batch:
                yield number, batch

    def own_part(self, batch: list) -> list:
        """The samples of this rank."""
        size = self.batch_size // self.ranks
        return batch[self.rank * size : (self.rank + 1) * size]
