"""What an update makes of the recorded answers."""

import shutil
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from tests.support.releases import NEWEST, commit_version, git
from tests.update.edited_project import (
    ANSWERS_FILE,
    EditedProject,
    make_repository,
    render_version,
)

pytestmark = pytest.mark.slow

# The last release that called the recorded identity `origin`, and formatted code to 120 columns.
OLD_RELEASE = "0.5.0"
OLD_QUESTION = "\nold:\n  type: str\n  ask: false\n  default: x\n"


def test_old_identity_and_line_length_are_kept(source: Path, tmp_path: Path) -> None:
    """A project from before these were recorded keeps its identity, and code of 120 columns."""
    project = EditedProject(source, tmp_path, OLD_RELEASE, task="tabular", package_name="mine")
    project.update()
    answers = project.answers()
    assert answers["recorded_identity"] == "tabular in mine"
    assert answers["line_length"] == 120
    assert "origin" not in answers
    assert "\nline-length = 120\n" in (project.folder / "pyproject.toml").read_text()

    project.update(accelerator="cpu")
    assert project.answers()["line_length"] == 120
    with pytest.raises(ValueError, match="this project is for tabular, not for custom"):
        project.update(task="custom")


def test_new_project_has_shorter_lines(source: Path, tmp_path: Path) -> None:
    """A new project has 100 columns, also after an update."""
    project = EditedProject(source, tmp_path, NEWEST, task="tabular")
    project.update(accelerator="cpu")
    assert project.answers()["line_length"] == 100
    assert "\nline-length = 100\n" in (project.folder / "pyproject.toml").read_text()


def test_update_can_drop_a_question(template: Path, tmp_path: Path) -> None:
    """An update can drop a question that a project answered; an unknown one is still refused."""
    source = Path(shutil.copytree(template, tmp_path / "template"))
    git("init", "--quiet", cwd=source)
    settings = source / "copier.yml"
    names = source / "includes" / "names.jinja"
    new_settings = settings.read_text()
    new_names = names.read_text()
    settings.write_text(new_settings.replace("\ndevices:\n", f"{OLD_QUESTION}\ndevices:\n"))
    names.write_text(
        new_names.replace("project_name package_name", "project_name old package_name")
    )
    commit_version(source, "1.0.0")
    project = tmp_path / "project"
    render_version(source, project, "1.0.0", {"task": "tabular", "old": "y"})
    make_repository(project)

    settings.write_text(new_settings)
    names.write_text(new_names)
    commit_version(source, "2.0.0")
    with pytest.raises(ValueError, match="there is no question old; use one of"):
        update(project, old="z")
    answers = update(project, accelerator="cpu")
    assert answers["_commit"] == "v2.0.0"
    assert answers["task"] == "tabular"
    assert answers["accelerator"] == "cpu"
    assert "old" not in answers


def update(folder: Path, **answers: Any) -> dict[str, Any]:
    """Update a project; return the answers that are recorded then."""
    options = {"defaults": True, "overwrite": True, "quiet": True, "unsafe": True}
    copier.run_update(folder, data=answers, **options)
    return yaml.safe_load((folder / ANSWERS_FILE).read_text())
