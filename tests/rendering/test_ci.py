"""The rendered CI configuration, and the template's own workflows."""

import re
import shlex
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from tests.rendering.checkers import check
from tests.support.files import list_files, read_pyproject
from tests.support.template import ROOT


def all_workflows(samples: dict[str, Path]) -> list[Path]:
    """The workflows of the samples, and the template's own."""
    found = list_files(ROOT / ".github" / "workflows", pattern="*.yml")
    for path in list_files(*samples.values(), pattern="*.yml"):
        if ".github" in path.parts:
            found.append(path)
    return found


def test_workflows_are_safe(samples: dict[str, Path]) -> None:
    """zizmor finds nothing, not even at its most pedantic."""
    options = ("--offline", "--strict-collection", "--persona", "pedantic")
    check("zizmor", *options, *all_workflows(samples))


def test_workflows_are_valid(samples: dict[str, Path]) -> None:
    """Workflows follow the schema of GitHub Actions, and every job has a time limit."""
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        check("check-jsonschema", "--builtin-schema", schema, *all_workflows(samples))


def test_workflows_pin_one_version(samples: dict[str, Path]) -> None:
    """Actions are pinned by commit with the version beside it; each, and uv, has one version."""
    text = "\n".join(path.read_text() for path in all_workflows(samples))
    uses = re.findall(r"uses: (.*)", text)
    for use in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use), use
    assert len(set(uses)) == len({use.split("@")[0] for use in uses})
    for pattern in (".gitlab-ci.yml", "Dockerfile"):
        for path in list_files(*samples.values(), pattern=pattern):
            text += path.read_text()
    versions = re.findall(r'(?:astral-sh/uv:| version: ")(\d+\.\d+\.\d+)', text)
    assert len(set(versions)) == 1


def test_gitlab_is_valid(samples: dict[str, Path]) -> None:
    """.gitlab-ci.yml follows the schema of GitLab CI."""
    found = list_files(*samples.values(), pattern=".gitlab-ci.yml")
    schema = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    check("check-jsonschema", *schema, *found)


def test_ci_runs_the_same_everywhere(samples: dict[str, Path]) -> None:
    """GitHub and GitLab run the same commands, with tools of the project's dev group."""
    workflow = samples["default"] / ".github/workflows/ci.yml"
    [job] = yaml.safe_load(workflow.read_text())["jobs"].values()
    github = [step["run"] for step in job["steps"] if "run" in step]
    gitlab_file = samples["deepspeed-3"] / ".gitlab-ci.yml"
    gitlab = yaml.safe_load(gitlab_file.read_text())["check"]["script"]
    # Of `drift`, each host shows the result in its own way.
    commands = [command.partition(" || ")[0] for command in github]
    assert commands == [command.partition(" || ")[0] for command in gitlab]
    hooks_file = samples["default"] / ".pre-commit-config.yaml"
    hooks = yaml.safe_load(hooks_file.read_text())["repos"][0]["hooks"]
    commands += [hook["entry"] for hook in hooks]
    tools = {shlex.split(command)[2] for command in commands if command.startswith("uv run")}
    dev_group = read_pyproject(samples["default"])["dependency-groups"]["dev"]
    installed = {Requirement(requirement).name for requirement in dev_group}
    assert tools - {"my-project"} <= installed
