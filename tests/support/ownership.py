"""Whose a file is: the owner's, which updates leave alone, or the template's."""

import re

from pathspec import GitIgnoreSpec

from tests.support.template import COPIER_YML

MANAGED_MARK = "Managed by copier-lightning"
# The text of a licence has no room for a mark, and Copier writes the answers.
MANAGED_WITHOUT_MARK = {"LICENSE", ".copier-answers.yml"}
EXCLUDED_ON_UPDATE = re.compile(r"{% if _copier_operation == 'update' %}(.*){% endif %}")


def owners_patterns() -> list[str]:
    """What copier.yml excludes from updates."""
    matches = [EXCLUDED_ON_UPDATE.fullmatch(pattern) for pattern in COPIER_YML["_exclude"]]
    return [match[1] for match in matches if match]


OWNERS_FILES = GitIgnoreSpec.from_lines(owners_patterns())


def is_yours(path: str) -> bool:
    """Whether an update leaves the file alone."""
    return OWNERS_FILES.match_file(path)


def is_managed(path: str, text: str) -> bool:
    """Whether the file says that it is managed."""
    return path in MANAGED_WITHOUT_MARK or MANAGED_MARK in text.partition("\n")[0]
