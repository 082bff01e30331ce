"""Any dataset that the configuration names. Yours: updates of the template leave it alone."""

from functools import cached_property
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, IterableDataset, default_collate

from .harness import Faults, UserError, cut, note_imbalance, note_leaks
from .harness.loaders import make_loader
from .harness.objects import Samples, attempt, make, read_samples


class DataModule(LightningDataModule):
    """A `torch.utils.data.Dataset` as it is, or any object with `__len__` and `__getitem__`.

    A split that has arguments of its own is a dataset of its own; the others are cut from `train`.

    Args:
        dataset: a class or function that makes one, named as model.network is.
        dataset_args: its arguments.
        train_args: laid over them for training, and for what is cut from it.
        eval_args: laid over these for what is not trained on, such as `{augment: false}`.
        val_args: laid over these for validation; default: cut from `train`.
        test_args: the same for `test`.
        predict_args: the same for what to predict; default: the test split.
        inputs: indices or keys of a sample's parts, in the order in which the network takes them;
            default: all but the target.
        target: index or key of the part that the loss takes; default: the last.
        check: how many samples of a split are read before training, evenly spread; 0: none.
        batch_size: samples of a step, over all devices.
        val_fraction: share of the samples that is cut from `train`.
        test_fraction: the same for `test`.
        split_seed: of the cuts.
        folds: cut `test` as one of so many parts instead; 0: as a share.
        fold: which of them, from 0.
        num_workers: loader processes; default: to fit the machine.

    Raises:
        UserError: for a dataset that cannot be used, when it is made or read.
    """

    hparams: Any

    def __init__(
        self,
        dataset: str = ".toy.Moons",
        dataset_args: dict[str, Any] | None = None,
        train_args: dict[str, Any] | None = None,
        eval_args: dict[str, Any] | None = None,
        val_args: dict[str, Any] | None = None,
        test_args: dict[str, Any] | None = None,
        predict_args: dict[str, Any] | None = None,
        inputs: list[int | str] | None = None,
        target: int | str | None = None,
        check: int = 10_000,
        batch_size: int = 64,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        folds: int = 0,
        fold: int = 0,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    @cached_property
    def splits(self) -> dict[str, Samples]:
        hp, faults, made = self.hparams, Faults(), {}
        given = [name for name in ("val", "test", "predict") if hp[f"{name}_args"] is not None]
        for name in ("train", "val", "test", *(["predict"] if "predict" in given else [])):
            keys = ["dataset_args"] + ["train_args"] * (name not in given) + ["eval_args"] * (name != "train")
            layers = [hp[key] or {} for key in [*keys, *[f"{name}_args"] * (name in given)]]
            with faults, attempt(f"data.dataset={hp.dataset} cannot be used for {name}"):
                made[name] = make(hp.dataset, "data.dataset", {k: v for layer in layers for k, v in layer.items()})
                if isinstance(made[name], IterableDataset) or not hasattr(made[name], "__len__"):
                    raise UserError(f"data.dataset={hp.dataset} is no Dataset with a length; streams cannot be cut")
                if not len(made[name]):
                    raise UserError(f"data.dataset={hp.dataset} has no samples for {name}: see data.{name}_args")
        faults.refuse()
        for name in [name for name in ("val", "test") if name not in given]:  # the same samples, perhaps seen otherwise
            if len(made[name]) != len(made["train"]):
                sizes = f"{len(made['train'])} samples for train and {len(made[name])} for {name}"
                faults.append(f"data.dataset={hp.dataset} has {sizes}, of which none can be cut: set data.{name}_args")
        faults.refuse()
        indices = cut([0] * len(made["train"]), given, hp) | {name: range(len(made[name])) for name in given}
        return {name: Samples(dataset, list(indices[name]), hp) for name, dataset in made.items()}

    def prepare_data(self) -> None:
        """Read samples, and bring two through the network and the loss: mistakes are said all at once."""
        hp, faults, splits = self.hparams, Faults(), {} if self.hparams.check < 1 else self.splits
        forms, contents, labels = {}, {}, {}
        for name, samples in splits.items():
            usual = "" if hp[f"{name}_args"] is not None else forms.get("train", "")  # a dataset may have its own form
            forms[name], contents[name], labels[name] = read_samples(name, samples, hp.check, faults, usual)
        with faults, attempt("samples of train make no batch"):
            if splits and contents["train"]:
                self.rehearse(sorted(contents["train"], key=lambda i: abs(labels["train"].get(i, 0))), labels, faults)
        note_imbalance([label for label in labels.get("train", {}).values() if label >= 0])
        note_leaks({n: {f"{n}[{i}]": found for i, found in part.items()} for n, part in contents.items()})
        faults.refuse()

    def rehearse(self, indices: list[int], labels: dict[str, dict[int, int]], faults: Faults) -> None:
        """Bring samples of `train` through the network and the loss, and hold all labels against its outputs."""
        samples, model = Samples(self.splits["train"].dataset, indices, self.hparams), self.model
        ends = [[samples[i] for i in range(len(indices))[part]] for part in (slice(2), slice(-2, None))]
        first, last = [self.on_before_batch_transfer(default_collate(end), 0) for end in ends]
        classes = model.rehearse(first) or model.rehearse(last)
        for name, found in labels.items() if classes else []:
            wrong = [i for i, label in found.items() if label != -100 and not 0 <= label < classes]
            rule = f"is no class from 0 to {classes - 1}, which the outputs are of; correct it, or model.network_args"
            more = f" (and {len(wrong) - 1} more)" * (len(wrong) > 1)
            faults += [f"{name}[{i}]: target {found[i]} {rule}{more}" for i in wrong[:1]]

    @property
    def model(self) -> Any:
        trainer: Any = self.trainer
        return trainer.lightning_module

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """NumPy's float64 becomes what the weights are, float32 as a rule; the Trainer sees to what is shorter."""
        kind = self.model.dtype
        return tree_map(lambda x: x.to(kind) if isinstance(x, Tensor) and x.dtype == torch.float64 else x, batch)

    def train_dataloader(self) -> DataLoader:
        return make_loader(self.splits["train"], self, train=True)

    def val_dataloader(self) -> DataLoader:
        return make_loader(self.splits["val"], self)

    def test_dataloader(self) -> DataLoader:
        return make_loader(self.splits["test"], self)

    def predict_dataloader(self) -> DataLoader:
        return make_loader(self.splits.get("predict", self.splits["test"]), self)
