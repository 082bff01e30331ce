"""Every rendered file belongs to the owner or to the template, and says so."""

import re
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from tests.rendering.samples import SAMPLES, sample_with_task
from tests.support.files import relative_paths
from tests.support.in_memory_copier import InMemoryCopier
from tests.support.ownership import is_managed, is_yours
from tests.support.template import ANSWERABLE, TASKS

# An update cannot change these.
FIXED = {"task", "package_name"}
# Another answer to each other question.
OTHER_ANSWERS = {
    "project_name": "Other",
    "description": "Other",
    "accelerator": "gpu",
    "strategy": "fsdp2",
    "precision": "bf16-true",
    "devices": "2",
    "num_nodes": 2,
    "logger": ["wandb"],
    "ci": "none",
    "release": "pypi",
    "container": "none",
    "license": "MIT",
    "author_name": "A",
    "author_email": "a@b",
    "python_version": "3.13",
}
# The message after an update says that README.md has these.
IN_THE_README = ("project_name", "description")


@pytest.mark.parametrize("name", SAMPLES)
def test_each_file_is_yours_or_managed(name: str, samples: dict[str, Path]) -> None:
    """A file is excluded from updates, or says in its first line that it is managed; never both."""
    for path, file in relative_paths(samples[name]).items():
        assert is_yours(path) != is_managed(path, file.read_text()), path


@pytest.mark.parametrize("task", TASKS)
def test_readme_names_what_is_yours(task: str, samples: dict[str, Path]) -> None:
    """The project's README lists the files that updates leave alone, and no others."""
    project = samples[sample_with_task(task)]
    readme = (project / "README.md").read_text()
    patterns = []
    for cell in re.findall(r"^\| (`.*`) \| yours", readme, flags=re.MULTILINE):
        patterns += [f"/{name}" for name in re.findall(r"`([^`]+)`", cell)]
    named = GitIgnoreSpec.from_lines(patterns)
    for path in relative_paths(project):
        assert is_yours(path) == named.match_file(path), path


def test_what_is_yours_depends_on_few_answers(template: Path) -> None:
    """The owner's files are the same for all answers, except those that the README contains.

    So an update, which leaves them alone, leaves none of them outdated.
    """
    assert OTHER_ANSWERS.keys() == set(ANSWERABLE) - FIXED
    renderer = InMemoryCopier(template)
    before = renderer.render(package_name="same")
    for name, answer in OTHER_ANSWERS.items():
        after = renderer.render(package_name="same", **{name: answer})
        changed = {path for path in filter(is_yours, before) if before[path] != after[path]}
        assert changed == ({"README.md"} if name in IN_THE_README else set()), name
