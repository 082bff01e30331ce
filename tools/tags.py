"""List the releases in the history, and tag them for Copier: `python -m tools.tags`.

A release is the commit in which CHANGELOG.md first has its heading. Copier looks for tags, which a
clone need not have. This needs git and Python's standard library only, so that it runs before
anything is installed.
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)


def main() -> None:
    try:
        found = releases()
    except LookupError as error:
        sys.exit(str(error))
    for version, commit in found.items():
        print(f"v{version} {commit}")
    tag_releases()


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
    return {version: found[version] for version in sorted(found, key=version_numbers)}


def version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, by which versions are sorted."""
    return tuple(int(number) for number in version.split("."))


def tag_releases(folder: Path = ROOT) -> None:
    """Tag each release in a clone of this repository, unless it is tagged already."""
    tags = git("tag", cwd=folder).split()
    for version, commit in releases().items():
        if f"v{version}" not in tags:
            git("tag", f"v{version}", commit, cwd=folder)


if __name__ == "__main__":
    main()
