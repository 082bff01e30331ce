"""Every rendered file is its owner's or the template's, and each says which."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import QUESTIONS, TASKS
from pathspec import GitIgnoreSpec
from test_rendered_files import PROJECTS

MARK = "Managed by copier-lightning"
# The text of a licence has no room for a mark, and Copier writes the answers.
UNMARKED = {"LICENSE", ".copier-answers.yml"}
ON_UPDATE = re.compile(r"{% if _copier_operation == 'update' %}(.*){% endif %}")
YOURS = [found[1] for pattern in QUESTIONS["_exclude"] if (found := ON_UPDATE.fullmatch(pattern))]


def is_yours(path: str) -> bool:
    """Whether an update leaves the file alone."""
    return GitIgnoreSpec.from_lines(YOURS).match_file(path)


def is_managed(path: str, text: str) -> bool:
    return path in UNMARKED or MARK in text.partition("\n")[0]


@pytest.mark.parametrize("name", PROJECTS)
def test_each_file_is_yours_or_managed(name: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """A rendered file is either excluded from updates, or says in its first line that it is managed; never both."""
    project = render(tmp_path / "project", **PROJECTS[name])
    for file in (file for file in project.rglob("*") if file.is_file()):
        path = file.relative_to(project).as_posix()
        assert is_yours(path) != is_managed(path, file.read_text()), path


@pytest.mark.parametrize("task", TASKS)
def test_readme_names_what_is_yours(task: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """The project's README lists each file that updates leave alone, and no other."""
    project = render(tmp_path / "project", task=task)
    readme = (project / "README.md").read_text()
    rows = re.findall(r"^\| (`.*`) \| yours", readme, flags=re.MULTILINE)
    named = [f"/{name}" for row in rows for name in re.findall(r"`([^`]+)`", row)]
    spec = GitIgnoreSpec.from_lines(named)
    for file in (file for file in project.rglob("*") if file.is_file()):
        path = file.relative_to(project).as_posix()
        assert is_yours(path) == spec.match_file(path), path


def test_what_is_yours_depends_on_few_answers(render: Callable[..., Path], tmp_path: Path, questions: Any) -> None:
    """What an update leaves alone is the same for all answers, but for those that the message after it names."""
    changes = {"project_name": "Other", "description": "Other", "accelerator": "gpu", "strategy": "fsdp2"}
    changes |= {"precision": "bf16-true", "logger": ["wandb"], "ci": "none", "container": "none", "license": "MIT"}
    changes |= {"author_name": "A", "author_email": "a@b", "python_version": "3.13", "devices": "2", "num_nodes": 2}
    asked = {name for name, question in questions.items() if question.get("when") is not False}
    assert changes.keys() == asked - {"task", "package_name", "origin"}  # these never change
    before = render(tmp_path / "before", package_name="same")
    for name, value in changes.items():
        after = render(tmp_path / name, package_name="same", **{name: value})
        files = {file.relative_to(before).as_posix() for file in before.rglob("*") if file.is_file()}
        differ = {path for path in files if is_yours(path) and differs(before / path, after / path)}
        assert differ == ({"README.md"} if name in ("project_name", "description") else set()), name


def differs(one: Path, other: Path) -> bool:
    return one.read_bytes() != other.read_bytes()
