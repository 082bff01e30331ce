"""The releases of the template, in a clone of the tests' own that has their tags."""

import shutil
from pathlib import Path

import yaml

from tests.support.template import RENDERED, ROOT, copy_source
from tools.tags import HEADING, git, releases, tag_releases

__all__ = ["HEADING", "git", "releases", "tag_releases"]

# The working tree as a release, which an update finds newer than all others.
NEWEST = "9999.0.0"
# The release before it: the working tree with one more line in a managed file. Updates from it
# cross no migration.
PREVIOUS = "9998.0.0"
LONGER_FILE = "template/docs/manual.md.jinja"
AUTHOR = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")


def last_release() -> str:
    return list(releases())[-1]


def tasks_of(version: str) -> list[str]:
    """The tasks that a release offers."""
    return offered_tasks(git("show", f"{releases()[version]}:copier.yml"))


def offered_tasks(copier_yml: str) -> list[str]:
    """The tasks in the text of a copier.yml of any version."""
    questions = yaml.safe_load(copier_yml)
    if "tasks" in questions:  # since 0.6.0, a table
        return list(yaml.safe_load(questions["tasks"]["default"]))
    return list(questions["task"]["choices"].values())


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
