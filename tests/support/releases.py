"""The releases of the template, as its history has them.

A release is the commit in which CHANGELOG.md first has its heading. Copier looks for tags, which a
clone need not have: the tests make a clone of their own and tag it.
"""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import yaml
from packaging.version import Version

from tests.support.template import RENDERED, ROOT, copy_source

HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)
# The working tree as a release, which an update finds newer than all others.
NEWEST = "9999.0.0"
# The release before it: the working tree with one more line in a managed file. Updates from it
# cross no migration.
PREVIOUS = "9998.0.0"
LONGER_FILE = "template/docs/manual.md.jinja"
AUTHOR = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")


def git(*arguments: str, cwd: Path = ROOT) -> str:
    """The output of a git command, which must succeed."""
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@cache
def releases() -> dict[str, str]:
    """The commit of each version, oldest first.

    Raises:
        LookupError: if the history is cut off, and with it the releases.
    """
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise LookupError(
            "this clone is shallow, but releases are found in the history: "
            "run `git fetch --unshallow`"
        )
    found: dict[str, str] = {}
    changes = git("log", "--first-parent", "--reverse", "--format=%H", "--", "CHANGELOG.md")
    for commit in changes.splitlines():
        for version in HEADING.findall(git("show", f"{commit}:CHANGELOG.md")):
            found.setdefault(version, commit)
    return {version: found[version] for version in sorted(found, key=Version)}


def last_release() -> str:
    return list(releases())[-1]


def tasks_of(version: str) -> list[str]:
    """The tasks that a release offers."""
    questions = yaml.safe_load(git("show", f"{releases()[version]}:copier.yml"))
    if "tasks" in questions:  # since 0.6.0, a table
        return list(yaml.safe_load(questions["tasks"]["default"]))
    return list(questions["task"]["choices"].values())


def tag_releases(folder: Path = ROOT) -> None:
    """Tag each release in a clone of this repository, unless it is tagged already."""
    tags = git("tag", cwd=folder).split()
    for version, commit in releases().items():
        if f"v{version}" not in tags:
            git("tag", f"v{version}", commit, cwd=folder)


def clone_template(folder: Path) -> Path:
    """A clone with a tag for each release, and the tags of PREVIOUS and NEWEST."""
    git("clone", "--quiet", "--no-tags", str(ROOT), str(folder))
    tag_releases(folder)
    for name in (*RENDERED, "hooks"):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        copy_source(name, folder)

    path = folder / LONGER_FILE
    text = path.read_text()
    path.write_text(f"{text}A line of the previous version.\n")
    commit_version(folder, PREVIOUS)
    path.write_text(text)
    commit_version(folder, NEWEST)
    # Copier clones it for each version that it renders, and one pack is copied faster.
    git("gc", "--quiet", "--prune=now", cwd=folder)
    return folder


def commit_version(folder: Path, version: str) -> None:
    """Commit what is in the folder as a version; a tag that exists is moved to it."""
    git("add", "--all", cwd=folder)
    git(*AUTHOR, "commit", "--quiet", "--message", f"Version {version}", cwd=folder)
    git("tag", "--force", f"v{version}", cwd=folder)
