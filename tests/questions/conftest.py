"""The questionnaire, and the Trainer that the answers about the machine describe."""

import logging
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import Strategy

from tests.support.hardware_mocks import instantiate
from tests.support.in_memory_copier import MACHINE_QUESTIONS, InMemoryCopier

PACKAGE = "rules_lab"
# Parts of a Trainer that have nothing to do with the machine.
WITHOUT = dict.fromkeys(
    ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
)


@pytest.fixture(scope="module")
def questionnaire(template: Path) -> InMemoryCopier:
    """All questions."""
    return InMemoryCopier(template)


@pytest.fixture(scope="module")
def machine_questions(template: Path) -> InMemoryCopier:
    """The questions about the machine alone."""
    return InMemoryCopier(template, only=MACHINE_QUESTIONS)


@pytest.fixture(scope="module")
def make_trainer(
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    render: Callable[..., Path],
) -> Iterator[Callable[[dict[str, Any]], Trainer]]:
    """`make_trainer(answers)` builds the Trainer that trainer.yaml describes for these answers."""
    folder = tmp_path_factory.mktemp("rules")
    project = render(folder, project_name=PACKAGE, strategy="fsdp2")
    trainer_yaml = InMemoryCopier(template).jinja_env.get_template(
        "template/configs/trainer.yaml.jinja"
    )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--strategy", type=Strategy)

    @cache
    def parse(text: str) -> Any:
        return parser.parse_object({"strategy": yaml.safe_load(text)})

    def build(answers: dict[str, Any]) -> Trainer:
        names = {"package_name": PACKAGE, "project_slug": PACKAGE}
        text = trainer_yaml.render(answers, logger=[], **names)
        options = yaml.load(text, yaml.CSafeLoader)["trainer"]
        if isinstance(options["strategy"], dict):
            strategy = yaml.safe_dump(options["strategy"])
            options["strategy"] = instantiate(parser, parse(strategy)).strategy
        return Trainer(**options | WITHOUT)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(project / "src")
        for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
            monkeypatch.setattr(logging.getLogger(name), "disabled", True)
        yield build
