"""The Trainer of every valid combination of answers can be built on a machine of its kind."""

import ast
import logging
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from tests.rendering.combinations import PROJECT_NAME, Combinations, Row
from tests.support.hardware_mocks import HARDWARE, instantiate, machine
from tests.support.template import LOGGERS

CALLBACKS = {
    "checkpoint": ModelCheckpoint,
    "early_stopping": EarlyStopping,
    "lr_monitor": LearningRateMonitor,
}
# Sections that have nothing to do with the Trainer.
OTHER_SECTIONS = ("seed_everything", "model", "data")


@cache
def load(text: bytes) -> dict[str, Any]:
    return yaml.load(text, yaml.CSafeLoader)


class TrainerBuilder:
    """Builds the Trainer that trainer.yaml and base.yaml describe, with the harness's parser.

    Parsing takes far longer than building, and the same parts occur again and again. So each part,
    as text, is parsed once; loggers and callbacks are also built once.
    """

    def __init__(self) -> None:
        self.parser = ArgumentParser(exit_on_error=False)
        self.parser.add_class_arguments(Trainer, "trainer", instantiate=False)
        self.parse = cache(self.parse_options)
        self.loggers = cache(self.build_loggers)
        self.callbacks = cache(self.build_callbacks)

    def build(self, trainer_yaml: bytes, base_yaml: bytes) -> Trainer:
        sections = dict(load(trainer_yaml))
        for name, section in load(base_yaml).items():
            if name not in OTHER_SECTIONS:
                sections[name] = sections.get(name, {}) | section
        options = sections.pop("trainer")
        strategy = options.pop("strategy")
        logger = options.pop("logger")
        values = dict(self.parse(str(options)).trainer)
        values["strategy"] = self.build_strategy(strategy)
        values["logger"] = self.loggers(str({"logger": logger}))
        values["callbacks"] = self.callbacks(str(sections))
        return Trainer(**values)

    def parse_options(self, text: str) -> Namespace:
        return self.parser.parse_object({"trainer": ast.literal_eval(text)})

    def build_strategy(self, strategy: Any) -> Any:
        """A name as it is; an object, which belongs to one Trainer, anew each time."""
        if isinstance(strategy, str):
            return strategy
        parsed = self.parse(str({"strategy": strategy}))
        return instantiate(self.parser, parsed).trainer.strategy

    def build_loggers(self, text: str) -> Any:
        return instantiate(self.parser, self.parse(text)).trainer.logger

    def build_callbacks(self, text: str) -> list[Callback]:
        sections = ast.literal_eval(text)
        parser = ArgumentParser(exit_on_error=False)
        for name in sections:
            parser.add_class_arguments(CALLBACKS[name], name)
        built = instantiate(parser, parser.parse_object(sections))
        return [built[name] for name in sections]


@pytest.mark.slow
def test_every_trainer(
    combinations: Combinations,
    render: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The Trainer of every combination can be built, with its loggers and callbacks."""
    project = render(tmp_path / "all", project_name=PROJECT_NAME, strategy="fsdp2", logger=LOGGERS)
    monkeypatch.syspath_prepend(project / "src")
    monkeypatch.chdir(tmp_path)  # MLflow creates its database at once
    monkeypatch.setenv("WANDB_MODE", "offline")
    rank_zero_logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    monkeypatch.setattr(rank_zero_logger, "disabled", True)
    builder = TrainerBuilder()
    for values in combinations.rows["machine"]:
        with machine(**HARDWARE[values[0]]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for row in combinations.every(("logger", "task")):
                assert_trainer_is_built(combinations, builder, row | {"machine": values})


def assert_trainer_is_built(combinations: Combinations, builder: TrainerBuilder, row: Row) -> None:
    if not combinations.is_valid(row):
        return
    trainer_yaml = content(combinations, "configs/trainer.yaml", row)
    base_yaml = content(combinations, "configs/base.yaml", row)
    trainer = builder.build(trainer_yaml, base_yaml)
    assert len(trainer.loggers) == len(row["logger"][0]), row
    assert {type(callback) for callback in trainer.callbacks} >= set(CALLBACKS.values()), row


def content(combinations: Combinations, path: str, row: Row) -> bytes:
    """What a file contains in the project of a combination."""
    name = path.rpartition("/")[2]
    for source in combinations.sources:
        if source.name.removesuffix(".jinja") == name and combinations.path(source, row) == path:
            return combinations.content(source, row)
    raise FileNotFoundError(path)
