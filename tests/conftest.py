"""Fixtures that render the template as it is in the working tree."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.support.in_memory_copier import InMemoryCopier
from tests.support.template import ROOT, copy_template

# Where the Makefile installs uv on a machine that has none; some tests run it.
UV_FOLDER = ROOT / "build" / "uv" / "bin"


def pytest_configure(config: pytest.Config) -> None:
    # pytest-copie renders its --template with `vcs_ref=HEAD`: of a git repository the last commit.
    config.option.template = str(copy_template())
    # So that pytest also finds uv if make did not start it.
    os.environ["PATH"] += f"{os.pathsep}{UV_FOLDER}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests that take minutes first, so that no worker waits for another at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(autouse=True)
def default_dtype() -> Iterator[None]:
    """Fail a test that changes torch's default dtype, which would affect all later tests."""
    yield
    assert torch.get_default_dtype() == torch.float32


@pytest.fixture(scope="session")
def template() -> Path:
    return copy_template()


@pytest.fixture(scope="session")
def render(template: Path) -> Callable[..., Path]:
    """`render(folder, **answers)` renders a project as Copier does, in a tenth of the time.

    It returns the folder.
    """
    return InMemoryCopier(template).write
