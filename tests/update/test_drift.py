"""`drift` lists the managed files that an owner changed."""

import re
from pathlib import Path

from tests.support.messages import EXIT_DRIFT
from tests.support.owner_edits import Owner
from tests.support.projects import Project
from tests.support.releases import NEWEST
from tests.update.edited_project import EditedProject

SUMMARY = rf"(\d+) of \d+ managed files differ from v{NEWEST} of the template"


def drift(project: Project) -> tuple[int, list[str]]:
    """The exit code, and the lines of files that differ; their number is in the last line."""
    done = project.process("drift")
    *lines, last_line = done.stdout.splitlines()
    summary = re.fullmatch(SUMMARY, last_line)
    assert summary, done.stdout + done.stderr
    assert int(summary[1]) == len(lines)
    return done.returncode, lines


def test_drift_lists_what_was_changed(source: Path, tmp_path: Path) -> None:
    """`drift` lists managed files that were changed or deleted.

    It lists neither files that are yours, nor lines beside `# Yours:`.
    """
    edited = EditedProject(source, tmp_path, NEWEST)
    project = Project(edited.folder)
    assert drift(project) == (0, [])

    edited.edit()
    (edited.folder / "src" / project.package / "__init__.py").write_text('"""Mine."""\n')
    expected = ["Dockerfile +1 -1", "configs/preset/profile.yaml is deleted"]
    assert drift(project) == (EXIT_DRIFT, expected)

    owner = Owner(edited.folder)
    owner.change("configs/trainer.yaml", (r"^  logger:$", "  # mine\n  logger:"))
    above_a_line_of_the_template = (r'^  "copier.*$', r'  "mine",\n\g<0>')
    owner.change("pyproject.toml", above_a_line_of_the_template)
    expected += ["configs/trainer.yaml +1 -0", "pyproject.toml +1 -0"]
    assert drift(project) == (EXIT_DRIFT, expected)

    owner.change("pyproject.toml", (r"^force-exclude.*\n", ""))
    expected[-1] = "pyproject.toml +1 -1"
    assert drift(project) == (EXIT_DRIFT, expected)


def test_drift_outside_of_a_project(source: Path, tmp_path: Path) -> None:
    """Without recorded answers, `drift` says in one line what it looked for."""
    project = Project(EditedProject(source, tmp_path, NEWEST).folder)
    (project.folder / ".copier-answers.yml").unlink()

    done = project.process("drift")

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "drift runs in a project, where .copier-answers*.yml has _src_path and _commit" in line
