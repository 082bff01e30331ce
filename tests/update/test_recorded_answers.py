"""What an update makes of the recorded answers."""

import shutil
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from tests.support.releases import AUTHOR, NEWEST, git

pytestmark = pytest.mark.slow

# The last release that called the recorded identity `origin`, and formatted code to 120 columns.
OLD_RELEASE = "0.5.0"
OLD_QUESTION = "\nold:\n  type: str\n  ask: false\n  default: x\n"


def commit(folder: Path, message: str, tag: str = "") -> None:
    """Commit everything in a folder, which becomes a repository if it is none."""
    git("init", "--quiet", cwd=folder)
    git("add", "--all", cwd=folder)
    git(*AUTHOR, "commit", "--quiet", "--message", message, cwd=folder)
    if tag:
        git("tag", tag, cwd=folder)


def copy(source: Path, folder: Path, version: str, **answers: Any) -> None:
    """Render a version into a new project, and commit it."""
    options = {"vcs_ref": version, "defaults": True, "quiet": True}
    copier.run_copy(str(source), folder, data=answers, **options)
    commit(folder, "Rendered")


def update(folder: Path, **answers: Any) -> dict[str, Any]:
    """Update a project; return the answers that are recorded then."""
    options = {"defaults": True, "overwrite": True, "quiet": True, "unsafe": True}
    copier.run_update(folder, data=answers, **options)
    return yaml.safe_load((folder / ".copier-answers.yml").read_text())


def test_old_identity_and_line_length_are_kept(source: Path, tmp_path: Path) -> None:
    """A project from before these were recorded keeps its identity, and code of 120 columns."""
    project = tmp_path / "project"
    copy(source, project, f"v{OLD_RELEASE}", task="tabular", package_name="mine")
    answers = update(project)
    assert answers["recorded_identity"] == "tabular in mine"
    assert answers["line_length"] == 120
    assert "origin" not in answers
    assert "\nline-length = 120\n" in (project / "pyproject.toml").read_text()

    commit(project, "Updated")
    assert update(project, accelerator="cpu")["line_length"] == 120
    commit(project, "On a CPU")
    with pytest.raises(
        ValueError, match="were written for tabular in mine, not for custom in mine"
    ):
        update(project, task="custom")


def test_new_project_has_shorter_lines(source: Path, tmp_path: Path) -> None:
    """A new project has 100 columns, also after an update."""
    project = tmp_path / "project"
    copy(source, project, f"v{NEWEST}", task="tabular")
    assert update(project, accelerator="cpu")["line_length"] == 100
    assert "\nline-length = 100\n" in (project / "pyproject.toml").read_text()


def test_update_can_drop_a_question(template: Path, tmp_path: Path) -> None:
    """An update can drop a question that a project answered; an unknown one is still refused."""
    source = Path(shutil.copytree(template, tmp_path / "template"))
    settings = source / "copier.yml"
    names = source / "includes" / "names.jinja"
    new_settings = settings.read_text()
    new_names = names.read_text()
    settings.write_text(new_settings.replace("\ndevices:\n", f"{OLD_QUESTION}\ndevices:\n"))
    names.write_text(
        new_names.replace("project_name package_name", "project_name old package_name")
    )
    commit(source, "With an old question", tag="1.0.0")
    project = tmp_path / "project"
    copy(source, project, "1.0.0", task="tabular", old="y")

    settings.write_text(new_settings)
    names.write_text(new_names)
    commit(source, "Without it", tag="2.0.0")
    with pytest.raises(ValueError, match="there is no question old; use one of"):
        update(project, old="z")
    answers = update(project, accelerator="cpu")
    assert answers["_commit"] == "2.0.0"
    assert answers["task"] == "tabular"
    assert answers["accelerator"] == "cpu"
    assert "old" not in answers
