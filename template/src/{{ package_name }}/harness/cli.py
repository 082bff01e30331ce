# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""LightningCLI with a run folder: one place for configuration, checkpoints, metrics and results."""

import csv
import inspect
import json
import re
import shutil
import sys
from argparse import ArgumentError
from collections.abc import Callable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import callbacks
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from ..data import DataModule
from ..model import Model
from . import UserError
from .main import RANK

CALLBACKS = {
    "checkpoint": callbacks.ModelCheckpoint,
    "early_stopping": callbacks.EarlyStopping,
    "lr_monitor": callbacks.LearningRateMonitor,
    "model_summary": callbacks.RichModelSummary,
    "progress_bar": callbacks.RichProgressBar,
}
# What the data knows, the model is told: a parameter of the model that is named like a property of
# the datamodule is filled from it, and travels in the checkpoint.
FACTS = [
    name
    for name in inspect.signature(Model).parameters
    if isinstance(getattr(DataModule, name, None), property | cached_property)
]


def run(run_dir: Path, args: list[str]) -> None:
    """Run the command `args[0]` with the folder `run_dir`.

    Raises:
        UserError: for a key, a value, data or a checkpoint that cannot be used.
    """
    fresh = not run_dir.exists()
    torch.set_float32_matmul_precision("high")  # TF32 on NVIDIA GPUs; nothing changes elsewhere
    try:
        CLI(run_dir, args)
    except UserError:
        if fresh and RANK == 0:
            shutil.rmtree(run_dir, ignore_errors=True)  # leave nothing half-written
        raise


class CLI(LightningCLI):
    """Parse, fill in the run's folder, run the command, and write what it found."""

    def __init__(self, run_dir: Path, args: list[str]) -> None:
        self.run_dir = run_dir
        kwargs = {"exit_on_error": False, "allow_abbrev": False}
        # A logger's folder is not the run's, so `before_fit` saves the configuration instead.
        super().__init__(Model, DataModule, save_config_callback=None, parser_kwargs=kwargs, args=args)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, name)
        for name in FACTS:
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            keys = self._parser(args[0]).get_defaults().keys()
            raise UserError(explain(str(error), list(keys))) from error
        options = self.config[self.config.subcommand]
        if args[0] != "fit":
            options.ckpt_path = options.ckpt_path or best_checkpoint(self.run_dir)
        elif RANK == 0 and self.run_dir.exists():
            raise UserError(f"{self.run_dir} exists: choose another --run, or remove the folder")
        self.hparams = load(options.ckpt_path)["hyper_parameters"] if options.ckpt_path else {}

    def _parse_ckpt_path(self) -> None:
        try:
            super()._parse_ckpt_path()  # the checkpoint's hyperparameters win over the files'
        except ArgumentError as error:
            raise UserError(f"the checkpoint is another model's: {explain(str(error), [])}") from error

    def before_instantiate_classes(self) -> None:
        options = self.config[self.subcommand]
        self.saved_config = self._parser(self.subcommand).dump(options)
        fill(options, {"{run}": self.run_dir.name, "{run_dir}": str(self.run_dir)})
        wanted = list(CALLBACKS)
        if self.subcommand != "fit":  # evaluation leaves the training's records as they are
            options.trainer.update({"logger": False, "enable_checkpointing": False})
            wanted = ["progress_bar"]
        if options.trainer.barebones:
            wanted = []
        elif not options.trainer.logger:
            wanted.remove("lr_monitor")
        self._parser(self.subcommand).callback_keys = wanted

    def after_instantiate_classes(self) -> None:
        for name in FACTS:
            here = self.model.hparams[name]
            if self.hparams.get(name, here) != here:
                raise UserError(f"the checkpoint was trained with {name} {self.hparams[name]}, the data has {here}")

    def before_fit(self) -> None:
        if RANK == 0 and not self.trainer.fast_dev_run:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            (self.run_dir / "config.yaml").write_text(self.saved_config)

    def after_fit(self) -> None:
        checkpoint = self.trainer.checkpoint_callback
        if RANK == 0 and checkpoint and checkpoint.best_model_path:
            print(f"run   {self.run_dir}")
            print(f"best  {checkpoint.best_model_path}")
            print(f"next  {Path(sys.argv[0]).name} test --run {self.run_dir.name}")

    def validate(self, **kwargs: Any) -> None:
        self.evaluate(self.trainer.validate, kwargs)

    def test(self, **kwargs: Any) -> None:
        self.evaluate(self.trainer.test, kwargs)

    def evaluate(self, method: Callable, kwargs: dict[str, Any]) -> None:
        metrics = method(**kwargs)[0]
        if RANK == 0:
            path = self.run_dir / f"{self.subcommand}.json"
            path.write_text(json.dumps(metrics, indent=2) + "\n")
            print(f"saved to {path}")

    def predict(self, **kwargs: Any) -> None:
        """Write the columns that `predict_step` returns: a row for each sample, a file for each rank."""
        batches = self.trainer.predict(**kwargs)
        rows = [row for batch in batches for row in zip(*map(as_list, batch.values()), strict=True)]
        suffix = f"-{RANK}" if self.trainer.world_size > 1 else ""
        path = self.run_dir / f"predictions{suffix}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([list(batches[0]), *rows])
        print(f"saved {len(rows)} predictions to {path}")


def fill(config: Namespace, values: dict[str, str]) -> None:
    """Replace the keys of `values` in every string of a parsed configuration."""
    for key, value in list(config.items()):
        if isinstance(value, list):
            for item in value:
                if isinstance(item, Namespace):
                    fill(item, values)
        elif isinstance(value, str):
            config[key] = re.sub(r"\{run(_dir)?\}", lambda match: values[match[0]], value)


def as_list(column: Any) -> list[Any]:
    return column.tolist() if isinstance(column, torch.Tensor) else list(column)


def best_checkpoint(run_dir: Path) -> str:
    """The best checkpoint of a run by its own record, else its last."""
    last = run_dir / "checkpoints" / "last.ckpt"
    callbacks = {} if last.is_dir() else load(last)["callbacks"]
    best = [s["best_model_path"] for key, s in callbacks.items() if key.startswith("ModelCheckpoint")]
    path = last.with_name(Path(*best).name)
    return str(path if path.is_file() else last)


def load(path: str | Path) -> dict[str, Any]:
    """Read what stands beside the weights; a sharded checkpoint is a folder, and not looked into."""
    if Path(path).is_dir():
        return {"hyper_parameters": {}}
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; train one with `fit`") from error
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise UserError(f"{path} cannot be read: it is no checkpoint, or cut short") from error


def explain(message: str, keys: list[str]) -> str:
    """One line for jsonargparse's many: the key, what it takes, what it got, what was meant."""
    message = " ".join(message.split())
    if found := re.search(r"unrecognized arguments: (?:--)?([^\s=]+)|accept option '(.+?)'", message):
        key = found[1] or found[2]
        close = get_close_matches(key, keys, n=1)
        return f"unknown key {key}; " + (f"did you mean {close[0]}?" if close else "see `fit --help`")
    key = re.search(r'[Kk]ey "(.+?)"', message)
    types = re.findall(r"Expected an? <class '(.+?)'>", message)
    value = re.search(r"(?:Given value|Got value): (.+)$", message)
    if key and types and value and "class_path" not in message:
        return f"{key[1]} takes {' or '.join(types)}, got {value[1]}".replace("NoneType", "null")
    return message
