"""Every valid combination of answers renders, to the files it should have, with a Trainer that can be built.

There are some 60,000. None of them is sampled: a file depends on the answers that its Jinja names, and on no
other, so each file is rendered for every combination of *these*, and the projects are put together from
the files. `test_projects_are_copiers` holds the result against `copier.run_copy`.
"""

import ast
import logging
import math
import random
import re
import shutil
import tomllib
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import QUESTIONS, ROOT
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from machines import instantiate, machine
from questionnaire import Questionnaire

# ---- The files of a project: what everyone gets, and what an answer adds --------------------------

NAME, PACKAGE = "Every Lab", "src/every_lab"
COMMON = {
    *(".copier-answers.yml", ".gitignore", ".pre-commit-config.yaml", "README.md", "docs/manual.md", "pyproject.toml"),
    *("configs/trainer.yaml", "configs/base.yaml"),
    *(f"configs/preset/{name}.yaml" for name in ("barebones", "debug", "limit", "overfit")),
    *(f"configs/preset/{name}.yaml" for name in ("production", "profile", "reproducible")),
    *(f"{PACKAGE}/{name}.py" for name in ("__init__", "data", "model")),
    *(f"{PACKAGE}/harness/{name}.py" for name in ("__init__", "cli", "loaders", "main", "optim", "runs")),
    *("tests/test_model.py", "tests/harness/test_harness.py"),
}
SWITCH = re.compile(
    r"{{ '\.' if (?:(?P<name>\w+) == '(?P<value>.+)'|'(?P<member>.+)' in (?P<list>\w+)"
    r"|(?P<one>\w+) in \((?P<of>.+)\)) else '' }}"
)


