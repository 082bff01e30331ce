"""The rendered CI configuration, and the template's own workflows."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.rendering.checkers import check
from tests.support.files import list_files, read_pyproject
from tests.support.template import ROOT, choices

NEWEST_PYTHON = "3.14"
# What `pytest --cov` prints at the end.
COVERAGE_TABLE = """
Name                                Stmts   Miss Branch BrPart  Cover
---------------------------------------------------------------------
src/my_project/data.py                147      2     36      2    98%
---------------------------------------------------------------------
TOTAL                                 222     10     44      4    92%
"""
SMALL_PROJECT = """
[project]
name = "small"
version = "1"
requires-python = ">=3.11"
dependencies = ["iniconfig>=2"]

[dependency-groups]
dev = []

[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
include = ["small.py"]
"""


def all_workflows(samples: dict[str, Path]) -> list[Path]:
    """The workflows of the samples, and the template's own."""
    found = list_files(ROOT / ".github" / "workflows", pattern="*.yml")
    for path in list_files(*samples.values(), pattern="*.yml"):
        if path.parent.name == "workflows":
            found.append(path)
    return found


def dependabot_files(samples: dict[str, Path]) -> list[Path]:
    return list_files(*samples.values(), pattern="dependabot.yml")


def test_workflows_are_safe(samples: dict[str, Path]) -> None:
    """zizmor finds nothing, not even at its most pedantic."""
    options = ("--offline", "--strict-collection", "--persona", "pedantic")
    check("zizmor", *options, *all_workflows(samples), *dependabot_files(samples))


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


def test_dependabot_is_valid(samples: dict[str, Path]) -> None:
    """dependabot.yml follows its schema, and leaves alone the actions that updates change."""
    found = dependabot_files(samples)
    check("check-jsonschema", "--builtin-schema", "vendor.dependabot", *found)
    for path in found:
        used = set()
        for workflow in list_files(path.parent / "workflows", pattern="*.yml"):
            used.update(re.findall(r"uses: (.*)@", workflow.read_text()))
        [actions] = yaml.safe_load(path.read_text())["updates"]
        assert {ignored["dependency-name"] for ignored in actions["ignore"]} == used, path


# ---- What the checks run -------------------------------------------------------------------------


def github_job(project: Path, workflow: str) -> dict[str, Any]:
    """The only job of a workflow."""
    path = project / ".github" / "workflows" / workflow
    [job] = yaml.safe_load(path.read_text())["jobs"].values()
    return job


def gitlab_jobs(project: Path) -> dict[str, Any]:
    return yaml.safe_load((project / ".gitlab-ci.yml").read_text())


def commands_of(job: dict[str, Any]) -> list[str]:
    """What a job of GitHub runs, without what only GitHub can show."""
    commands = [step["run"] for step in job["steps"] if "run" in step]
    return [command for command in commands if "GITHUB_STEP_SUMMARY" not in command]


def test_ci_runs_the_same_everywhere(samples: dict[str, Path]) -> None:
    """GitHub and GitLab run the same commands, with tools of the project's dev group."""
    check_job = github_job(samples["default"], "ci.yml")
    weekly_job = github_job(samples["default"], "weekly.yml")
    gitlab = gitlab_jobs(samples["deepspeed-3"])
    commands = drop_notices(commands_of(check_job))
    assert commands == drop_notices(gitlab["check"]["script"])
    assert commands_of(weekly_job) == gitlab["weekly"]["script"]
    assert gitlab["weekly"]["extends"] == "check"
    shown = [step["run"] for step in check_job["steps"] if "GITHUB_STEP_SUMMARY" in str(step)]
    commands += [*shown, *commands_of(weekly_job)]

    hooks_file = samples["default"] / ".pre-commit-config.yaml"
    hooks = yaml.safe_load(hooks_file.read_text())["repos"][0]["hooks"]
    commands += [hook["entry"] for hook in hooks]
    tools = {shlex.split(command)[2] for command in commands if command.startswith("uv run")}
    dev_group = read_pyproject(samples["default"])["dependency-groups"]["dev"]
    installed = {Requirement(requirement).name for requirement in dev_group}
    # pytest-cov depends on coverage.
    assert tools - {"my-project", "coverage"} <= installed
    assert "pytest-cov" in installed


def drop_notices(commands: list[str]) -> list[str]:
    """The commands without what follows ` || `, as hosts show what `drift` says differently."""
    return [command.partition(" || ")[0] for command in commands]


@pytest.mark.parametrize("name", ["default", "language-modeling"])
def test_ci_installs_pytorch_without_cuda(samples: dict[str, Path], name: str) -> None:
    """Each job installs PyTorch's CPU wheels and what uv.lock pins, and nothing after that.

    A `uv run` that synchronizes the environment would replace them with what uv.lock says.
    """
    project = samples[name]
    if (project / ".gitlab-ci.yml").exists():
        job = gitlab_jobs(project)["check"]
        variables = job["variables"]
        commands = job["script"]
    else:
        job = github_job(project, "ci.yml")
        variables = job["env"]
        commands = commands_of(job)
        weekly_variables = github_job(project, "weekly.yml")["env"]
        assert weekly_variables.items() >= variables.items()
    assert variables["UV_TORCH_BACKEND"] == "cpu"
    assert variables["UV_NO_SYNC"] == "1"
    assert not [command for command in commands if "uv sync" in command]
    export, install = commands[1:3]
    locked = shlex.split(export)[-1]
    assert f"--constraints {locked} " in install


def test_install_commands_keep_the_lock(samples: dict[str, Path], tmp_path: Path) -> None:
    """The commands that CI installs with leave uv.lock alone, and take its versions.

    The project depends on one package here, whose older version the lock has.
    """
    job = github_job(samples["default"], "ci.yml")
    (tmp_path / "pyproject.toml").write_text(SMALL_PROJECT)
    (tmp_path / "small.py").touch()
    locked_version = "iniconfig==2.0.0"
    run_uv("lock", "--upgrade-package", locked_version, cwd=tmp_path)
    lock = (tmp_path / "uv.lock").read_text()

    commands = [command for command in commands_of(job) if not command.startswith("uv run")]
    for command in commands:
        run_uv(*shlex.split(command)[1:], cwd=tmp_path)

    assert locked_version in run_uv("pip", "freeze", cwd=tmp_path)
    assert (tmp_path / "uv.lock").read_text() == lock


def run_uv(*arguments: str, cwd: Path) -> str:
    """The output of uv in an environment like CI's, where it uses `.venv` in `cwd`."""
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    variables["UV_PYTHON"] = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["uv", *arguments]
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ci_tests_the_oldest_and_the_newest_python(samples: dict[str, Path]) -> None:
    """Checks run with the answer `python_version` and with the newest Python, on both hosts.

    The weekly tests combine the oldest Python with the oldest packages, and the newest with the
    newest.
    """
    for project in samples.values():
        answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
        versions = [answers["python_version"], NEWEST_PYTHON]
        combined = [(versions[0], "lowest-direct"), (versions[1], "highest")]
        if answers["ci"] == "github":
            check_job = github_job(project, "ci.yml")
            assert check_job["strategy"]["matrix"]["python"] == versions
            rows = github_job(project, "weekly.yml")["strategy"]["matrix"]["include"]
            assert [(row["python"], row["resolution"]) for row in rows] == combined
        elif answers["ci"] == "gitlab":
            jobs = gitlab_jobs(project)
            assert jobs["check"]["parallel"]["matrix"] == [{"PYTHON": versions}]
            assert "-python$PYTHON-" in jobs["check"]["image"]
            rows = jobs["weekly"]["parallel"]["matrix"]
            assert [(row["PYTHON"], row["UV_RESOLUTION"]) for row in rows] == combined


def test_ci_runs_on_any_default_branch(samples: dict[str, Path]) -> None:
    """Pushes are checked on the default branch, whatever its name; weekly tests run on schedule."""
    workflow = yaml.safe_load((samples["default"] / ".github/workflows/ci.yml").read_text())
    assert workflow[True]["push"] == {"branches": ["**"]}  # in YAML 1.1, `on` means true
    condition = workflow["jobs"]["check"]["if"]
    assert condition.endswith("|| github.ref_name == github.event.repository.default_branch")
    jobs = gitlab_jobs(samples["deepspeed-3"])
    assert {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"} in jobs["workflow"]["rules"]
    assert jobs["check"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]
    is_scheduled = '$CI_PIPELINE_SOURCE == "schedule" && $COPIER_UPDATE == null'
    assert jobs["weekly"]["rules"] == [{"if": is_scheduled}]


def test_coverage_is_read_from_the_table(samples: dict[str, Path]) -> None:
    """GitLab finds the percentage in the table that `pytest --cov` prints."""
    pattern = gitlab_jobs(samples["deepspeed-3"])["check"]["coverage"]
    match = re.search(pattern.strip("/"), COVERAGE_TABLE, re.MULTILINE)
    assert match
    assert match[1] == "92"


def test_own_ci_covers_what_projects_can_ask_for() -> None:
    """CI tests the oldest and the newest Python of projects, and other packages every week.

    Only a Python to come and unreleased packages may fail.
    """
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job = workflow["jobs"]["test"]
    pythons = job["strategy"]["matrix"]["python"]
    answers = choices("python_version")
    assert {answers[0], answers[-1], NEWEST_PYTHON} <= set(pythons)
    assert job["continue-on-error"] == f"${{{{ matrix.python == '{pythons[-1]}' }}}}"
    assert pythons[-1] not in {*answers, NEWEST_PYTHON}

    weekly = workflow["jobs"]["weekly"]
    assert "schedule" in workflow[True]
    assert "github.event_name == 'schedule'" in weekly["if"]
    assert weekly["continue-on-error"] == "${{ matrix.packages == 'unreleased' }}"
    rows = weekly["strategy"]["matrix"]["include"]
    options = {row["packages"]: row["sync"] for row in rows}
    assert options["the oldest"] == "--resolution lowest-direct"
    assert options["the newest"] == options["unreleased"] == "--upgrade"
    assert commands_of(weekly)[-1] == "make test"
    assert "\tuv sync --quiet $(SYNC)\n" in (ROOT / "Makefile").read_text()


# ---- Releases ------------------------------------------------------------------------------------


def test_only_the_publishing_job_is_trusted(samples: dict[str, Path]) -> None:
    """A release is built in one job, and published in another, which has the identity alone."""
    path = samples["ddp"] / ".github/workflows/release.yml"
    workflow = yaml.safe_load(path.read_text())
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    assert workflow["permissions"] == {}
    build = workflow["jobs"]["build"]
    publish = workflow["jobs"]["publish"]
    assert build["permissions"] == {"contents": "read"}
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert commands_of(build)[-1] == "uv build"
    assert commands_of(publish) == ["uv publish --trusted-publishing always"]
    # Without the code, nothing of the project can run in this job.
    assert "actions/checkout" not in str(publish)


@pytest.mark.parametrize(("tag", "is_released"), [("v0.1.0", True), ("v0.2.0", False)])
def test_release_has_the_version_of_its_tag(
    samples: dict[str, Path], tag: str, is_released: bool
) -> None:
    """A tag that is not the version in pyproject.toml fails the release, and both are named."""
    project = samples["ddp"]
    workflow = yaml.safe_load((project / ".github/workflows/release.yml").read_text())
    script = commands_of(workflow["jobs"]["build"])[0]
    variables = {**os.environ, "GITHUB_REF_NAME": tag}
    command = ["bash", "-e", "-c", script]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
    assert (done.returncode == 0) == is_released, done.stderr
    if not is_released:
        assert f"The tag is {tag}, but the version in pyproject.toml is 0.1.0" in done.stdout
