"""Fixtures that render the template as it stands, from a plain copy."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from questionnaire import Questionnaire

ROOT = Path(__file__).parents[1]
QUESTIONS = yaml.safe_load((ROOT / "copier.yml").read_text())


def choices(question: str) -> list[str]:
    """The values that a question offers."""
    found = QUESTIONS[question]["choices"]
    values = found.values() if isinstance(found, dict) else found
    return [value["value"] if isinstance(value, dict) else value for value in values]


TASKS = choices("task")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes minutes, so that no worker waits for another one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    """No test leaves the process with other numbers by default: what is built after it would have them."""
    yield
    assert torch.get_default_dtype() == torch.float32


@cache
def copy_template() -> Path:
    """The template without its history: Copier renders what stands here, not the last commit."""
    folder = Path(tempfile.mkdtemp(prefix="template-"))
    atexit.register(shutil.rmtree, folder)
    for name in ("copier.yml", "includes", "template"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    return folder


@pytest.fixture(scope="session")
def template() -> Path:
    return copy_template()


@pytest.fixture(scope="session")
def render(template: Path) -> Callable[..., Path]:
    """`render(folder, **answers)` renders what Copier does into the folder, in a tenth of the time, and returns it."""
    return Questionnaire(template).write


@pytest.fixture(scope="session")
def questions() -> dict[str, Any]:
    """What copier.yml asks, by name."""
    return {name: value for name, value in QUESTIONS.items() if not name.startswith("_")}
