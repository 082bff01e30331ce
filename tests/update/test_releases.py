"""The releases agree in the history, in CHANGELOG.md and in pyproject.toml."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.version import Version

from tests.support.releases import (
    HEADING,
    NEWEST,
    PREVIOUS,
    clone_template,
    git,
    releases,
)
from tests.support.template import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_history_has_the_releases() -> None:
    """Every version in CHANGELOG.md is a commit, newest first in the file and last in history.

    The version in pyproject.toml is the newest one.
    """
    headings = HEADING.findall(CHANGELOG)
    assert headings
    assert headings == sorted(headings, key=Version, reverse=True)
    assert list(releases()) == headings[::-1]

    history = git("log", "--first-parent", "--reverse", "--format=%H").splitlines()
    positions = [history.index(commit) for commit in releases().values()]
    assert positions == sorted(set(positions))

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == headings[0]


def test_each_version_says_what_to_do() -> None:
    """Each version says what an update changes in a project, and what its owner must do."""
    [_, *entries] = re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)
    for entry in entries:
        heading = entry.partition("\n")[0]
        is_empty = heading == "[Unreleased]" and "###" not in entry
        if not is_empty:
            summary = re.search(r"\*\*An update\*\* .*\*\*[Yy]ou must\*\*", entry, re.DOTALL)
            assert summary, f"{heading} does not say what an update changes"


def test_clone_has_the_tags(tmp_path: Path) -> None:
    """A clone without tags gets one for each release, and those for the working tree."""
    folder = clone_template(tmp_path / "clone")
    versions = [*releases(), PREVIOUS, NEWEST]
    assert set(git("tag", cwd=folder).split()) == {f"v{version}" for version in versions}
    for version, commit in releases().items():
        assert git("rev-parse", f"v{version}", cwd=folder) == commit


def test_shallow_clone_is_refused(tmp_path: Path) -> None:
    """Without history there are no releases to test: an error says what to do."""
    folder = tmp_path / "clone"
    git("clone", "--quiet", "--depth=1", ROOT.as_uri(), str(folder))

    listed = run_tags(folder)

    assert listed.returncode != 0
    assert "this clone is shallow" in listed.stderr
    assert "git fetch --unshallow" in listed.stderr
    assert not git("tag", cwd=folder)


def test_tags_need_nothing_installed(tmp_path: Path) -> None:
    """`make tags` tags every release with git and Python's standard library alone."""
    folder = tmp_path / "clone"
    git("clone", "--quiet", "--no-tags", str(ROOT), str(folder))

    listed = run_tags(folder)

    assert listed.returncode == 0, listed.stderr
    assert git("tag", cwd=folder).split() == [f"v{version}" for version in sorted(releases())]
    makefile = (ROOT / "Makefile").read_text()
    assert "\ntags:\n\t$(PYTHON) -m tools.tags\n" in makefile


def run_tags(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `tools.tags` of the working tree in a clone, with a Python that has no packages."""
    shutil.copy(ROOT / "tools" / "tags.py", folder / "tools" / "tags.py")
    # -S leaves out site-packages, -s those of the user.
    command = [sys.executable, "-S", "-s", "-m", "tools.tags"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
