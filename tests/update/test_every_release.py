"""`copier update` from every release, over projects that their owners have edited."""

from pathlib import Path

import pytest

from tests.support.releases import PREVIOUS, last_release, releases, tasks_of
from tests.support.template import TASKS
from tests.update.commands import assert_tidy, assert_works
from tests.update.edited_project import EditedProject, read_files

pytestmark = pytest.mark.slow


@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_every_release_updates(
    task: str,
    source: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """From every release that has the task: no conflict, no lost edit, and a project that works.

    Nothing that the owner deleted is back, and no migration leaves work to the owner. Projects that
    are the same after the update, but for prose, are tested once. The tests of the harness, which
    take longest and are the same for all releases, are run from the last one, which comes first. A
    task that no release has is updated from what it is now.
    """
    versions = [version for version in releases() if task in tasks_of(version)] or [PREVIOUS]
    tested = set()
    for version in reversed(versions):
        project = EditedProject(source, tmp_path / version, version, task=task)
        project.edit()
        project.update()
        assert "To do" not in capfd.readouterr().out
        assert_tidy(project.folder)
        code = project.hash_code()
        if code not in tested:
            is_last_release = version == versions[-1]
            assert_works(project.folder, task, with_harness=is_last_release)
        tested.add(code)


@pytest.mark.parametrize("answers", [{}, {"strategy": "ddp"}])
def test_second_update_changes_nothing(
    answers: dict[str, str],
    source: Path,
    tmp_path: Path,
) -> None:
    """An update that is repeated changes nothing, whether it changes an answer or not."""
    project = EditedProject(source, tmp_path, last_release())
    project.edit()
    project.update(**answers)
    files = read_files(project.folder)

    project.update(**answers)

    assert read_files(project.folder) == files
