"""Releases are the same in the history, in CHANGELOG.md and in pyproject.toml, and each says what it asks."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from conftest import ROOT
from packaging.version import Version
from releases import HEADING, NEWEST, clone, git, releases

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_history_has_the_releases() -> None:
    """Every version in CHANGELOG.md is a commit of its own, newest first in the file and last in the history."""
    headings = HEADING.findall(CHANGELOG)
    assert headings
    assert headings == sorted(headings, key=Version, reverse=True)
    assert list(releases()) == headings[::-1]
    commits = list(releases().values())
    order = git("log", "--first-parent", "--reverse", "--format=%H").splitlines()
    assert [order.index(commit) for commit in commits] == sorted(
        {order.index(commit) for commit in commits}
    )
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == headings[0]


def test_each_version_says_what_it_asks() -> None:
    """Each version says what an update to it changes in a project, and what its owner must do."""
    for entry in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        if entry.startswith("[Unreleased]") and "###" not in entry:
            continue
        assert re.search(r"\*\*An update\*\* .*\*\*[Yy]ou must\*\*", entry, flags=re.DOTALL), (
            entry.partition("\n")[0]
        )


def test_a_clone_has_the_tags(tmp_path: Path) -> None:
    """A clone without tags gets one for each release, and one for what stands in the working tree."""
    folder = clone(tmp_path / "clone")
    assert {*git("tag", cwd=folder).split()} == {f"v{version}" for version in (*releases(), NEWEST)}
    for version, commit in releases().items():
        assert git("rev-parse", f"v{version}", cwd=folder) == commit


def test_a_shallow_clone_is_refused(tmp_path: Path) -> None:
    """Without the history there are no releases to test: an error that says what to do, not a test of none."""
    git("clone", "--quiet", "--depth=1", ROOT.as_uri(), str(tmp_path / "clone"))
    for name in ("conftest.py", "releases.py"):
        (tmp_path / "clone" / "tests" / name).write_bytes((ROOT / "tests" / name).read_bytes())
    listed = subprocess.run(
        [sys.executable, tmp_path / "clone/tests/releases.py"], capture_output=True, text=True
    )
    assert listed.returncode != 0
    assert "this clone is shallow" in listed.stderr
