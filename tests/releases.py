"""The releases, as the history holds them: `releases.py` lists them, `releases.py --tag` tags them here.

A release is the commit in which CHANGELOG.md first has its heading. Copier looks for tags, which a clone
need not have: the tests make a clone of their own and tag that.
"""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from conftest import ROOT
from packaging.version import Version

HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)
NEWEST = "9999.0.0"  # what stands in the working tree, for Copier to update to


def git(*args: str, cwd: Path = ROOT) -> str:
    return subprocess.run(["git", *args], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


@cache
def releases() -> dict[str, str]:
    """The commit of each version, oldest first.

    Raises:
        LookupError: where the history is cut off, and with it the releases.
    """
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise LookupError("this clone is shallow, and releases are found in the history: run `git fetch --unshallow`")
    found: dict[str, str] = {}
    for commit in git("log", "--first-parent", "--reverse", "--format=%H", "--", "CHANGELOG.md").splitlines():
        for version in HEADING.findall(git("show", f"{commit}:CHANGELOG.md")):
            found.setdefault(version, commit)
    return {version: found[version] for version in sorted(found, key=Version)}


def tag(folder: Path = ROOT) -> None:
    """Tag each release in a clone of this repository, where it is not tagged yet."""
    there = git("tag", cwd=folder).split()
    for version, commit in releases().items():
        if f"v{version}" not in there:
            git("tag", f"v{version}", commit, cwd=folder)


def clone(folder: Path) -> Path:
    """A clone with a tag for each release, and one more for the working tree as it is."""
    git("clone", "--quiet", "--no-tags", str(ROOT), str(folder))
    tag(folder)
    for name in ("copier.yml", "includes", "template", "hooks"):
        if (ROOT / name).is_dir():
            shutil.rmtree(folder / name)
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".ruff_cache"))
        else:
            shutil.copy(ROOT / name, folder / name)
    git("add", "--all", cwd=folder)
    author = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    git(*author, "commit", "--quiet", "--allow-empty", "--message", "What stands in the working tree", cwd=folder)
    git("tag", f"v{NEWEST}", cwd=folder)
    return folder


if __name__ == "__main__":
    for version, commit in releases().items():
        print(f"v{version} {commit}")
    if "--tag" in sys.argv:
        tag()
