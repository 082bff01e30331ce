"""The template with its releases."""

from pathlib import Path

import pytest

from tests.support.releases import clone_template


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, with a tag for each release and for the working tree."""
    return clone_template(tmp_path_factory.mktemp("source") / "template")
