"""Every valid combination of answers renders to the files that it should have.

There are more than 200,000 of them, and all are tested: combinations.py explains how. The tests at
the end compare its result with Copier's.
"""

import ast
import math
import random
import re
import tomllib
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml

from tests.rendering.combinations import (
    ANSWERS_FILE,
    FACTORS,
    PROJECT_NAME,
    Combinations,
    Row,
    answers_of,
)
from tests.support.expectations import overlays
from tests.support.files import relative_paths
from tests.support.template import QUESTIONS, TABLES, listed_choices, overlay_folder

PACKAGE = "every_lab"
# Names that only Copier defines.
COPIER_NAMES = {"_copier_conf", "_copier_answers"}
# Which the answers do not decide: it is the same file, whatever is in it.
NAME_OF_ANSWERS_FILE = "_copier_conf.answers_file"


def load_yaml(text: str | bytes) -> Any:
    return yaml.load(text, yaml.CSafeLoader)


CHECKS: dict[str, Callable[[str], Any]] = {
    ".yaml": load_yaml,
    ".yml": load_yaml,
    ".toml": tomllib.loads,
    ".py": ast.parse,
}


# ---- The premises --------------------------------------------------------------------------------


def test_rules_stay_within_a_factor(combinations: Combinations) -> None:
    """Choices depend on answers of their own factor, and those about the machine on the task."""
    for factor, names in FACTORS.items():
        allowed = {*names, "task"} if factor == "machine" else set(names)
        for name in names:
            for validator in validators(name):
                read = combinations.copier.variables(validator) - COPIER_NAMES
                assert read <= allowed, name
    counts = [len(rows) for rows in combinations.rows.values()]
    machines = len(combinations.rows["machine"]) * len(combinations.rows["task"])
    valid = math.prod(counts) * (1 - len(combinations.refused) / machines)
    assert valid > 200_000


def validators(question: str) -> list[str]:
    """The rules of a question's choices; those that are rendered from a table depend on nothing."""
    if question in TABLES:
        return []
    return [choice["validator"] for choice in listed_choices(question) if isinstance(choice, dict)]


def test_files_depend_on_answers_alone(combinations: Combinations) -> None:
    """Files read nothing but answers, so the factors of a file are all that it depends on."""
    for source in combinations.sources:
        text = str(source) + combinations.jinja(source)
        text = text.replace(NAME_OF_ANSWERS_FILE, repr(ANSWERS_FILE))
        read = combinations.copier.variables(text) - set(QUESTIONS)
        is_answers_file = NAME_OF_ANSWERS_FILE in str(source)
        assert read <= (COPIER_NAMES if is_answers_file else set()), source


def test_entries_depend_on_one_answer(combinations: Combinations) -> None:
    """Every entry of the mapping `overlay` is decided by a single question."""
    expressions = re.findall(r"when\((.+)\) }}", QUESTIONS["overlay"]["default"])
    assert expressions
    for expression in expressions:
        read = combinations.copier.variables(f"{{{{ {expression} }}}}") - {"name"}
        assert len(read) == 1, expression


# ---- The files -----------------------------------------------------------------------------------


def expected_files(answers: dict[str, Any]) -> set[str]:
    """The files of the common folders, and of the overlays that the answers choose."""
    found = set(rendered_files(overlay_folder("tabular").parent))
    for overlay in overlays(answers):
        added = rendered_files(overlay_folder(overlay))
        assert not found & added, f"{overlay} brings {found & added} once more"
        found |= added
    return found


@cache
def rendered_files(folder: Path) -> frozenset[str]:
    """The paths in a project of a folder's files, without those of overlays in it."""
    found = set()
    for path in relative_paths(folder):
        parts = path.split("/")
        if "overlay." in path or "__pycache__" in parts or ".ruff_cache" in parts:
            continue
        if re.match("_[^_]", parts[-1]):  # a part that is not rendered
            continue
        path = path.replace("{{ package_name }}", PACKAGE)
        path = path.replace("{{ _copier_conf.answers_file }}", ANSWERS_FILE)
        found.add(path.removesuffix(".jinja"))
    return frozenset(found)


