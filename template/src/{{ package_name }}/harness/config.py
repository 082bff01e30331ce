# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The configuration: LightningCLI's parser, and our options."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from jsonargparse import ArgumentError, Namespace
from jsonargparse.typing import register_type
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ProgressBar,
)
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from .callbacks.finite_checkpoint import FiniteCheckpoint
from .callbacks.progress_bar import NarrowProgressBar
from .callbacks.time_limit import TimeLimit
from .errors import ErrorCollector, UserError
from .lightning_internals import INSTANTIATOR
from .messages import program_name
from .ranges import Range, range_error, range_errors

# Callbacks with their own section in the configuration, so that a single key can be overridden.
CALLBACK_SECTIONS = {
    "checkpoint": FiniteCheckpoint,
    "early_stopping": EarlyStopping,
    "lr_monitor": LearningRateMonitor,
}
# Parameters that may change when a run resumes: they do not change the result, or they say where
# the same data is now.
CHANGEABLE_ON_RESUME = {"num_workers", "path", "hub", "predict_path", "compile"}
# Ranges of Lightning's own options, whose signatures do not state them.
LIGHTNING_RANGES = {
    "seed_everything": Range(min=0),
    "trainer.accumulate_grad_batches": Range(min=1),
}
# How jsonargparse writes a value that it cannot write.
NOT_WRITTEN = "Unable to serialize instance"
NEEDS_A_VALUE = ("ckpt_path", "weights", "data.path", "data.hub", "data.predict_path")

# Written into config.yaml as "cpu" or "cuda:1".
register_type(torch.device, fail_already_registered=False)


