"""Updates that are refused leave the project as it was."""

import shutil
from pathlib import Path

import copier
import pytest
from packaging.version import Version

from tests.support.releases import NEWEST, PREVIOUS, git, last_release, releases
from tests.update.commands import run_copier
from tests.update.edited_project import EditedProject, make_repository, read_files
from tests.update.migrated import crossed_migrations

EXIT_ERROR = 1
# Of Copier, for a template that needs `--trust`, and for `check-update` if there is one.
EXIT_UNTRUSTED = 4
EXIT_UPDATE_AVAILABLE = 2
# What a migration prints in a project of a release that is older.
MIGRATION_MESSAGES = {
    "0.3.0": "harness.loading is harness.loaders now",
    "0.6.0": "uses the new modules of the harness",
}


# ---- Trust ---------------------------------------------------------------------------------------


def test_every_migration_is_crossed() -> None:
    """Each migration has a message that the tests below look for, and no migration follows."""
    assert crossed_migrations("0.1.0") == list(MIGRATION_MESSAGES)
    assert not crossed_migrations(PREVIOUS)


@pytest.mark.slow
@pytest.mark.parametrize("migration", MIGRATION_MESSAGES)
def test_migration_needs_trust(migration: str, source: Path, tmp_path: Path) -> None:
    """An update that crosses a migration asks for trust, and changes nothing without it.

    With trust, that migration and all later ones print what they changed.
    """
    version = last_release_before(migration)
    project = EditedProject(source, tmp_path, version)
    exit_code, output = run_copier("update", "--defaults", cwd=project.folder)
    assert exit_code == EXIT_UNTRUSTED, output
    assert "migrations" in output
    assert "--trust" in output
    assert read_files(project.folder) == project.rendered

    exit_code, output = run_copier("update", "--defaults", "--trust", cwd=project.folder)

    assert exit_code == 0, output
    printed = printed_migrations(output)
    assert printed[0] == migration
    assert printed == crossed_migrations(version)
    assert "had changes of yours" not in output
    assert "To do" not in output


@pytest.mark.slow
def test_other_update_needs_no_trust(source: Path, tmp_path: Path) -> None:
    """An update that crosses no migration does not ask for trust, and runs none."""
    project = EditedProject(source, tmp_path, PREVIOUS)

    exit_code, output = run_copier("update", "--defaults", cwd=project.folder)

    assert exit_code == 0, output
    assert project.answers()["_commit"] == f"v{NEWEST}"
    assert not printed_migrations(output)
    assert "To do" not in output


def last_release_before(migration: str) -> str:
    older = [version for version in releases() if Version(version) < Version(migration)]
    return older[-1]


def printed_migrations(output: str) -> list[str]:
    """The migrations whose messages are in the output."""
    return [migration for migration, message in MIGRATION_MESSAGES.items() if message in output]


@pytest.mark.slow
def test_template_without_tags_is_reported(source: Path, tmp_path: Path) -> None:
    """From a copy of the template without tags no migration is run; the update says what to do."""
    untagged = tmp_path / "untagged"
    git("clone", "--quiet", str(source), str(untagged))
    git("tag", "--delete", *git("tag", cwd=untagged).split(), cwd=untagged)
    git("checkout", "--quiet", releases()["0.2.0"], cwd=untagged)
    folder = tmp_path / "project"
    copier.run_copy(str(untagged), folder, vcs_ref="HEAD", defaults=True, quiet=True)
    make_repository(folder)
    newest = git("rev-parse", f"v{NEWEST}", cwd=source)
    git("checkout", "--quiet", newest, cwd=untagged)

    _, output = run_copier("update", "--defaults", "--vcs-ref=HEAD", cwd=folder)

    assert "no release tags" in output
    assert "run `make tags` in the copy, and update again" in output


# ---- Answers -------------------------------------------------------------------------------------

REFUSED = {
    "unknown question": (
        ["-d", "stategy=ddp"],
        "there is no question stategy; use one of",
    ),
    "unknown choice": (
        ["-d", "strategy=dpd"],
        "strategy",
    ),
    "impossible combination": (
        ["-d", "accelerator=mps", "-d", "strategy=ddp"],
        "ddp is not supported on mps; use strategy=auto",
    ),
    "another task": (
        ["-d", "task=tabular"],
        "this project is for image_classification, not for tabular; create another project",
    ),
    "another package": (
        ["-d", "package_name=other"],
        "model.py and data.py were written for image_classification in my_project, not for"
        " image_classification in other",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_answers_are_refused(case: str, source: Path, tmp_path: Path) -> None:
    """An update with answers that are not valid ends with the reason, and changes nothing."""
    project = EditedProject(source, tmp_path, last_release())
    options, reason = REFUSED[case]

    exit_code, output = run_copier("update", "--defaults", "--trust", *options, cwd=project.folder)

    assert exit_code != 0
    assert reason in output.splitlines()[-1]
    assert_unchanged(project)


def test_downgrade_is_refused(source: Path, tmp_path: Path) -> None:
    """An update to an older version is refused, and changes nothing."""
    project = EditedProject(source, tmp_path, last_release())

    exit_code, output = run_copier(
        "update", "--defaults", "--trust", "--vcs-ref", "v0.1.0", cwd=project.folder
    )

    assert exit_code != 0
    assert "Downgrades are not supported" in " ".join(output.split())
    assert_unchanged(project)


def assert_unchanged(project: EditedProject) -> None:
    assert read_files(project.folder) == project.rendered
    assert not git("status", "--porcelain", cwd=project.folder)


# ---- Repositories --------------------------------------------------------------------------------


def test_uncommitted_changes_are_refused(source: Path, tmp_path: Path) -> None:
    """A project with uncommitted changes is not updated."""
    folder = EditedProject(source, tmp_path, last_release()).folder
    (folder / "README.md").write_text("Mine")

    exit_code, output = run_copier("update", "--defaults", "--trust", cwd=folder)

    assert exit_code == EXIT_ERROR
    assert "Destination repository is dirty" in output


def test_project_without_git_is_refused(source: Path, tmp_path: Path) -> None:
    """A project that is not in git is not updated."""
    folder = EditedProject(source, tmp_path, last_release()).folder
    shutil.rmtree(folder / ".git")

    exit_code, output = run_copier("update", "--defaults", "--trust", cwd=folder)

    assert exit_code == EXIT_ERROR
    assert "only supported in git-tracked subprojects" in output


@pytest.mark.slow
def test_check_update(source: Path, tmp_path: Path) -> None:
    """`copier check-update` names a newer version until the project has it."""
    project = EditedProject(source, tmp_path, last_release())
    _, output = run_copier("check-update", cwd=project.folder)
    assert NEWEST in output
    exit_code, _ = run_copier("check-update", "--quiet", cwd=project.folder)
    assert exit_code == EXIT_UPDATE_AVAILABLE

    project.update()

    exit_code, _ = run_copier("check-update", "--quiet", cwd=project.folder)
    assert exit_code == 0
