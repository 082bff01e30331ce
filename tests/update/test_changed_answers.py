"""`copier update` that changes answers as well."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.files import list_files
from tests.support.in_memory_copier import InMemoryCopier
from tests.support.projects import Project
from tests.support.releases import NEWEST, PREVIOUS, last_release, releases, tasks_of
from tests.support.template import ANSWERABLE, overlay_folder
from tests.update.commands import assert_tidy, assert_works, fit_command, run_copier
from tests.update.edited_project import EditedProject, commit_all

# Answers that do not depend on each other, which one update changes together.
CHANGED: dict[str, dict[str, Any]] = {
    "ddp": {
        "release": "pypi",
        "accelerator": "cpu",
        "strategy": "ddp",
        "precision": "bf16-mixed",
    },
    "fsdp2": {
        "strategy": "fsdp2",
        "devices": "1",
        "license": "Apache-2.0",
        "author_name": "Ada Lovelace",
        "author_email": "ada@example.org",
    },
    "names": {
        "project_name": "Another Name",
        "description": "What it does now",
        "python_version": "3.12",
        "ci": "none",
    },
    "services": {
        "logger": ["csv", "wandb", "mlflow"],
        "ci": "gitlab",
        "release": "none",
        "container": "none",
    },
    "gpu": {
        "accelerator": "gpu",
        "strategy": "deepspeed_stage_2",
        "precision": "16-mixed",
        "num_nodes": 2,
    },
}
# Needs more than the machine that runs the tests.
NEEDS_MORE_HARDWARE = "gpu"
# Task and package are part of the owner's code.
UNCHANGEABLE = {"task", "package_name"}


def test_every_answer_is_changed() -> None:
    """Each question that can be answered differently later has a case below."""
    changed = {name for answers in CHANGED.values() for name in answers}
    assert changed == set(ANSWERABLE) - UNCHANGEABLE


@pytest.mark.slow
@pytest.mark.parametrize("case", CHANGED)
def test_changed_answers(case: str, source: Path, tmp_path: Path) -> None:
    """An update that changes answers changes managed files only, and the project still trains.

    Releases and tasks take turns.
    """
    number = list(CHANGED).index(case)
    versions = list(releases())
    version = versions[number % len(versions)]
    tasks = tasks_of(version)
    task = tasks[number % len(tasks)]
    edited = EditedProject(source, tmp_path, version, task=task, package_name=f"changed_{case}")
    edited.edit()

    edited.update(**CHANGED[case])

    answers = edited.answers()
    assert {name: answers[name] for name in CHANGED[case]} == CHANGED[case]
    if case != NEEDS_MORE_HARDWARE:
        project = Project(edited.folder)
        assert project.run(*fit_command(project, task), "--trainer.devices=1") is None
        assert project.result("short", "fit")


@pytest.mark.slow
def test_many_changed_answers(source: Path, tmp_path: Path) -> None:
    """After all changes that this machine can run at once, the project's own tests pass as well."""
    answers: dict[str, Any] = {}
    for case, changed in CHANGED.items():
        if case != NEEDS_MORE_HARDWARE:
            answers |= changed  # of two answers to a question, the last one
    project = EditedProject(source, tmp_path, last_release(), task="tabular")
    project.edit()

    project.update(**answers)

    assert_tidy(project.folder)
    assert_works(project.folder, "tabular")


@pytest.mark.slow
def test_message_names_what_should_follow(source: Path, tmp_path: Path) -> None:
    """The message after an update names the owner's files that should follow a changed answer.

    It names nothing else.
    """
    folder = EditedProject(source, tmp_path, PREVIOUS).folder
    update = ("update", "--defaults")
    _, output = run_copier(*update, "-d", "precision=bf16-mixed", cwd=folder)
    assert f"My Project is now at v{NEWEST} of the template." in output
    assert "release tags" not in output
    assert "README.md" not in output
    assert "deleted" not in output

    commit_all(folder, "Update")
    _, output = run_copier(*update, "-d", "project_name=Another", "-d", "ci=none", cwd=folder)
    assert "README.md is yours, so it still has the old name" in output
    for path in (".github/workflows/ci.yml", ".github/workflows/copier-update.yml"):
        assert f"{path} is deleted, with your lines in it." in output
        assert not (folder / path).exists()
    assert "Dockerfile" not in output


@pytest.mark.parametrize(
    ("answer", "overlay"),
    [("github", "github"), ("gitlab", "gitlab"), ("pypi", "publishes"), ("docker", "docker")],
)
def test_files_of_answers(answer: str, overlay: str, template: Path) -> None:
    """The files that are announced as deleted are those of the overlay."""
    macro = "{% from 'includes/project_folder.jinja' import files_of %}{{ files_of(answer) }}"
    environment = InMemoryCopier(template).jinja_env
    announced = json.loads(environment.from_string(macro).render(answer=answer))
    folder = overlay_folder(overlay)
    expected = [path.relative_to(folder).as_posix() for path in list_files(folder)]
    assert sorted(announced) == sorted(path.removesuffix(".jinja") for path in expected)
