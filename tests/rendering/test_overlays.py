"""Overlays: one entry of the mapping for each folder, and one source for each rendered file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from copier.errors import UserMessageError

from tests.support.expectations import LOGGER_FILES, OTHER_OVERLAYS, TASK_OVERLAYS
from tests.support.in_memory_copier import InMemoryCopier
from tests.support.template import LOGGERS, TASKS

EXPECTED = {*LOGGER_FILES, *OTHER_OVERLAYS.values()}.union(*TASK_OVERLAYS.values())


@pytest.fixture
def changed_template(template: Path, tmp_path: Path) -> Path:
    """A copy of the template that a test can change."""
    return Path(shutil.copytree(template, tmp_path / "template"))


def test_every_overlay_is_expected(template: Path) -> None:
    """copier.yml, the folders and the tables of the tests name the same overlays."""
    mapping = InMemoryCopier(template).answer()["overlay"]
    folders = (template / "template").glob("{{ overlay.* }}")
    names = {path.name.removeprefix("{{ overlay.").removesuffix(" }}") for path in folders}
    assert set(mapping) == names == EXPECTED
    assert set(LOGGER_FILES) == set(LOGGERS)
    assert set(TASK_OVERLAYS) == set(TASKS)


def test_entries_are_a_dot_or_empty(template: Path) -> None:
    """An entry is the project's own folder if it is chosen, and otherwise no path at all."""
    overlay = InMemoryCopier(template).answer(task="tabular", logger=["csv"])["overlay"]
    assert set(overlay.values()) == {".", ""}
    assert overlay["tabular"] == overlay["csv"] == "."
    assert overlay["custom"] == overlay["wandb"] == ""


def test_unknown_overlay_is_an_error(template: Path) -> None:
    """A folder whose name is not in the mapping fails every render, instead of being left out."""
    copier = InMemoryCopier(template)
    copier.render()
    source = Path("{{ overlay.tabluar }}/file.txt")
    with pytest.raises(UserMessageError, match="has no attribute 'tabluar'"):
        copier.destination(source, copier.context)


def test_two_sources_for_one_file_are_found(changed_template: Path) -> None:
    """A file that two overlays bring fails a render, instead of the last one silently winning."""
    for name in ("github", "docker"):
        folder = changed_template / "template" / f"{{{{ overlay.{name} }}}}"
        (folder / "same.txt").write_text(name)
    with pytest.raises(AssertionError, match=r"two sources render to .*same\.txt"):
        InMemoryCopier(changed_template).render()


def test_logger_is_added_by_its_overlay(changed_template: Path, tmp_path: Path) -> None:
    """A logger needs its overlay and one line of copier.yml, and appears everywhere."""
    overlays = changed_template / "template"
    new = overlays / "{{ overlay.example }}"
    shutil.copytree(overlays / "{{ overlay.tensorboard }}", new)
    part = new / "_logger.jinja"
    text = part.read_text().replace("tensorboard>=2.19", "example>=1")
    part.write_text(text.replace("TensorBoardLogger", "ExampleLogger"))
    settings = changed_template / "copier.yml"
    line = "    csv: a file, metrics.csv\n"
    assert line in settings.read_text()
    settings.write_text(settings.read_text().replace(line, f"{line}    example: a service\n"))
    files = InMemoryCopier(changed_template).render(logger=["example"])
    assert b'"example>=1"' in files["pyproject.toml"]
    assert b"lightning.pytorch.loggers.ExampleLogger" in files["configs/trainer.yaml"]
    assert b"- example" in files[".copier-answers.yml"]


def test_old_projects_keep_their_line_length(
    template: Path, copy_project: Callable[..., Path]
) -> None:
    """New code has 100 columns; a project that was rendered until 0.5.0 keeps its 120.

    Such a project recorded `origin`, which is called `recorded_identity` now.
    """
    new = (copy_project(task="tabular") / "pyproject.toml").read_text()
    assert "\nline-length = 100\n" in new
    questionnaire = InMemoryCopier(template)
    answers = {"task": "tabular", "package_name": "mine", "_src_path": "template"}
    recorded = questionnaire.answer(**answers, origin="tabular in mine")
    assert recorded["line_length"] == 120
    assert recorded["recorded_identity"] == "tabular in mine"
    refusal = questionnaire.refusal(**answers, origin="custom in mine")
    assert "this project is for custom, not for tabular" in refusal
