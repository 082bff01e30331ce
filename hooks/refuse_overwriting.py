"""Refuse an update that would overwrite files which git ignores.

It runs in the project's folder before an update changes anything. Copier refuses to update if there
are untracked files, but git does not report the ignored ones, and nothing could bring them back.
"""

import re
import sys
from pathlib import Path

from splitting.files import is_managed, tracked_names

TEMPLATE = Path(__file__).parents[1] / "template"
OVERLAY = re.compile(r"^{{ overlay\.\w+ }}/")
# Files of an overlay that start with an underscore are parts of other files.
PART = re.compile(r"^{{ overlay\.\w+ }}/_[^/]+$")
# The owner's files, which an update does not render; see `_exclude` in copier.yml.
OWNERS_FILE = re.compile(
    r"README\.md|configs/base\.yaml|configs/experiment/.*|src/[^/]+/[^/]+\.py|tests/test_[^/]+"
)


def main() -> None:
    rendered = set()
    for harness in Path("src").glob("*/harness"):
        rendered |= managed_paths(package=harness.parent.name)
    lost = [path for path in sorted(rendered - tracked_names()) if would_be_lost(Path(path))]
    for path in lost:
        print(
            f"{path} is a file of the template now, which would overwrite the one that git ignores"
            " here: move yours"
        )
    if lost:
        sys.exit("Nothing was changed.")


def managed_paths(package: str) -> set[str]:
    """Where the template can render managed files, whatever is answered."""
    found = set()
    for source in TEMPLATE.rglob("*"):
        name = source.relative_to(TEMPLATE).as_posix()
        if not source.is_file() or PART.match(name):
            continue
        path = OVERLAY.sub("", name).replace("{{ package_name }}", package).removesuffix(".jinja")
        if not OWNERS_FILE.fullmatch(path):
            found.add(path)
    return found


def would_be_lost(path: Path) -> bool:
    """Whether there is such a file, and not one that the template rendered."""
    return path.is_file() and not is_managed(path)


if __name__ == "__main__":
    main()
