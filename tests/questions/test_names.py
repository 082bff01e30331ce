"""Which names a project and its package may have."""

import json
import keyword
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.in_memory_copier import InMemoryCopier, RefusedError
from tests.support.template import LOGGERS, TASKS

RESERVED_BY_PYTHON = {*keyword.kwlist, *sys.stdlib_module_names}
# Between them, these ask for every package that a project can depend on.
ALL_DEPENDENCIES: list[dict[str, Any]] = [{"task": task} for task in TASKS]
ALL_DEPENDENCIES += [
    {"logger": LOGGERS, "accelerator": "tpu"},
    {"accelerator": "gpu", "strategy": "deepspeed_stage_2"},
    {"accelerator": "gpu", "precision": "transformer-engine"},
]


@pytest.fixture(scope="module")
def names(template: Path) -> InMemoryCopier:
    """The questions about names alone."""
    questions = ("checked_answers", "project_name", "project_slug", "package_name")
    return InMemoryCopier(template, only=questions)


# ---- Project names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["my project", "My Project", "x", "Net2", "a.b-c_d", "U-Net.v2", "a" * 60],
)
def test_ordinary_name_is_accepted(names: InMemoryCopier, name: str) -> None:
    """An ordinary name is accepted and gives a valid package and command."""
    answers = names.answer(project_name=name)
    assert answers["package_name"].isidentifier()
    assert canonicalize_name(answers["project_slug"]) == answers["project_slug"]


MALFORMED_NAMES = ["", " ", "123", "a/b", "../up", "a\\b", "Café", "数据", "-a", "a-", "_a", " a"]
MALFORMED_NAMES += ["a'b", 'a"b', "{{ a }}", "demo\n", "\ndemo", "de\nmo", "de\tmo", "demo\r"]
MALFORMED_NAMES += ["demo\x00", "demo\x1b[0m"]


@pytest.mark.parametrize("name", MALFORMED_NAMES)
def test_malformed_name_is_refused(names: InMemoryCopier, name: str) -> None:
    """A name with other characters, also a line break at its end, is refused and quoted."""
    quoted = re.escape(json.dumps(name, ensure_ascii=False))
    assert re.search(f"try 'My Project': .*, not {quoted}$", names.refusal(project_name=name))


def test_long_name_is_refused(names: InMemoryCopier) -> None:
    """A name of 61 characters is refused, and the message counts them."""
    refusal = names.refusal(project_name="a" * 61)
    assert "shorten it to 60 characters: this name has 61" in refusal


# ---- Names that hide a module --------------------------------------------------------------------


def all_dependencies(template: Path) -> set[str]:
    """The distributions that some project depends on."""
    copier = InMemoryCopier(template)
    found = set()
    for answers in ALL_DEPENDENCIES:
        pyproject = tomllib.loads(copier.render(**answers)["pyproject.toml"].decode())
        project = pyproject["project"]
        groups = [project["dependencies"], pyproject["build-system"]["requires"]]
        groups += project.get("optional-dependencies", {}).values()
        groups += pyproject["dependency-groups"].values()
        for group in groups:
            found |= {canonicalize_name(Requirement(text).name) for text in group}
    return found


def modules_of(distributions: set[str]) -> set[str]:
    """The top-level modules that installed distributions provide."""
    found = set()
    for module, providers in metadata.packages_distributions().items():
        if distributions & {canonicalize_name(name) for name in providers}:
            found.add(module)
    return found


def suggestion(refusal: str) -> str:
    """The name that a refusal suggests."""
    match = re.search("try '(.+?)'", refusal)
    assert match, refusal
    return match[1]


def test_name_that_hides_a_module_is_refused(names: InMemoryCopier, template: Path) -> None:
    """No project is named like a module or keyword of Python, or like a library that it installs.

    Each refusal suggests a name that is accepted, for the project as well as for the package.
    """
    distributions = all_dependencies(template)
    known = {"torch", "mlflow", "wandb", "deepspeed", "torch-xla", "transformer-engine"}
    assert known <= distributions
    modules = modules_of(distributions)
    assert {"torch", "sklearn", "PIL"} <= modules
    taken = {*distributions, *modules, *keyword.softkwlist, *RESERVED_BY_PYTHON}
    for name in sorted(taken):
        if not name[0].isalpha():  # refused as malformed
            continue
        refusal = names.refusal(project_name=name)
        assert "would hide" in refusal, name
        assert names.answer(project_name=suggestion(refusal))
        if name.isidentifier() and name.islower():
            refusal = names.refusal(package_name=name)
            assert "would hide" in refusal, name
            assert names.answer(package_name=suggestion(refusal))


# ---- Any name ------------------------------------------------------------------------------------

ANY_NAME = st.from_regex(r"[A-Za-z0-9 ._/'\"\\-]{1,64}", fullmatch=True) | st.text(max_size=64)


@settings(deadline=None, database=None)
@given(name=ANY_NAME)
def test_accepted_project_name_works(names: InMemoryCopier, name: str) -> None:
    """Any accepted name gives an importable package and an installable distribution."""
    try:
        answers = names.answer(project_name=name)
    except RefusedError:
        return
    package = answers["package_name"]
    slug = answers["project_slug"]
    assert package.isidentifier()
    assert package.islower()
    assert package not in RESERVED_BY_PYTHON
    assert Requirement(slug).name == slug == canonicalize_name(slug)
    assert package.replace("_", "-") == slug
    # Nothing that needs quoting in a shell, TOML or YAML.
    assert re.fullmatch("[A-Za-z0-9 ._-]+", name)


@settings(deadline=None, database=None)
@given(name=ANY_NAME)
def test_accepted_package_name_works(names: InMemoryCopier, name: str) -> None:
    """Any accepted package name can be imported."""
    try:
        package = names.answer(package_name=name)["package_name"]
    except RefusedError:
        return
    assert package.isidentifier()
    assert package.isascii()
    assert package not in RESERVED_BY_PYTHON
