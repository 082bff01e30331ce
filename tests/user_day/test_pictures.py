"""The pictures in README.md are of the template as it is."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.template import ROOT
from tools.pictures import COLUMNS, IMAGES, SOURCES, TASKS, TERMINAL_TASK, digest

README = (ROOT / "README.md").read_text()
TRANSCRIPT = IMAGES / "run.txt"
HINT = "the pictures are stale: run `make pictures`, and look at them"


@pytest.mark.parametrize("task", TASKS)
def test_pictures_are_up_to_date(task: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """The pictures were drawn with the present settings and drawing code of their tasks."""
    project = render(tmp_path / "project", task=task)
    assert json.loads(SOURCES.read_text())[task] == digest(project), HINT


def test_terminal_shows_the_default_run(render: Callable[..., Path], tmp_path: Path) -> None:
    """The terminal shows the last epoch of the default run, in one line, once."""
    project = render(tmp_path / "project", task=TERMINAL_TASK)
    config = yaml.safe_load((project / "configs" / "base.yaml").read_text())
    last_epoch = config["trainer"]["max_epochs"] - 1  # counted from 0
    lines = TRANSCRIPT.read_text().splitlines()
    [bar] = [line for line in lines if line.startswith("Epoch ")]
    assert re.fullmatch(
        rf"Epoch {last_epoch}/{last_epoch} .* loss: [\d.]+ val/accuracy: [\d.]+", bar
    )
    assert all(len(line) <= COLUMNS for line in lines)


def test_terminal_ends_as_a_run_does() -> None:
    """The terminal ends with the lines that tell where the run is, and what comes next."""
    last_lines = TRANSCRIPT.read_text().splitlines()[-4:]
    starts = [line.split()[0] for line in last_lines]
    assert starts == ["saved", "run", "best", "next"]
    assert last_lines[-1] == "next  my-project test --run demo"


def test_pictures_are_in_the_readme() -> None:
    """README.md shows both pictures."""
    for name in ("run.svg", "predictions.png"):
        assert f"](docs/images/{name})" in README
        assert (IMAGES / name).exists()
