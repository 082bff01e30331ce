# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""LightningCLI with a run folder: one place for configuration, checkpoints, metrics and results."""

import csv
import json
import logging
import re
import shutil
import warnings
from argparse import ArgumentError
from functools import cached_property
from inspect import signature
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from ..data import DataModule
from ..model import Model
from . import FIRST, UserError, check_range
from .main import Plan, explain, fill
from .runs import Run, best_checkpoint, load, newest_checkpoint

# Lightning 2.6 calls what torch 2.15 deprecates; a run that goes on has checkpoints; the workers share a stream.
warnings.filterwarnings("ignore", ".*LeafSpec|Checkpoint directory .* exists and is not empty|.*has `__len__` defined")
logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda record: "Tip:" not in record.msg)
CALLBACKS = {"checkpoint": ModelCheckpoint, "early_stopping": EarlyStopping, "lr_monitor": LearningRateMonitor}
# What the data knows, the model is told: a parameter of its own that is named like a property of the datamodule.
PARAMETERS = signature(Model).parameters
FACTS = [name for name in PARAMETERS if isinstance(getattr(DataModule, name, None), property | cached_property)]
CHANGEABLE = ["_instantiator", "num_workers", "path", "hub", "predict_path", "compile"]  # while a run goes on
STRICT: Any = {"exit_on_error": False, "allow_abbrev": False}


class CLI(LightningCLI):
    """Parse, run the command, and keep what it found in `run_dir`.

    Raises:
        UserError: for a key, a value, data or a checkpoint that cannot be used.
    """

    trainer: Any
    datamodule: Any

    def __init__(self, plan: Plan) -> None:
        self.plan, self.run_dir = plan, plan.run_dir
        torch.set_float32_matmul_precision("high")  # TF32 on NVIDIA GPUs; nothing changes elsewhere
        fresh = not self.run_dir.exists()
        try:
            super().__init__(Model, DataModule, None, parser_kwargs=STRICT, args=plan.args)
        except ArgumentError as error:
            raise UserError(explain(error, list(self._parser(plan.args[0]).get_defaults().keys()))) from error
        except Exception:
            if fresh and FIRST and not any(self.run_dir.glob("checkpoints/*.ckpt")):
                shutil.rmtree(self.run_dir, ignore_errors=True)  # nothing to go on with
            raise

    def subcommands(self) -> dict[str, set[str]]:  # the one that is called, since each takes its time to set up
        return {self.plan.args[0]: LightningCLI.subcommands()[self.plan.args[0]]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for name, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, name)
        for name in FACTS:
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
        parser.add_argument("--weights", type=str | None, default=None, help="fit: a checkpoint to start from")
        parser.add_argument("--new_head", type=bool, default=False, help="leave out weights of another size")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        config = parser.parse_args(args)
        options, fit = config[args[0]], args[0] == "fit"
        for key, value in vars(options.as_flat()).items():
            if value == "" and key in ("ckpt_path", "weights", "data.path", "data.hub", "data.predict_path"):
                raise UserError(f"--{key} is empty: name a file or folder, or leave it out")
            check_range(key, value)
        if fit and options.ckpt_path:
            raise UserError("fit goes on by --run NAME, or starts from --weights PATH; ckpt_path is for evaluation")
        if fit and options.weights and "pretrained" in options.model:
            options.model.pretrained = False  # those would take the place of these
        self.checkpoint = {}
        if not fit:  # which leaves the training's records as they are
            options.ckpt_path = options.ckpt_path or best_checkpoint(self.run_dir / "checkpoints")
            options.trainer.logger, self.checkpoint = False, load(options.ckpt_path)
        elif not self.plan.restart and not options.trainer.fast_dev_run:
            options.ckpt_path, self.checkpoint = newest_checkpoint(self.run_dir / "checkpoints")
        self.hparams = self.checkpoint.get("hyper_parameters", {})
        if unknown := self.hparams.keys() - {*PARAMETERS, "_instantiator"}:
            raise UserError(f"{options.ckpt_path} is of another model: this one has no {', '.join(sorted(unknown))}")
        for part, there in (("model", self.hparams), ("data", self.checkpoint.get("datamodule_hyper_parameters", {}))):
            for name, value in there.items() if fit else []:
                if name not in CHANGEABLE and (new := options[part].get(name, value)) != value:
                    raise UserError(f"{self.run_dir} has {part}.{name}={value}, not {new}: choose another --run")
        names = {"{id}": token_hex(4), "{run_dir}": str(self.run_dir), "{run}": self.run_dir.name}
        if fit:  # null is recorded as well, since a default may be something else
            saved = re.sub(r"(?m)^ckpt_path: .*\n", "", self._parser("fit").dump(options, "parser_mode", False))
            self.saved_config = f"{self.plan.command}\n{saved}".replace("{id}", names["{id}"])
        self.config = fill(config, names)

    def _parse_ckpt_path(self) -> None:
        """The checkpoint says what the model is, but for what the command line says."""
        said = {"_instantiator", *re.findall(r"--model\.(\w+)", " ".join(self.plan.args))}
        hparams = {name: value for name, value in self.hparams.items() if name not in said}
        if self.plan.args[0] != "fit" and hparams:
            self.config = self.parser.parse_object({self.plan.args[0]: {"model": hparams}}, self.config)

    def before_instantiate_classes(self) -> None:
        data: Any = DataModule  # what is new needs no other data, where its facts are known
        new = self.subcommand == "predict" and self.config.predict.data.get("predict_path")
        data.known = self.hparams if new else None
        parser, trainer = self._parser(self.subcommand), self.config[str(self.subcommand)].trainer
        parser.callback_keys = [k for k in CALLBACKS if not trainer.barebones and (trainer.logger or k != "lr_monitor")]

    def after_instantiate_classes(self) -> None:
        for name in FACTS:
            here = self.model.hparams[name]
            if (there := self.hparams.get(name, here)) != here:
                raise UserError(f"the checkpoint was trained with {name} {there!s:.99}, the data has {here!s:.99}")

    def before_fit(self) -> None:
        if self.trainer.checkpoint_callback and not self.trainer.fast_dev_run:
            run = Run(self.run_dir, self.saved_config, self.checkpoint, self.plan.restart)
            self.trainer.callbacks.insert(0, run)  # what the others log for a step comes after it is saved
            prepare = self.datamodule.prepare_data
            self.datamodule.prepare_data = lambda: (prepare(), run.open(self.trainer))  # the data is good by then
            if self.checkpoint and FIRST:
                print(f"run   {self.run_dir} goes on after step {self.checkpoint['global_step']}")
        if path := self.config.fit.weights if not self.checkpoint else None:
            self.load_weights(path)

    def load_weights(self, path: str) -> None:
        """Start from the weights of a checkpoint, but for those that are missing in it or of another shape."""
        there, own = load(path).get("state_dict", {}), self.model.state_dict()
        same = {name: there[name] for name, w in own.items() if name in there and there[name].shape == w.shape}
        if not same:
            raise UserError(f"{path} is of another model: none of its weights fits this one")
        if new := sorted(own.keys() - same.keys()):
            if not self.config.fit.new_head:
                raise UserError(f"{path} lacks {new[0]}, or its shape differs: add --new_head true to begin it anew")
            print(f"new   {', '.join(new)}")
        self.model.load_state_dict(same, strict=False)

    def after_fit(self) -> None:
        self.after_test()
        best = Path(getattr(self.trainer.checkpoint_callback, "best_model_path", "")).name
        if best and self.trainer.is_global_zero:
            print(f"run   {self.run_dir}\nbest  {best}\nnext  {self.parser.prog} test --run {self.run_dir.name}")

    def after_test(self) -> None:
        metrics = self.trainer.callback_metrics or self.checkpoint.get("metrics", {})  # where nothing was left to do
        bad = [name for name, value in metrics.items() if not abs(value) < float("inf")]
        if bad and self.subcommand == "fit":
            raise UserError(f"training diverged: {bad[0]} is not finite; lower model.lr, or see the README")
        if self.trainer.is_global_zero and self.run_dir.exists() and not self.trainer.fast_dev_run:
            path = (self.run_dir / str(self.subcommand)).with_suffix(".json")
            partial = path.with_suffix(".partial")  # what is there is whole
            partial.write_text(json.dumps(metrics, default=float, indent=2) + "\n")
            print(f"saved to {partial.replace(path)}")

    after_validate = after_test

    def predict(self, **kwargs) -> None:
        self.trainer.callbacks += [] if self.trainer.fast_dev_run else [Table(self.run_dir)]
        self.trainer.predict(**kwargs | {"return_predictions": False})


