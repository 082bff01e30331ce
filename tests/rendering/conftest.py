"""Projects rendered through pytest-copie, as `copier copy` renders them.

pytest-copie gives answers as defaults, so that the check of `-d` does not see them; it allows
migrations and tasks (`unsafe`); and it returns exceptions. Where one of these matters, the tests
call `copier.run_copy` or `copier.run_update`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_copie.plugin import Copie

from tests.rendering.combinations import Combinations
from tests.rendering.samples import SAMPLES


@pytest.fixture(scope="session")
def copy_project(copie_session: Copie) -> Callable[..., Path]:
    """`copy_project(**answers)` renders a project and returns its folder."""

    def copy(**answers: Any) -> Path:
        result = copie_session.copy(extra_answers=answers)
        if result.exception:
            raise result.exception
        assert result.project_dir
        return result.project_dir

    return copy


@pytest.fixture(scope="session")
def combinations(template: Path) -> Combinations:
    return Combinations(template)


@pytest.fixture(scope="session")
def samples(copy_project: Callable[..., Path]) -> dict[str, Path]:
    """The folder of each of SAMPLES, by its name."""
    return {name: copy_project(**answers) for name, answers in SAMPLES.items()}
