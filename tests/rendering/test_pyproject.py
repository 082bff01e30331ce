"""The rendered pyproject.toml, and the code held to the rules that it sets."""

import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.rendering.checkers import check
from tests.rendering.samples import SAMPLES, sample_with_task
from tests.support.files import list_files, read_pyproject
from tests.support.template import TASKS


def test_pyproject_is_valid(samples: dict[str, Path]) -> None:
    """pyproject.toml has keys and values that its standards, hatch and uv know."""
    found = list_files(*samples.values(), pattern="pyproject.toml")
    check("validate-pyproject", "--enable-plugins", "hatch", "uv", "--", *found)


@pytest.mark.parametrize("name", SAMPLES)
def test_requirements(samples: dict[str, Path], name: str) -> None:
    """Requirements are valid and unique, and each dependency has a line of its own.

    No list of several is sorted as a whole, since `uv add` would put new packages into the middle
    of a sorted list, among the template's lines.
    """
    pyproject = read_pyproject(samples[name])
    dependencies = pyproject["project"]["dependencies"]
    groups = [dependencies, *pyproject["dependency-groups"].values()]
    groups += pyproject["project"].get("optional-dependencies", {}).values()
    for group in groups:
        names = [Requirement(requirement).name for requirement in group]
        assert len(names) == len(set(names))
        assert len(names) == 1 or names != sorted(names)
    text = (samples[name] / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block
    assert re.findall(r'^  "(.+?)",(?: # .+)?\n', block[1], re.MULTILINE) == dependencies


def test_tools_have_the_projects_versions(samples: dict[str, Path]) -> None:
    """The ruff and the pyrefly of these tests have the versions that a project pins."""
    dev_group = read_pyproject(samples["default"])["dependency-groups"]["dev"]
    pinned = [requirement for requirement in dev_group if "==" in requirement]
    assert pinned == [f"ruff=={version('ruff')}", f"pyrefly=={version('pyrefly')}"]


def test_ruff(samples: dict[str, Path]) -> None:
    """The owner's code follows the rules and the format of its pyproject.toml."""
    check("ruff", "check", "--no-cache", *samples.values())
    check("ruff", "format", "--no-cache", "--check", *samples.values())


@pytest.mark.parametrize("task", TASKS)
def test_types(samples: dict[str, Path], task: str) -> None:
    """pyrefly finds nothing in a project of each task."""
    project = samples[sample_with_task(task)]
    check("pyrefly", "check", "--python-interpreter-path", sys.executable, cwd=project)
