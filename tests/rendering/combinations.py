"""All valid combinations of answers, and the files of each, without rendering each project.

A file depends on the answers that its Jinja names, and on no others. So each file is rendered once
for every combination of *these*, and the project of any combination is put together from its files.
"""

import re
from collections.abc import Iterator
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

from tests.support.in_memory_copier import MACHINE_QUESTIONS, InMemoryCopier
from tests.support.template import LOGGERS, QUESTIONS, choices

PROJECT_NAME = "Every Lab"
ANSWERS_FILE = ".copier-answers.yml"
OVERLAY_FOLDER = re.compile(r"{{ overlay\.(\w+) }}")
MACHINE = ("accelerator", "strategy", "precision")
# What varies: one question, or several whose rules depend on each other.
FACTORS = {"machine": MACHINE, "host": ("ci", "release")}
FACTORS |= {name: (name,) for name in ("task", "logger", "container", "license")}
# For each factor, the answers to its questions.
Row = dict[str, tuple[Any, ...]]


def answers_of(row: Row) -> dict[str, Any]:
    """The answers of a row by question."""
    pairs = [zip(FACTORS[factor], values, strict=True) for factor, values in row.items()]
    return dict(chain.from_iterable(pairs))


def logger_lists() -> list[list[str]]:
    """Every answer to the question of loggers, of which several can be chosen."""
    found = []
    for count in range(1, len(LOGGERS) + 1):
        found += [list(chosen) for chosen in combinations(LOGGERS, count)]
    return found


class Combinations:
    """All valid combinations of answers, and their files."""

    def __init__(self, template: Path) -> None:
        self.copier = InMemoryCopier(template)
        questions = {*MACHINE_QUESTIONS, *chain.from_iterable(FACTORS.values()), "loggers"}
        self.rules = InMemoryCopier(template, only=questions)
        self.copier.render(project_name=PROJECT_NAME)
        self.defaults = self.copier.context  # of the default answers
        self.rows = {factor: self.all_answers(names) for factor, names in FACTORS.items()}
        for factor in FACTORS:
            valid = [row[factor] for row in self.single_rows(factor) if not self.refusal(row)]
            self.rows[factor] = valid
        # The only rule between factors: some tasks cannot be trained with some strategies.
        self.refused = {
            (machine, task)
            for machine, task in product(self.rows["machine"], self.rows["task"])
            if self.refusal({"machine": machine, "task": task})
        }
        self.changes = {}
        for factor, rows in self.rows.items():
            for values in rows:
                self.changes[factor, str(values)] = self.changed_answers(factor, values)
        self.entry_factors = self.find_entry_factors()
        self.sources = self.copier.sources()
        self.path_factors = {source: self.factors_of_path(source) for source in self.sources}
        self.text_factors = {source: self.factors(self.jinja(source)) for source in self.sources}
        self.rendered: dict[tuple[Path, str], bytes] = {}

    # ---- Which combinations there are -----------------------------------------------------------

    def all_answers(self, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
        offered = [logger_lists() if name == "logger" else choices(name) for name in names]
        return list(product(*offered))

    def single_rows(self, factor: str) -> Iterator[Row]:
        for values in self.rows[factor]:
            yield {factor: values}

    def refusal(self, row: Row) -> str:
        return self.rules.refusal(**answers_of(row))

    def every(self, factors: tuple[str, ...]) -> Iterator[Row]:
        """Every valid combination of these factors."""
        for values in product(*(self.rows[factor] for factor in factors)):
            row = dict(zip(factors, values, strict=True))
            if self.is_valid(row):
                yield row

    def is_valid(self, row: Row) -> bool:
        return (row.get("machine"), row.get("task")) not in self.refused

    # ---- What a file depends on -----------------------------------------------------------------

    def changed_answers(self, factor: str, values: tuple[Any, ...]) -> dict[str, Any]:
        """The answers that differ from the default ones, including those computed from others."""
        given = dict(zip(FACTORS[factor], values, strict=True))
        answers = self.copier.answer(project_name=PROJECT_NAME, **given)
        changed = {}
        for name, answer in answers.items():
            if answer != self.defaults[name]:
                changed[name] = answer
        return changed

    def jinja(self, source: Path) -> str:
        """The Jinja of a file; empty for a file that is copied as it is."""
        if source.suffix != ".jinja":
            return ""
        return (self.copier.template_copy_root / source).read_text()

    def factors(self, text: str) -> tuple[str, ...]:
        """The factors that a Jinja text depends on, also through computed answers."""
        questions = set(chain.from_iterable(FACTORS.values()))
        names: set[str] = set()
        remaining = self.copier.variables(text)
        while remaining:
            name = remaining.pop()
            names.add(name)
            default = QUESTIONS.get(name, {}).get("default", "")
            if isinstance(default, str) and name not in questions:
                remaining |= self.copier.variables(default) - names
        return tuple(factor for factor, asked in FACTORS.items() if names & set(asked))

    def factors_of_path(self, source: Path) -> tuple[str, ...]:
        """The factors that a path depends on, also through the entries of `overlay` in it."""
        path = str(source)
        found = set(self.factors(OVERLAY_FOLDER.sub("", path)))
        for name in OVERLAY_FOLDER.findall(path):
            found.add(self.entry_factors[name])
        return tuple(factor for factor in FACTORS if factor in found)

    def find_entry_factors(self) -> dict[str, str]:
        """The factor that changes each entry of the mapping `overlay`: there is exactly one."""
        found: dict[str, str] = {}
        for (factor, _), changed in self.changes.items():
            for name in self.changed_entries(changed.get("overlay", {})):
                assert found.setdefault(name, factor) == factor, name
        return found

    # ---- The files of a combination -------------------------------------------------------------

    def context(self, row: Row) -> dict[str, Any]:
        context = dict(self.defaults)
        overlay = dict(context["overlay"])
        for factor, values in row.items():
            changed = dict(self.changes[factor, str(values)])
            overlay |= self.changed_entries(changed.pop("overlay", {}))
            context |= changed
        return context | {"overlay": overlay}

    def changed_entries(self, overlay: dict[str, str]) -> dict[str, str]:
        """The entries of the mapping that differ from the default ones."""
        default = self.defaults["overlay"]
        return {name: place for name, place in overlay.items() if place != default[name]}

    def path(self, source: Path, row: Row) -> str:
        """The path of a source in the project of a combination; empty if it is not rendered."""
        used = {factor: row[factor] for factor in self.path_factors[source]}
        return self.copier.destination(source, self.context(used))

    def content(self, source: Path, row: Row) -> bytes:
        """What a source renders to for a combination."""
        used = {factor: row[factor] for factor in self.text_factors[source]}
        key = (source, str(used))
        if key not in self.rendered:
            self.rendered[key] = self.copier.content(source, self.context(used))
        return self.rendered[key]

    def project(self, row: Row) -> dict[str, bytes]:
        """The files of a combination, except the answers file, which depends on all answers."""
        files = {}
        for source in self.sources:
            path = self.path(source, row)
            if path and path != ANSWERS_FILE:
                files[path] = self.content(source, row)
        return files
