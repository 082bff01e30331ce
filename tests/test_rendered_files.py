"""Every rendered file is held against a checker made for its kind; all of them work offline.

Projects are rendered without git, which no checker here needs.
"""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, TASKS
from identify.vendor.licenses import LICENSES
from packaging.requirements import Requirement

# Between them they give every choice of every question, and have every file of the template.
PROJECTS: dict[str, dict[str, Any]] = {
    "default": {},
    "language-modeling": {
        "task": "language_modeling",
        "accelerator": "cpu",
        "strategy": "fsdp2",
        "precision": "bf16-mixed",
        "logger": ["csv", "tensorboard", "wandb", "mlflow"],
        "ci": "gitlab",
        "license": "MIT",
        "python_version": "3.12",
        "author_name": "Ada Lovelace",
        "author_email": "ada@example.org",
    },
    "tabular": {
        "task": "tabular",
        "precision": "64-true",
        "logger": ["csv"],
        "ci": "none",
        "container": "none",
        "license": "BSD-3-Clause",
        "python_version": "3.13",
        "author_name": "Ada Lovelace",
    },
    "ddp": {
        "accelerator": "gpu",
        "strategy": "ddp",
        "precision": "transformer-engine",
        "license": "Apache-2.0",
        "author_email": "ada@example.org",
    },
    "fsdp": {"accelerator": "gpu", "strategy": "fsdp", "precision": "16-mixed", "task": "tabular"},
    "deepspeed-2": {"accelerator": "gpu", "strategy": "deepspeed_stage_2", "precision": "bf16-true"},
    "deepspeed-3": {"accelerator": "gpu", "strategy": "deepspeed_stage_3", "ci": "gitlab"},
    "offload": {"accelerator": "gpu", "strategy": "deepspeed_stage_3_offload", "task": "language_modeling"},
    "mps": {"accelerator": "mps", "task": "language_modeling"},
    "tpu": {"accelerator": "tpu"},
}
PROJECTS |= {task: {"task": task} for task in TASKS if task not in {p.get("task", TASKS[0]) for p in PROJECTS.values()}}
# Values that are legal in one line of text, and break a file that pastes them unquoted.
HOSTILE = {
    "quotes": """Zoë "Zed" O'Neil \\ & C:\\new 🦾""",
    "jinja": '"""{{ project_name }} {% if %} {# ${{ github.actor }} \\',
    "yaml": " # no: comment, 'nor' [a]: {mapping}, - & * % | > @ ` !x \"",
    "long": "as long as a line of text gets " * 6 + "and then some",
}
OWN_WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory, render: Callable[..., Path]) -> dict[str, Path]:
    """A project for each of PROJECTS, by name."""
    folder = tmp_path_factory.mktemp("projects")
    return {name: render(folder / name, **answers) for name, answers in PROJECTS.items()}


def check(tool: str, *arguments: str | Path, cwd: Path | None = None) -> None:
    """Run a checker that is installed beside this Python; it fails where it finds anything."""
    command = [Path(sys.executable).parent / tool, *arguments]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{tool} found:\n{result.stdout}{result.stderr}"


def files(*folders: Path, pattern: str = "*") -> list[Path]:
    """The files in the folders whose names match; at least one, or the check would check nothing."""
    found = sorted(path for folder in folders for path in folder.rglob(pattern) if path.is_file())
    assert found, f"no {pattern} in {', '.join(map(str, folders))}"
    return found


def lines(path: Path, pattern: str) -> list[str]:
    """`path:number: line` for each line with the pattern, so that a failure says where."""
    numbered = enumerate(path.read_text().splitlines(), 1)
    return [f"{path}:{number}: {line}" for number, line in numbered if re.search(pattern, line)]


def pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text())


# ---- The projects stand for all others ----------------------------------------------------------


def test_projects_have_every_file(template: Path, projects: dict[str, Path]) -> None:
    """Each file of the template is in one of the projects that are checked below."""
    rendered = {str(path.relative_to(project)) for project in projects.values() for path in files(project)}
    for source in files(template / "template"):
        parts = source.relative_to(template / "template").as_posix().removesuffix(".jinja").split("/")
        if {".ruff_cache", "__pycache__", "_readme.md", "_task", "_baseline.py", "_bad_data.py"} & {*parts}:
            continue  # copier.yml excludes them
        names = {"{{ package_name }}": "my_project", "{{ _copier_conf.answers_file }}": ".copier-answers.yml"}
        path = "/".join(names.get(part, part) for part in parts if part in names or "{{" not in part)
        assert path in rendered, f"no project in PROJECTS has {source.relative_to(template)}"


