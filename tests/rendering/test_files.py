"""Every rendered file is checked by a tool made for its kind."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from identify.vendor.licenses import LICENSES

from tests.rendering.checkers import check
from tests.rendering.samples import SAMPLES
from tests.support.files import list_files, read_pyproject
from tests.support.template import QUESTIONS, ROOT, choices

# Parts of overlays, which copier.yml excludes.
NOT_RENDERED = {"_readme.md", "_task.jinja", "_logger.jinja", "_baseline.py", "_bad_data.py"}
RENDERED_NAMES = {
    "{{ package_name }}": "my_project",
    "{{ _copier_conf.answers_file }}": ".copier-answers.yml",
}
# Lines of text that break a file which pastes them unquoted.
HOSTILE_ANSWERS = {
    "quotes": """Zoë "Zed" O'Neil \\ & C:\\new 🦾""",
    "jinja": '"""{{ project_name }} {% if %} {# ${{ github.actor }} \\',
    "yaml": " # no: comment, 'nor' [a]: {mapping}, - & * % | > @ ` !x \"",
    "long": "as long as a line of text gets " * 6 + "and then some",
}


def matching_lines(path: Path, pattern: str) -> list[str]:
    """`path:number: line` for each line that matches, so that a failure says where."""
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if re.search(pattern, line):
            found.append(f"{path}:{number}: {line}")
    return found


# ---- The samples stand for all projects ----------------------------------------------------------


def test_samples_have_every_file(template: Path, samples: dict[str, Path]) -> None:
    """Every file of the template is rendered in one of the samples."""
    rendered = set()
    for project in samples.values():
        rendered |= {path.relative_to(project).as_posix() for path in list_files(project)}
    root = template / "template"
    for source in list_files(root):
        if source.name in NOT_RENDERED:
            continue
        assert rendered_path(source.relative_to(root)) in rendered, f"no sample has {source}"


def rendered_path(source: Path) -> str:
    """Where a file of the template lands in a project."""
    parts = []
    for part in source.as_posix().removesuffix(".jinja").split("/"):
        if not part.startswith("{{ overlay."):
            parts.append(RENDERED_NAMES.get(part, part))
    return "/".join(parts)


def test_samples_give_every_choice(samples: dict[str, Path]) -> None:
    """Every choice of every question is the answer in one of the samples."""
    given: dict[str, list[object]] = {}
    for project in samples.values():
        answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
        for name, answer in answers.items():
            values = answer if isinstance(answer, list) else [answer]
            given.setdefault(name, []).extend(values)
    for name, details in QUESTIONS.items():
        if "help" in details and "choices" in details:
            missing = set(choices(name)) - set(given[name])
            assert not missing, f"no sample has {name}={missing}"


# ---- All files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_text_is_clean(samples: dict[str, Path], name: str) -> None:
    """Files are UTF-8 without trailing spaces or carriage returns, and end with one newline."""
    for path in list_files(samples[name]):
        text = path.read_bytes().decode()
        assert not matching_lines(path, r"[ \t]$")
        assert "\r" not in text, path
        assert re.search(r"[^\n]\n\Z", text), f"{path} is empty, or does not end with one newline"


@pytest.mark.parametrize("name", SAMPLES)
def test_no_jinja_is_left(samples: dict[str, Path], name: str) -> None:
    """No file or file name contains Jinja; `${{ }}` is GitHub's, `{{` without a space Python's."""
    for path in list_files(samples[name]):
        assert not re.search(r"[{}]|\.jinja", str(path.relative_to(samples[name])))
        assert not matching_lines(path, r"(?<!\$)\{\{-?\s|\{%|\{#")


def test_yaml_is_valid(samples: dict[str, Path]) -> None:
    """YAML parses and has no duplicate keys, of which most parsers silently keep the last."""
    rules = "rules: {key-duplicates: {forbid-duplicated-merge-keys: true}}"
    check("yamllint", "--strict", "-d", rules, *list_files(*samples.values(), pattern="*.y*ml"))


def test_spelling(samples: dict[str, Path]) -> None:
    """No word is one of the common misspellings."""
    check("codespell", "--check-hidden", *list_files(*samples.values()))


def test_dockerfile(samples: dict[str, Path]) -> None:
    """hadolint finds nothing at its strictest level, and the container does not run as root."""
    found = list_files(*samples.values(), pattern="Dockerfile")
    check("hadolint", "--no-color", *found)
    for path in found:
        final_stage = path.read_text().split("\nFROM ")[-1]
        assert re.findall(r"^USER (?!root|0)", final_stage, re.MULTILINE)


def test_shell_scripts(samples: dict[str, Path]) -> None:
    """shellcheck finds nothing in the scripts of the template and of the projects."""
    scripts = [ROOT / ".ci" / "run"]
    for path in list_files(*samples.values()):
        if re.match(rb"#!.*\b(ba|da)?sh\b", path.read_bytes()):
            scripts.append(path)
    check("shellcheck", *scripts)


def test_licences(samples: dict[str, Path]) -> None:
    """LICENSE is the licence that pyproject.toml names, word for word, with its own copyright."""
    for project in samples.values():
        named = read_pyproject(project)["project"].get("license")
        path = project / "LICENSE"
        assert path.exists() == (named is not None)
        if named:
            assert licence_words(path.read_text()) == licence_words(dict(LICENSES)[named])
    own = (ROOT / "LICENSE").read_text()
    assert licence_words(own) == licence_words(dict(LICENSES)["MIT"])


def licence_words(licence: str) -> list[str]:
    """The words of a licence, without its copyright line."""
    copyright_line = r"^(Copyright \(c\)|All rights reserved).*"
    return re.sub(copyright_line, "", licence, flags=re.MULTILINE).split()


@pytest.mark.parametrize("name", HOSTILE_ANSWERS)
def test_hostile_answers(copy_project: Callable[..., Path], name: str) -> None:
    """Any line of text as author and description is kept as it is, and breaks no file."""
    text = HOSTILE_ANSWERS[name]
    project = copy_project(author_name=text, description=text, license="MIT")
    pyproject = read_pyproject(project)["project"]
    assert pyproject["authors"] == [{"name": text}]
    assert pyproject["description"] == text
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert answers["author_name"] == text
    assert answers["description"] == text
    assert f"Copyright (c) {text.strip()}\n" in (project / "LICENSE").read_text()
    package = project / "src/my_project/__init__.py"
    ast.parse(package.read_text())
    check("ruff", "check", "--no-cache", package)
    check("ruff", "format", "--no-cache", "--check", package)
    check("validate-pyproject", "--enable-plugins", "hatch", "--", project / "pyproject.toml")
