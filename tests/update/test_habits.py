"""What teams do to a project between two updates does not stand in the way of the next one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.projects import Project
from tests.support.releases import NEWEST, PREVIOUS, git
from tests.support.template import TASKS
from tests.support.terminal import CTRL_C, ENTER, Terminal
from tests.update.commands import run_copier
from tests.update.edited_project import EditedProject

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["data", "runs", ".venv"])
def test_symlinks_are_ignored(name: str, source: Path, tmp_path: Path) -> None:
    """On clusters, data and runs are links to another disk; git ignores them as it does folders."""
    project = EditedProject(source, tmp_path / "project", NEWEST)
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir()

    (project.folder / name).symlink_to(elsewhere)

    assert git("status", "--short", cwd=project.folder) == ""


# ---- Conflicts -----------------------------------------------------------------------------------


def test_rejected_changes_are_announced(source: Path, tmp_path: Path) -> None:
    """With `--conflict rej`, the closing message names the files that hold what was rejected."""
    project = EditedProject(source, tmp_path / "project", PREVIOUS)
    update = ("update", "--defaults", "--conflict", "rej", "-d", "strategy=ddp")

    exit_code, output = run_copier(*update, cwd=project.folder)

    assert exit_code == 0, output
    assert "files that end in `.rej`" in output
    assert "--vcs-ref=:current:" in output


@pytest.mark.parametrize(
    ("hook", "name", "text"),
    [
        ("update-conflicts", "configs/base.yaml", "<<<<<<< before updating\n"),
        ("update-conflicts", "configs/base.yaml", ">>>>>>> after updating\n"),
        ("update-rejects", "configs/trainer.yaml.rej", "@@ -1 +1 @@\n"),
    ],
)
def test_hooks_refuse_leftovers(
    hook: str, name: str, text: str, source: Path, tmp_path: Path
) -> None:
    """pre-commit refuses conflict markers and rejected changes, and accepts a project without."""
    project = EditedProject(source, tmp_path / "project", NEWEST)
    command = [sys.executable, "-m", "pre_commit", "run", hook, "--all-files"]
    clean = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert clean.returncode == 0, clean.stdout

    (project.folder / name).write_text(text)
    git("add", "--all", cwd=project.folder)

    refused = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert refused.returncode == 1, refused.stdout
    assert name in refused.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< before updating\na: 1\n", "base.yaml:1 has a conflict of an update"),
        ("model:\n  lr: [1\n", "base.yaml:3 is not YAML"),
    ],
)
def test_broken_configuration_is_named(
    text: str, message: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    """The error names the file and the line of a configuration that cannot be read."""
    project = Project(render(tmp_path / "project", task="tabular", project_name="Broken Config"))
    (project.folder / "configs" / "base.yaml").write_text(text)

    ended = project.fork("fit")

    assert ended.returncode == 1
    assert message in ended.stderr.splitlines()[-1]


# ---- Questions -----------------------------------------------------------------------------------


def test_other_tasks_are_disabled(source: Path, tmp_path: Path) -> None:
    """The questions of an update show that a project keeps its task, in lines that fit."""
    project = EditedProject(source, tmp_path / "project", PREVIOUS)
    session = Terminal("update", "--trust", folder=project.folder)
    session.wait_for_question("project_name")
    session.child.send(ENTER)
    session.wait_for_question("task")

    own = "image_classification"
    shown = session.wait_for(f"- time_series_forecasting (this project is for {own})")

    assert f"{own} - a label for each image: any timm backbone\n" in shown
    assert shown.count(f"(this project is for {own})") == len(TASKS) - 1
    session.child.send(CTRL_C)
    assert session.wait_for_end() != 0
    assert git("status", "--short", cwd=project.folder) == ""


# ---- Where a project is --------------------------------------------------------------------------


def test_closing_message_quotes_the_folder(source: Path, tmp_path: Path) -> None:
    """The command in the closing message works for a folder with spaces and other characters."""
    folder = tmp_path / "it's here & there"

    exit_code, output = run_copier("copy", "--defaults", str(source), str(folder), cwd=tmp_path)

    assert exit_code == 0, output
    [command] = [line for line in output.splitlines() if line.startswith("    cd ")]
    moved = subprocess.run(["bash", "-c", f"{command} && pwd"], capture_output=True, text=True)
    assert moved.stdout == f"{folder}\n"


def test_two_templates_in_a_repository(source: Path, tmp_path: Path) -> None:
    """With `-a`, `drift` and the update job use the answers to this template."""
    other_answers = "_src_path: nowhere\n_commit: v1.0.0\npackage_name: other\n"
    (tmp_path / ".copier-answers.yml").write_text(other_answers)
    answers_file = ".copier-answers.lightning.yml"
    answers = ["-d", "project_name=Second Template", "-d", "task=tabular"]
    copy = ("copy", "--defaults", "-a", answers_file, *answers, str(source), ".")
    exit_code, output = run_copier(*copy, cwd=tmp_path)
    assert exit_code == 0, output

    [line] = fork_drift(Project(tmp_path, answers_file))
    assert line.startswith("0 of ")

    job = (tmp_path / ".github" / "workflows" / "copier-update.yml").read_text()
    assert f"update --defaults -a {answers_file};" in job
    assert f"{answers_file})" in job


def fork_drift(project: Project) -> list[str]:
    """The lines that `drift` prints."""
    done = project.fork("drift")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
