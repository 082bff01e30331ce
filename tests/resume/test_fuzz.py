"""Random ways of training, interrupted at random, end as if they had not been."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from tools.fuzz import Fuzzer, Training, trainings

pytestmark = [pytest.mark.slow, pytest.mark.long]

EXAMPLES = 24


@pytest.fixture(scope="module")
def fuzzer(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Fuzzer:
    return Fuzzer(render, tmp_path_factory.mktemp("fuzz"))


# The same examples each time; `make soak` draws others. A failure is not made smaller, which takes
# many runs.
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
)
@given(training=trainings())
def test_interrupted_training_ends_the_same(training: Training, fuzzer: Fuzzer) -> None:
    """Options and callbacks that were not thought of together resume bit for bit."""
    fuzzer.check(training)
