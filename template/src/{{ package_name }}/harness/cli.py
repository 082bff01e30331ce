# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""LightningCLI with a run folder: one place for configuration, checkpoints, metrics and results."""

import csv
import json
import logging
import re
import warnings
from argparse import ArgumentError
from difflib import get_close_matches
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from ..data import DataModule
from ..model import Model
from . import UserError
from .main import FIRST

# Lightning 2.6 calls what torch 2.15 deprecates; and the run's folder is new, whichever logger came first.
warnings.filterwarnings("ignore", ".*LeafSpec|Experiment logs directory")
logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "Tip:" not in record.msg)
CALLBACKS = {"checkpoint": ModelCheckpoint, "early_stopping": EarlyStopping, "lr_monitor": LearningRateMonitor}
# What the data knows, the model is told: a parameter of the model that is named like a property of
# the datamodule is filled from it, and travels in the checkpoint.
PARAMETERS = signature(Model).parameters
FACTS = [name for name in PARAMETERS if isinstance(getattr(DataModule, name, None), property | cached_property)]
STRICT: Any = {"exit_on_error": False, "allow_abbrev": False}


class CLI(LightningCLI):
    """Parse, run the command, and keep what it found in `run_dir`.

    Raises:
        UserError: for a key, a value, data or a checkpoint that cannot be used.
    """

    trainer: Any

    def __init__(self, run_dir: Path, args: list[str]) -> None:
        self.run_dir = run_dir
        torch.set_float32_matmul_precision("high")  # TF32 on NVIDIA GPUs; nothing changes elsewhere
        try:
            defaults = {"callbacks": LambdaCallback(on_fit_start=self.save_config)}  # once the data is found good
            super().__init__(Model, DataModule, None, trainer_defaults=defaults, parser_kwargs=STRICT, args=args)
        except ArgumentError as error:
            raise UserError(explain(error, list(self._parser(args[0]).get_defaults().keys()))) from error

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, name)
        for name in FACTS:
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        config = parser.parse_args(args)
        options: Any = config[args[0]]
        if args[0] == "fit" and FIRST and self.run_dir.exists():
            raise UserError(f"{self.run_dir} exists: choose another --run, or remove the folder")
        if args[0] != "fit":  # evaluation leaves the training's records as they are
            options.ckpt_path = options.ckpt_path or best_checkpoint(self.run_dir / "checkpoints/last.ckpt")
            options.trainer.logger = False
        self.hparams = load(options.ckpt_path).get("hyper_parameters", {}) if options.ckpt_path else {}
        if unknown := self.hparams.keys() - {*PARAMETERS, "_instantiator"}:
            raise UserError(f"{options.ckpt_path} is of another model: this one has no {', '.join(sorted(unknown))}")
        self.saved_config = re.sub(r"^ckpt_path: .*\n", "", self._parser(args[0]).dump(options), flags=re.MULTILINE)
        text = parser.dump(config).replace("{run_dir}", str(self.run_dir)).replace("{run}", self.run_dir.name)
        self.config = parser.parse_string(text)

    def before_instantiate_classes(self) -> None:
        parser, trainer = self._parser(self.subcommand), self.config[str(self.subcommand)].trainer
        parser.callback_keys = [k for k in CALLBACKS if not trainer.barebones and (trainer.logger or k != "lr_monitor")]

    def after_instantiate_classes(self) -> None:
        for name in FACTS:
            here = self.model.hparams[name]
            if (there := self.hparams.get(name, here)) != here:
                raise UserError(f"the checkpoint was trained with {name} {there!s:.99}, the data has {here!s:.99}")

    def save_config(self, trainer: Any, module: Any) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            (self.run_dir / "config.yaml").write_text(self.saved_config)

    def after_fit(self) -> None:
        if self.trainer.is_global_zero and (best := getattr(self.trainer.checkpoint_callback, "best_model_path", "")):
            print(f"run   {self.run_dir}\nbest  {Path(best).name}")
            print(f"next  {self.parser.prog} test --run {self.run_dir.name}")

    def after_test(self) -> None:
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:
            path = (self.run_dir / str(self.subcommand)).with_suffix(".json")
            path.write_text(json.dumps(self.trainer.callback_metrics, default=float, indent=2) + "\n")
            print(f"saved to {path}")

    after_validate = after_test

    def predict(self, **kwargs) -> None:
        """Write the columns that `predict_step` returns: a row for a sample, a file for a rank."""
        batches: Any = self.trainer.predict(**kwargs)
        columns = [[c.tolist() if isinstance(c, torch.Tensor) else c for c in batch.values()] for batch in batches]
        rank = f"-{self.trainer.global_rank}" if self.trainer.world_size > 1 else ""
        if not self.trainer.fast_dev_run:
            with (path := self.run_dir / f"predictions{rank}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([batches[0], *(r for batch in columns for r in zip(*batch, strict=True))])
            print(f"saved to {path}")


def load(path: str | Path) -> dict:
    """A checkpoint with its tensors left on disk; of fsdp2's folder what is beside them, of DeepSpeed's nothing."""
    file = Path(path) / "meta.pt" if Path(path).is_dir() else Path(path)
    if file != Path(path) and not file.exists():
        return {}
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds
        raise UserError(f"{path} cannot be read: it is missing, cut short, or no checkpoint") from error


def best_checkpoint(last: Path) -> str:
    """The best checkpoint by the record of the last one, or that itself."""
    states = load(last).get("callbacks", {})
    names = [Path(states[key]["best_model_path"]).name for key in states if key.startswith("ModelCheckpoint")]
    return str(next((last.with_name(name) for name in names if last.with_name(name).is_file()), last))


def explain(error: Exception, keys: list[str]) -> str:
    """One line for jsonargparse's many: the key, what it takes, what it got, what was meant."""
    text = re.sub(r"Does not validate .*? Errors: ", "", " ".join(str(error).split()))
    name = re.search(r"(?:arguments: --|option ')([\w.]+)", text)
    close = get_close_matches(name[1], keys, n=1) if name else []
    return f"{text}; " + (f"did you mean {close[0]}?" if close else "`fit --help` lists every key and what it takes")