class DeferredCLI(LightningCLI):
    """LightningCLI that parses when it is made, and builds when a command calls `build`.

    In between, a command adapts `config`: it chooses a checkpoint and fills in placeholders.

    Args:
        model_class: a LightningModule. Its parameters named like a property of `data_class`, such
            as `class_names`, are facts: they are filled in from the data.
        data_class: a LightningDataModule.
        words: the command line, with each layer of the configuration as `--config=FILE`.
        command: its name, for messages.

    Raises:
        UserError: for an unknown key, a wrong type, or a number outside its range.
    """

    trainer: Any  # connectors set its attributes, which type checkers do not see
    config_init: Any  # `config`, with the objects that were built from it
    model: LightningModule
    datamodule: LightningDataModule

    def __init__(
        self,
        model_class: type[LightningModule],
        data_class: type[LightningDataModule],
        words: list[str],
        command: str,
    ) -> None:
        self.facts = fact_names(model_class, data_class)
        super().__init__(
            model_class,
            data_class,
            save_config_callback=None,
            parser_kwargs={
                "prog": f"{program_name()} {command}",
                "exit_on_error": False,
                "allow_abbrev": False,
            },
            args=words,
            run=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for section, callback in CALLBACK_SECTIONS.items():
            parser.add_lightning_class_args(callback, section)
        for name in self.facts:
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
        parser.add_argument(
            "--weights", type=str | None, default=None, help="fit: a checkpoint to start from"
        )
        parser.add_argument(
            "--new_head", type=bool, default=False, help="fit: leave out weights of another size"
        )
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            default=None,
            help="validate, test, predict: the checkpoint to use (default: the run's best)",
        )
        parser.add_argument(
            "--weights_only",
            type=bool | None,
            default=None,
            help="how torch.load reads the checkpoint (default: weights only)",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            raise UserError(explain(error, list(parser.get_defaults().keys()))) from error
        self.check_values()

    def check_values(self) -> None:
        """Raise one `UserError` for all values that have the right type but cannot be used."""
        config = self.config
        errors = ErrorCollector()
        for key in NEEDS_A_VALUE:
            if config.get(key) == "":
                errors.append(f"--{key} is empty; name a file or folder, or leave the option out")
        for key, allowed in LIGHTNING_RANGES.items():
            errors += range_error(key, config[key], allowed)
        errors += range_errors("model", self.model_class.__init__, config.model)
        errors += range_errors("data", self.datamodule_class.__init__, config.data)
        errors.raise_if_any()

    def instantiate_classes(self) -> None:
        """Build nothing when LightningCLI's constructor calls this; `build` does it later."""

    def build(self, known_facts: Mapping[str, Any] | None = None) -> None:
        """Make `datamodule`, `model` and `trainer` from `config`.

        Args:
            known_facts: a checkpoint's hyperparameters, with which new data can be predicted
                without the training data. They are set as `data_class.known` if the class has
                that attribute; the instance would be too late, since the parser reads the facts
                as soon as it has built the data.

        Raises:
            UserError: for an error that the data finds when its facts are read.
        """
        data_class: Any = self.datamodule_class
        if hasattr(data_class, "known"):
            data_class.known = known_facts
        self.parser.callback_keys = self.callback_sections()
        super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Add our progress bar, unless the configuration disables it or has another.

        The time limit is ours as well, which Lightning would add for `max_time`.
        """
        options = self.config_init.trainer
        callbacks: list[Callback] = []
        if options.max_time is not None and self.keeps_checkpoints():
            callbacks.append(TimeLimit(options.max_time))
            options.max_time = None
        wants_bar = options.enable_progress_bar and not options.barebones
        if wants_bar and not has_progress_bar(options.callbacks):
            callbacks.append(NarrowProgressBar())
        self.trainer_defaults["callbacks"] = callbacks
        return super().instantiate_trainer(**kwargs)

    def keeps_checkpoints(self) -> bool:
        """Whether the run can be resumed."""
        trainer = self.config.trainer
        is_for_debugging = trainer.barebones or trainer.fast_dev_run
        return trainer.enable_checkpointing is not False and not is_for_debugging

    def callback_sections(self) -> list[str]:
        """The callback sections to build; certain Trainer options do not allow all of them."""
        trainer = self.config.trainer
        if trainer.barebones:
            return []
        sections = list(CALLBACK_SECTIONS)
        if trainer.enable_checkpointing is False:
            sections.remove("checkpoint")
        if not trainer.logger:
            sections.remove("lr_monitor")
        return sections

    def use_hyperparameters(self, hyperparameters: Mapping[str, Any], words: list[str]) -> None:
        """Use the checkpoint's hyperparameters, except those given as `--model.KEY`."""
        overridden = set(re.findall(r"--model\.(\w+)", " ".join(words)))
        kept = {}
        for name, value in hyperparameters.items():
            if name != INSTANTIATOR and name not in overridden:
                kept[name] = value
        if kept:
            self.config = self.parser.parse_object({"model": kept}, self.config)

    def recorded_config(self) -> str:
        """The resolved configuration as YAML, with `null` where a default is overridden by it.

        Raises:
            UserError: if the text does not say what the configuration is, so that no run could be
                resumed with it.
        """
        text = self.dump(self.config)
        unwritable = re.search(rf"^.*{NOT_WRITTEN}.*$", text, re.MULTILINE)
        if unwritable:
            raise UserError(
                f"a value of the configuration cannot be recorded: {unwritable[0].strip()};"
                " write it as text or a number, so that the run can be resumed"
            )
        try:
            read_back = self.dump(self.parser.parse_string(text))
        except ArgumentError as error:
            raise UserError(
                f"the configuration could not be read back to resume the run: {one_line(error)}"
            ) from error
        if read_back != text:
            changed = first_difference(text, read_back)
            raise UserError(
                f"the configuration changes when the run is resumed: {changed}; override this value"
            )
        return text

    def dump(self, config: Namespace) -> str:
        config = config.clone()
        del config["ckpt_path"]
        skip_unset = False  # positional, since it was called skip_none before jsonargparse 4.49
        return self.parser.dump(config, "parser_mode", skip_unset)


def fact_names(
    model_class: type[LightningModule], data_class: type[LightningDataModule]
) -> list[str]:
    """The model's parameters that are filled in from the data: it has a property of that name."""
    names = []
    for name in signature(model_class).parameters:
        attribute = getattr(data_class, name, None)
        if isinstance(attribute, property | cached_property):
            names.append(name)
    return names


def has_progress_bar(callbacks: list[Callback] | Callback | None) -> bool:
    """Whether the callbacks of a configuration, which may be a single one, have a progress bar."""
    if callbacks is None:
        return False
    if isinstance(callbacks, Callback):
        return isinstance(callbacks, ProgressBar)
    return any(isinstance(callback, ProgressBar) for callback in callbacks)


def explain(error: Exception, keys: list[str]) -> str:
    """jsonargparse's error in one line, with the key that was probably meant."""
    text = one_line(error)
    text = re.sub(r"Does not validate .*? Errors: ", "", text)
    named = re.search(r"(?:arguments: --|option ')([\w.]+)", text)
    close = get_close_matches(named[1], keys, n=1) if named else []
    if close:
        return f"{text}; did you mean {close[0]}?"
    return f"{text}; `fit --help` lists every key and its type"


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def first_difference(text: str, other: str) -> str:
    """The first line of a text that the other one has differently."""
    for line, other_line in zip(text.splitlines(), other.splitlines(), strict=False):
        if line != other_line:
            return f"{line.strip()} becomes {other_line.strip()}"
    return "lines are missing"
