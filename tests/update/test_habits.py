"""What teams do to a project between two updates does not stand in the way of the next one."""

from pathlib import Path

import pytest

from tests.support.releases import NEWEST, git
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