def added(questions: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """What the folders of the switches hold, by the answer that turns a switch on."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, question in questions.items():
        if isinstance(question, dict) and (switch := SWITCH.fullmatch(str(question.get("default")))):
            folder = ROOT / "template" / f"{{{{ {name} }}}}"
            files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
            kept = [path for path in files if not set(path.parts) & {"__pycache__", ".ruff_cache"}]
            paths = [path.as_posix().replace("{{ package_name }}", PACKAGE.removeprefix("src/")) for path in kept]
            rendered = {path.removesuffix(".jinja") for path in paths if not path.startswith("_")}
            assert rendered, f"{folder} holds nothing"
            values = re.findall(r"'(.+?)'", switch["of"]) if switch["of"] else [switch["value"] or switch["member"]]
            for value in values:
                answer = (switch["name"] or switch["list"] or switch["one"], value)
                assert not rendered & found.get(answer, set()), f"two folders bring one file for {answer}"
                found[answer] = found.get(answer, set()) | rendered
    return found


ADDED = added(QUESTIONS)


def expected_files(answers: dict[str, Any]) -> set[str]:
    listed = ((name, value if isinstance(value, list) else [value]) for name, value in answers.items())
    return COMMON.union(*(ADDED.get((name, value), ()) for name, values in listed for value in values))


# ---- The combinations ---------------------------------------------------------------------------

MACHINE = ("accelerator", "strategy", "precision")
FACTORS = {"machine": MACHINE} | {name: (name,) for name in ("task", "logger", "ci", "container", "license")}
Row = dict[str, tuple[Any, ...]]  # of each factor, the answers to its questions
CALLBACKS = {"checkpoint": ModelCheckpoint, "early_stopping": EarlyStopping, "lr_monitor": LearningRateMonitor}


class Projects:
    """All valid combinations, the answers that each file depends on, and the files, each rendered once."""

    def __init__(self, template: Path, questions: dict[str, Any]) -> None:
        self.questionnaire = Questionnaire(template)
        self.questions = questions
        values = {name: self.choices(name) for names in FACTORS.values() for name in names}
        values["logger"] = [list(some) for n in range(1, 5) for some in combinations(values["logger"], n)]
        self.rows = {factor: list(product(*(values[name] for name in FACTORS[factor]))) for factor in FACTORS}
        machines = ({"machine": row} for row in self.rows["machine"])
        valid = (row for row in machines if not self.questionnaire.refusal(**answers_of(row)))
        self.rows["machine"] = [row["machine"] for row in valid]
        pairs = ({"machine": m, "task": t} for m, t in product(self.rows["machine"], self.rows["task"]))
        self.refused = [row for row in pairs if self.questionnaire.refusal(**answers_of(row))]
        self.questionnaire.render(project_name=NAME)  # for its context: the default answers
        self.defaults = self.questionnaire.context
        self.changes = {
            (factor, str(row)): self.answers(factor, row) for factor, rows in self.rows.items() for row in rows
        }
        self.rendered: dict[tuple[Path, str], bytes] = {}
        self.sources = self.questionnaire.sources()
        self.path_factors = {s: self.factors(str(s)) for s in self.sources}
        self.text_factors = {s: self.factors(self.text(s)) for s in self.sources}

    def choices(self, name: str) -> list[str]:
        choices = self.questions[name]["choices"]
        choices = choices.values() if isinstance(choices, dict) else choices
        return [choice["value"] if isinstance(choice, dict) else choice for choice in choices]

    def answers(self, factor: str, row: tuple[Any, ...]) -> dict[str, Any]:
        """What differs from the default answers when a factor is answered so, all that follows included."""
        answers = self.questionnaire.answer(project_name=NAME, **dict(zip(FACTORS[factor], row, strict=True)))
        return {name: value for name, value in answers.items() if value != self.defaults[name]}

    def text(self, source: Path) -> str:
        """The Jinja of a file; nothing for one that is copied as it is."""
        return (self.questionnaire.template_copy_root / source).read_text() if source.suffix == ".jinja" else ""

    def factors(self, text: str) -> tuple[str, ...]:
        """The factors that a Jinja text depends on, through answers that follow from others as well."""
        names, todo = set(), self.questionnaire.variables(text)
        while todo:
            name = todo.pop()
            names.add(name)
            default = self.questions.get(name, {}).get("default", "")
            asked = any(name in questions for questions in FACTORS.values())
            if isinstance(default, str) and not asked:
                todo |= self.questionnaire.variables(default) - names
        return tuple(factor for factor, questions in FACTORS.items() if names & set(questions))

    def context(self, row: Row) -> dict[str, Any]:
        context = dict(self.defaults)
        for factor, answers in row.items():
            context |= self.changes[factor, str(answers)]
        return context

    def every(self, factors: tuple[str, ...]) -> Iterator[Row]:
        for rows in product(*(self.rows[factor] for factor in factors)):
            if self.valid(row := dict(zip(factors, rows, strict=True))):
                yield row

    def valid(self, row: Row) -> bool:
        return {name: row.get(name) for name in ("machine", "task")} not in self.refused

    def place(self, source: Path, row: Row) -> str:
        """The path of a source in the project of a combination."""
        return self.questionnaire.place(source, self.context({f: row[f] for f in self.path_factors[source]}))

    def fill(self, source: Path, row: Row) -> bytes:
        """What a source renders to for a combination."""
        row = {factor: row[factor] for factor in self.text_factors[source]}
        key = source, str(row)
        if key not in self.rendered:
            self.rendered[key] = self.questionnaire.fill(source, self.context(row))
        return self.rendered[key]

    def project(self, row: Row) -> dict[str, bytes]:
        """The files of a combination, but for the answers file, which holds all answers."""
        places = {source: self.place(source, row) for source in self.sources}
        files = {path: self.fill(source, row) for source, path in places.items() if path}
        return {path: content for path, content in files.items() if path != ".copier-answers.yml"}


def answers_of(row: Row) -> dict[str, Any]:
    pairs = (zip(FACTORS[factor], values, strict=True) for factor, values in row.items())
    return dict(chain.from_iterable(pairs))


@pytest.fixture(scope="module")
def projects(template: Path, questions: dict[str, Any]) -> Projects:
    return Projects(template, questions)


def test_rules_stay_within_the_machine(projects: Projects) -> None:
    """Choices of the machine depend on it and on the task, and no others on anything; there are many combinations."""
    for factor, names in FACTORS.items():
        for name in names:
            choices = projects.questions[name]["choices"]
            values = choices.values() if isinstance(choices, dict) else choices
            rules = [value["validator"] for value in values if isinstance(value, dict)]
            read = set().union(*map(projects.questionnaire.variables, rules)) - {"_copier_conf"}
            assert read <= ({*MACHINE, "task"} if factor == "machine" else set()), name
    others = (len(rows) for factor, rows in projects.rows.items() if factor not in ("machine", "task"))
    assert math.prod(others) * len([*projects.every(("machine", "task"))]) > 50_000


def test_files_read_answers_alone(projects: Projects) -> None:
    """Nothing but answers tells one project's files from another's, so the factors of a file are all of them."""
    own = {"{{ _copier_conf.answers_file }}.jinja": {"_copier_conf", "_copier_answers"}}
    for source in projects.sources:
        read = projects.questionnaire.variables(str(source) + projects.text(source))
        assert read - set(projects.questions) <= own.get(str(source), set()), source


def test_one_source_for_each_file(projects: Projects) -> None:
    """In every combination each file has one source, and the files are those of the table above, no more."""
    together: dict[tuple[str, ...], list[Path]] = {}
    for source, factors in projects.path_factors.items():
        together.setdefault(factors, []).append(source)
    places = {
        factors: {str([*row.values()]): [projects.place(s, row) for s in sources] for row in projects.every(factors)}
        for factors, sources in together.items()
    }
    for row in projects.every(tuple(FACTORS)):
        parts = (paths[str([row[factor] for factor in factors])] for factors, paths in places.items())
        found = [path for part in parts for path in part if path]
        expected = expected_files(answers_of(row))
        assert len(found) == len(set(found)), (row, sorted(found))
        assert set(found) == expected, (row, set(found) ^ expected)


@pytest.mark.slow
def test_every_file_renders(projects: Projects) -> None:
    """Every file renders for every combination of the answers it names, and is well-formed.

    YAML and TOML parse, Python compiles; no line ends in blanks, and the file ends in one line break.
    """
    check = {".yaml": yaml_of, ".yml": yaml_of, ".toml": tomllib.loads, ".py": ast.parse}
    seen = set()
    for source in projects.sources:
        for row in projects.every(tuple(dict.fromkeys(projects.path_factors[source] + projects.text_factors[source]))):
            path = projects.place(source, row)
            if path and (path, content := projects.fill(source, row)) not in seen:
                seen.add((path, content))
                text = content.decode()
                check.get(Path(path).suffix, str)(text)
                if path != ".copier-answers.yml" and text:  # Copier lays that one out
                    assert text.endswith("\n"), (path, row)
                    assert not text.endswith("\n\n"), (path, row)
                    assert not [line for line in text.splitlines() if line != line.rstrip()], (path, row)


def yaml_of(text: str | bytes) -> Any:
    return yaml.load(text, yaml.CSafeLoader)


# ---- The Trainer --------------------------------------------------------------------------------


HARDWARE = {"auto": {}, "cpu": {}, "gpu": {"cuda": 8}, "mps": {"mps": True}, "tpu": {"tpu": 8}}


class Builder:
    """Builds the Trainer that trainer.yaml and base.yaml describe, by jsonargparse, as LightningCLI does.

    Parsing takes far longer than building, and the same parts come again and again: each is parsed once.
    """

    def __init__(self) -> None:
        self.parser = ArgumentParser(exit_on_error=False)
        self.parser.add_class_arguments(Trainer, "trainer", instantiate=False)
        self.load = cache(yaml_of)
        self.parse = cache(lambda text: self.parser.parse_object({"trainer": ast.literal_eval(text)}))
        self.loggers = cache(lambda text: instantiate(self.parser, self.parse(text)).trainer.logger)
        self.callbacks = cache(self.build_callbacks)

    def build_callbacks(self, text: str) -> list[Callback]:
        config = ast.literal_eval(text)
        parser = ArgumentParser(exit_on_error=False)
        for name in config:
            parser.add_class_arguments(CALLBACKS[name], name)
        built = instantiate(parser, parser.parse_object(config))
        return [built[name] for name in config]

    def __call__(self, trainer_yaml: bytes, base_yaml: bytes) -> Trainer:
        base = {k: v for k, v in self.load(base_yaml).items() if k not in ("seed_everything", "model", "data")}
        config = dict(self.load(trainer_yaml))
        config |= {name: config.get(name, {}) | part for name, part in base.items()}
        options = config.pop("trainer")
        strategy, logger = ({name: options.pop(name)} for name in ("strategy", "logger"))
        values = dict(self.parse(str(options)).trainer) | strategy
        if isinstance(strategy["strategy"], dict):  # a strategy belongs to one Trainer
            values["strategy"] = instantiate(self.parser, self.parse(str(strategy))).trainer.strategy
        return Trainer(**values | {"logger": self.loggers(str(logger)), "callbacks": self.callbacks(str(config))})


@pytest.mark.slow
def test_every_trainer(
    projects: Projects, render: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Trainer of every combination can be built on a machine of its kind, with its loggers and callbacks."""
    project = render(tmp_path / "all", project_name=NAME, strategy="fsdp2", logger=projects.choices("logger"))
    monkeypatch.syspath_prepend(project / "src")
    monkeypatch.chdir(tmp_path)  # MLflow makes its database at once
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(logging.getLogger("lightning.pytorch.utilities.rank_zero"), "disabled", True)
    build = Builder()
    (trainer_yaml,) = (s for s in projects.sources if s.match("configs/trainer.yaml.jinja"))
    (base_yaml,) = {frozenset(s for s in projects.sources if s.match("*/configs/base.yaml*"))}
    for values in projects.rows["machine"]:
        with machine(**HARDWARE[values[0]]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for row in projects.every(("logger", "task")):
                row["machine"] = values
                (base,) = (s for s in base_yaml if projects.place(s, row))
                trainer = build(projects.fill(trainer_yaml, row), projects.fill(base, row))
                assert len(trainer.loggers) == len(row["logger"][0]), row
                assert {type(c) for c in trainer.callbacks} >= {ModelCheckpoint, EarlyStopping}, row


# ---- The shortcuts ------------------------------------------------------------------------------


def sample(projects: Projects, count: int) -> list[Row]:
    """Combinations drawn by a fixed seed."""
    draw = random.Random(0)
    drawn = ({factor: draw.choice(rows) for factor, rows in projects.rows.items()} for _ in range(2 * count))
    return [row for row in drawn if projects.valid(row)][:count]


def test_projects_are_copiers(projects: Projects) -> None:
    """What is put together from parts is what Copier's renderer gives, in memory, byte for byte."""
    for row in sample(projects, 60):
        rendered = projects.questionnaire.render(project_name=NAME, **answers_of(row))
        assert yaml_of(rendered.pop(".copier-answers.yml")).items() >= answers_of(row).items(), row
        assert projects.project(row) == rendered, row


@pytest.mark.slow
def test_projects_are_copiers_on_disk(projects: Projects, template: Path, tmp_path: Path) -> None:
    """And what `copier.run_copy` writes; without `unsafe` and `overwrite`, a task or two sources for a path fail."""
    for number, row in enumerate(sample(projects, 12)):
        folder, answers = tmp_path / str(number), {"project_name": NAME, **answers_of(row)}
        copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True)
        written = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        assert yaml_of(written.pop(".copier-answers.yml")).items() >= answers_of(row).items(), row
        assert projects.project(row) == written, row
        assert not [p for p in folder.rglob("*") if p.is_file() and p.stat().st_mode & 0o111], "modes are not compared"


def test_two_sources_for_one_file_are_found(template: Path, tmp_path: Path) -> None:
    """A file that two overlays bring fails a render, rather than the last one winning unseen."""
    shutil.copytree(template, tmp_path / "template")
    for folder in ("{{ ci_github }}", "{{ container_docker }}"):
        (tmp_path / "template" / "template" / folder / "same.txt").write_text(folder)
    with pytest.raises(AssertionError, match=r"two sources render to .*same\.txt"):
        Questionnaire(tmp_path / "template").render()