def test_every_file_has_one_source(combinations: Combinations) -> None:
    """In every combination each file has one source, and the files are the expected ones."""
    # The paths of the sources that depend on the same factors, for every combination of these.
    groups: dict[tuple[str, ...], list[Path]] = {}
    for source, factors in combinations.path_factors.items():
        groups.setdefault(factors, []).append(source)
    paths: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for factors, sources in groups.items():
        paths[factors] = {}
        for row in combinations.every(factors):
            rendered = [combinations.path(source, row) for source in sources]
            paths[factors][str(list(row.values()))] = [path for path in rendered if path]
    other_factors = tuple(factor for factor in FACTORS if factor not in ("machine", "task"))
    for kind, rest in product(kinds_of_machines(combinations), combinations.every(other_factors)):
        row = kind | rest
        found: list[str] = []
        for factors, by_row in paths.items():
            found += by_row[str([row[factor] for factor in factors])]
        assert len(found) == len(set(found)), (row, sorted(found))
        expected = expected_files(answers_of(row))
        assert set(found) == expected, (row, set(found) ^ expected)


def kinds_of_machines(combinations: Combinations) -> list[Row]:
    """The combinations of machine and task; one machine stands for all that have its files.

    They have the same files if they place the same ones, and should have the same overlays.
    """
    sources = []
    for source, factors in combinations.path_factors.items():
        if "machine" in factors:
            sources.append(source)
    kinds: dict[str, Row] = {}
    for row in combinations.every(("machine", "task")):
        paths = [combinations.path(source, row) for source in sources]
        expected = overlays({**answers_of(row), "logger": []})
        kinds.setdefault(str([paths, sorted(expected)]), row)
    return list(kinds.values())


@pytest.mark.slow
def test_every_file_renders(combinations: Combinations) -> None:
    """Every file renders to well-formed text for all combinations of the answers that it reads.

    YAML and TOML parse, Python compiles; no line ends in spaces, and the file ends in one newline.
    """
    seen = set()
    for source in combinations.sources:
        factors = combinations.path_factors[source] + combinations.text_factors[source]
        for row in combinations.every(tuple(dict.fromkeys(factors))):
            path = combinations.path(source, row)
            if not path:
                continue
            content = combinations.content(source, row)
            if (path, content) not in seen:
                seen.add((path, content))
                assert_well_formed(path, content.decode())


def assert_well_formed(path: str, text: str) -> None:
    check = CHECKS.get(Path(path).suffix)
    if check:
        check(text)
    if path == ANSWERS_FILE:  # Copier lays it out
        return
    assert text.endswith("\n"), path
    assert not text.endswith("\n\n"), path
    for line in text.splitlines():
        assert line == line.rstrip(), (path, line)


# ---- The comparison with Copier ------------------------------------------------------------------


def sample(combinations: Combinations, count: int) -> list[Row]:
    """Combinations drawn with a fixed seed."""
    draw = random.Random(0)
    found: list[Row] = []
    while len(found) < count:
        row = {factor: draw.choice(rows) for factor, rows in combinations.rows.items()}
        if combinations.is_valid(row):
            found.append(row)
    return found


def assert_recorded(answers_file: bytes, row: Row) -> None:
    recorded = load_yaml(answers_file)
    assert recorded.items() >= answers_of(row).items(), row


def test_projects_are_those_of_the_renderer(combinations: Combinations) -> None:
    """A project put together from its files is what Copier's renderer gives, byte for byte."""
    for row in sample(combinations, 60):
        rendered = combinations.copier.render(project_name=PROJECT_NAME, **answers_of(row))
        assert_recorded(rendered.pop(ANSWERS_FILE), row)
        assert combinations.project(row) == rendered, row


@pytest.mark.slow
def test_projects_are_those_of_copier(
    combinations: Combinations, template: Path, tmp_path: Path
) -> None:
    """It is also what `copier.run_copy` writes, without `unsafe` and `overwrite`.

    So a task, or two sources for one file, would fail. No file is executable, which is not
    compared.
    """
    for number, row in enumerate(sample(combinations, 6)):
        folder = tmp_path / str(number)
        answers = {"project_name": PROJECT_NAME, **answers_of(row)}
        copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True)
        files = relative_paths(folder)
        assert not [path for path, file in files.items() if file.stat().st_mode & 0o111]
        written = {path: file.read_bytes() for path, file in files.items()}
        assert_recorded(written.pop(ANSWERS_FILE), row)
        assert combinations.project(row) == written, row
