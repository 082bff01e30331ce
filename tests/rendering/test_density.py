"""The rendered code is easy to read, by the measures of `tools/density.py`."""

from pathlib import Path

import pytest

from tests.rendering.samples import sample_with_task
from tests.support.template import TASKS
from tools.density import Density, measure, measure_files

# AST nodes per code line, and comprehensions per 100 code lines.
LIMITS_OF_OWNED_CODE = (8.5, 3.0)
LIMITS_OF_MANAGED_CODE = (8.0, 2.0)
MANAGED_FOLDERS = ("harness", "readers", "figures", "metrics")
EXAMPLE = '''"""Docstring of

two lines."""

x = 1  # comment
# comment


def f():
    """Docstring."""
    return """a
b"""
'''


def assert_readable(density: Density, limits: tuple[float, float]) -> None:
    nodes, comprehensions = limits
    assert density.nodes_per_line <= nodes
    assert density.comprehensions_per_100_lines <= comprehensions
    assert density.long_lines == 0


def test_code_lines_are_counted() -> None:
    """Code counts; blank lines, comments and docstrings do not; a line counts once."""
    density = measure(EXAMPLE)
    assert density.code_lines == 4
    assert density.lines == 12
    # A module; an assignment, its name, context and number; a function, its parameters, a return
    # statement and its text.
    assert density.nodes == 9


@pytest.mark.parametrize("task", TASKS)
def test_owned_code_is_readable(task: str, samples: dict[str, Path]) -> None:
    """Model and data: at most 8.5 nodes per line, 3 comprehensions per 100 lines, 100 columns."""
    [package] = (samples[sample_with_task(task)] / "src").iterdir()
    density = measure_files(sorted(package.glob("*.py")))
    assert_readable(density, LIMITS_OF_OWNED_CODE)


@pytest.mark.parametrize("task", TASKS)
def test_managed_code_is_readable(task: str, samples: dict[str, Path]) -> None:
    """Harness, readers: at most 8 nodes per line, 2 comprehensions per 100 lines, 100 columns."""
    [package] = (samples[sample_with_task(task)] / "src").iterdir()
    files = []
    for folder in MANAGED_FOLDERS:
        files += (package / folder).rglob("*.py")
    assert_readable(measure_files(sorted(files)), LIMITS_OF_MANAGED_CODE)


@pytest.mark.parametrize("task", TASKS)
def test_tests_have_no_long_lines(task: str, samples: dict[str, Path]) -> None:
    """The rendered tests keep to 100 columns as well."""
    tests = samples[sample_with_task(task)] / "tests"
    assert measure_files(sorted(tests.rglob("*.py"))).long_lines == 0