class Table(Callback):
    """Writes the columns that `predict_step` returns, batch by batch: a row for a sample, a file for a rank.

    A column is a tensor (B, ...) or a list; images in it are saved in `predictions/`, and named in the table.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir, self.images = run_dir, 0

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        self.folder = self.run_dir / ("predictions" + f"-{trainer.global_rank}" * (trainer.world_size > 1))
        shutil.rmtree(self.folder, ignore_errors=True)
        partial = self.folder.with_suffix(".partial")
        self.file = partial.open("w", newline="", encoding="utf-8", errors="surrogateescape")

    def on_predict_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *args: Any, **kwargs: Any) -> None:
        columns = [c.tolist() if isinstance(c, torch.Tensor) else map(self.keep, c) for c in outputs.values()]
        csv.writer(self.file).writerows([outputs] * (not self.file.tell()) + [*zip(*columns, strict=True)])

    def keep(self, cell: Any) -> Any:
        if not hasattr(cell, "save"):
            return cell
        self.folder.mkdir(exist_ok=True)
        self.images += 1
        cell.save(path := self.folder / f"{self.images:05d}.png")
        return path.relative_to(self.run_dir)

    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        self.file.close()
        table = Path(self.file.name).replace(self.folder.with_suffix(".csv"))
        print(f"saved to {table}" + f", with {self.images} images in {self.folder}" * bool(self.images))