def test_projects_give_every_choice(projects: dict[str, Path], questions: dict[str, Any]) -> None:
    """Each choice of each question is the answer in one of the projects that are checked below."""
    answers = [yaml.safe_load((project / ".copier-answers.yml").read_text()) for project in projects.values()]
    for name, question in questions.items():
        if not isinstance(question, dict) or "choices" not in question or question.get("when") is False:
            continue
        choices = question["choices"]
        for choice in choices.values() if isinstance(choices, dict) else choices:
            value = choice["value"] if isinstance(choice, dict) else choice
            given = [answer[name] if question.get("multiselect") else [answer[name]] for answer in answers]
            assert any(value in values for values in given), f"no project in PROJECTS has {name}={value}"


# ---- All files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROJECTS)
def test_text_is_clean(projects: dict[str, Path], name: str) -> None:
    """Files are UTF-8, without trailing spaces and carriage returns, and end with one newline."""
    for path in files(projects[name]):
        text = path.read_bytes().decode()
        assert not lines(path, r"[ \t]$")
        assert "\r" not in text, path
        assert re.search(r"[^\n]\n\Z", text), f"{path} is empty, or ends with no newline or with several"


@pytest.mark.parametrize("name", PROJECTS)
def test_no_jinja_is_left(projects: dict[str, Path], name: str) -> None:
    """Neither a file nor its name has Jinja in it; `${{ }}` is GitHub's, and `{{` without a space Python's."""
    for path in files(projects[name]):
        assert not re.search(r"[{}]|\.jinja", str(path.relative_to(projects[name])))
        assert not lines(path, r"(?<!\$)\{\{-?\s|\{%|\{#")


def test_yaml_is_valid(projects: dict[str, Path]) -> None:
    """YAML parses, and no key is given twice, of which most parsers keep the last one silently."""
    found = files(*projects.values(), pattern="*.y*ml")
    check("yamllint", "--strict", "-d", "rules: {key-duplicates: {forbid-duplicated-merge-keys: true}}", *found)


def test_spelling(projects: dict[str, Path]) -> None:
    """No word is one of the common misspellings."""
    check("codespell", "--check-hidden", *files(*projects.values()))


# ---- Python -------------------------------------------------------------------------------------


def test_checkers_are_the_projects(projects: dict[str, Path]) -> None:
    """The ruff and the pyrefly of these tests have the versions that a project pins."""
    pins = [pin for pin in pyproject(projects["default"])["dependency-groups"]["dev"] if "==" in pin]
    assert pins == [f"{tool}=={version(tool)}" for tool in ("ruff", "pyrefly")]


def test_ruff(projects: dict[str, Path]) -> None:
    """The code keeps the rules and the format that its own pyproject.toml sets."""
    check("ruff", "check", "--no-cache", *projects.values())
    check("ruff", "format", "--no-cache", "--check", *projects.values())


@pytest.mark.parametrize("task", TASKS)
def test_types(projects: dict[str, Path], task: str) -> None:
    """pyrefly finds nothing in a project of each task."""
    name = next(name for name, answers in PROJECTS.items() if answers.get("task", TASKS[0]) == task)
    check("pyrefly", "check", "--python-interpreter-path", sys.executable, cwd=projects[name])


# ---- pyproject.toml -----------------------------------------------------------------------------


def test_pyproject_is_valid(projects: dict[str, Path]) -> None:
    """pyproject.toml has the keys and values that its standards, hatch and uv know; ruff tests its own."""
    found = files(*projects.values(), pattern="pyproject.toml")
    check("validate-pyproject", "--enable-plugins", "hatch", "uv", "--", *found)


@pytest.mark.parametrize("name", PROJECTS)
def test_requirements(projects: dict[str, Path], name: str) -> None:
    """Requirements are valid, none is there twice, and each of the dependencies has a line of its own.

    No list of several is sorted as a whole, since `uv add` puts what is added to a sorted one among the template's.
    """
    data = pyproject(projects[name])
    groups = [*data["dependency-groups"].values(), *data["project"].get("optional-dependencies", {}).values()]
    for group in [data["project"]["dependencies"], *groups]:
        names = [Requirement(requirement).name for requirement in group]
        assert len(names) == len(set(names))
        assert len(names) == 1 or names != sorted(names)
    text = (projects[name] / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block
    assert re.findall(r'^  "(.+?)",(?: # .+)?\n', block[1], re.MULTILINE) == data["project"]["dependencies"]


# ---- CI -----------------------------------------------------------------------------------------


def workflows(projects: dict[str, Path]) -> list[Path]:
    """The workflows of the projects, and the template's own."""
    assert OWN_WORKFLOWS
    return [*OWN_WORKFLOWS, *(path for path in files(*projects.values(), pattern="*.yml") if ".github" in path.parts)]


def test_workflows_are_safe(projects: dict[str, Path]) -> None:
    """zizmor finds nothing, not even what only a pedant would say."""
    check("zizmor", "--offline", "--strict-collection", "--persona", "pedantic", *workflows(projects))


def test_workflows_are_valid(projects: dict[str, Path]) -> None:
    """Workflows have the schema of GitHub Actions, and a limit on the time of every job."""
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        check("check-jsonschema", "--builtin-schema", schema, *workflows(projects))


def test_workflows_pin_one_version(projects: dict[str, Path]) -> None:
    """Actions are pinned by commit, with the version beside it, to the same one everywhere, and so is uv."""
    text = "\n".join(path.read_text() for path in workflows(projects))
    uses = re.findall(r"uses: (.*)", text)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses), uses
    assert len(set(uses)) == len({use.split("@")[0] for use in uses})
    for pattern in (".gitlab-ci.yml", "Dockerfile"):
        text += "\n".join(path.read_text() for path in files(*projects.values(), pattern=pattern))
    assert len(set(re.findall(r'(?:astral-sh/uv:| version: ")(\d+\.\d+\.\d+)', text))) == 1


def test_gitlab_is_valid(projects: dict[str, Path]) -> None:
    """.gitlab-ci.yml has the schema of GitLab CI."""
    found = files(*projects.values(), pattern=".gitlab-ci.yml")
    check("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", *found)


def test_ci_runs_the_same_everywhere(projects: dict[str, Path]) -> None:
    """GitHub and GitLab run the same commands, of tools that are in the project's dev group."""
    [job] = yaml.safe_load((projects["default"] / ".github/workflows/ci.yml").read_text())["jobs"].values()
    github = [step["run"] for step in job["steps"] if "run" in step]
    gitlab = yaml.safe_load((projects["deepspeed-3"] / ".gitlab-ci.yml").read_text())["check"]["script"]
    assert [command.partition(" || ")[0] for command in github] == [c.partition(" || ")[0] for c in gitlab]
    gitlab.remove(next(command for command in gitlab if " drift || " in command))  # the project's own
    hooks = yaml.safe_load((projects["default"] / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    tools = {shlex.split(command)[2] for command in [*gitlab[1:], *(hook["entry"] for hook in hooks)]}
    dev = {Requirement(requirement).name for requirement in pyproject(projects["default"])["dependency-groups"]["dev"]}
    assert tools <= dev


# ---- The rest -----------------------------------------------------------------------------------


def test_dockerfile(projects: dict[str, Path]) -> None:
    """hadolint finds nothing, not even at its lowest level, and what runs in the container is not root."""
    found = files(*projects.values(), pattern="Dockerfile")
    check("hadolint", "--no-color", *found)
    assert all(re.findall(r"^USER (?!root|0)", path.read_text().split("\nFROM ")[-1], re.MULTILINE) for path in found)


def test_shell_scripts(projects: dict[str, Path]) -> None:
    """shellcheck finds nothing in what a shell runs, here and in a project."""
    scripts = [path for path in files(*projects.values()) if re.match(rb"#!.*\b(ba|da)?sh\b", path.read_bytes())]
    check("shellcheck", ROOT / ".ci" / "run", *scripts)


def test_licences(projects: dict[str, Path]) -> None:
    """LICENSE has the words of the licence that pyproject.toml names, under its own copyright line."""
    for project in projects.values():
        named, path = pyproject(project)["project"].get("license"), project / "LICENSE"
        assert path.exists() == (named is not None)
        assert named is None or words(path.read_text()) == words(dict(LICENSES)[named])
    assert words((ROOT / "LICENSE").read_text()) == words(dict(LICENSES)["MIT"])


def words(licence: str) -> list[str]:
    """The words of a licence, without its copyright line, which each holder words differently."""
    return re.sub(r"^(Copyright \(c\)|All rights reserved).*", "", licence, flags=re.MULTILINE).split()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers(tmp_path: Path, render: Callable[..., Path], name: str) -> None:
    """Any line of text as the author's name and the description arrives as it is, and breaks no file."""
    value = HOSTILE[name]
    project = render(tmp_path / "project", author_name=value, description=value, license="MIT")
    assert pyproject(project)["project"]["authors"] == [{"name": value}]
    assert pyproject(project)["project"]["description"] == value
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert (answers["author_name"], answers["description"]) == (value, value)
    assert f"Copyright (c) {value.strip()}\n" in (project / "LICENSE").read_text()
    package = project / "src/my_project/__init__.py"
    ast.parse(package.read_text())
    check("ruff", "check", "--no-cache", package)
    check("ruff", "format", "--no-cache", "--check", package)
    check("validate-pyproject", "--enable-plugins", "hatch", "--", project / "pyproject.toml")
