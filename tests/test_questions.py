"""The questions: which names and values they take, what they say of others, how they look in a terminal."""

import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import copier
import pexpect
import pyte
import pytest
import yaml
from conftest import TASKS
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from questionnaire import Questionnaire, RefusedError

COPIER = [sys.executable, "-m", "copier"]
ASKED = ("project_name", "task", "accelerator", "strategy", "precision", "logger", "ci")


@pytest.fixture(scope="module")
def questionnaire(template: Path) -> Questionnaire:
    return Questionnaire(template)


@pytest.fixture(scope="module")
def names(template: Path) -> Questionnaire:
    return Questionnaire(template, only=("data", "project_name", "project_slug", "package_name"))


# ---- Names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["my project", "My Project", "x", "Net2", "a.b-c_d", "U-Net.v2", "a" * 60])
def test_name_is_accepted(names: Questionnaire, name: str) -> None:
    """Ordinary names are accepted, and give a package and a command."""
    answers = names.answer(project_name=name)
    assert answers["package_name"].isidentifier()
    assert canonicalize_name(answers["project_slug"]) == answers["project_slug"]


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "123", "a/b", "../up", "a\\b", "Café", "数据", "-a", "a-", "_a", " a", "a'b", 'a"b', "{{ a }}"),
        *("demo\n", "\ndemo", "de\nmo", "de\tmo", "demo\r", "demo\x00", "demo\x1b[0m"),
    ],
)
def test_malformed_name_is_refused(names: Questionnaire, name: str) -> None:
    """A name that is no plain ASCII name is refused, line breaks at its end included, and quoted."""
    quoted = json.dumps(name, ensure_ascii=False)
    assert re.search(f"try 'My Project': .*, not {re.escape(quoted)}$", names.refusal(project_name=name))


def test_long_name_is_refused(names: Questionnaire) -> None:
    """61 characters are too many, and the message counts them."""
    assert "at most 60 characters, this has 61" in names.refusal(project_name="a" * 61)


def dependencies(questionnaire: Questionnaire) -> set[str]:
    """The distributions that any project asks for."""
    found = set()
    for answers in (
        *({"task": task} for task in TASKS),
        {"logger": ["csv", "tensorboard", "wandb", "mlflow"], "accelerator": "tpu"},
        {"accelerator": "gpu", "strategy": "deepspeed_stage_2"},
        {"accelerator": "gpu", "precision": "transformer-engine"},
    ):
        project = tomllib.loads(questionnaire.render(**answers)["pyproject.toml"].decode())
        groups = [project["project"]["dependencies"], project["build-system"]["requires"]]
        groups += project["project"].get("optional-dependencies", {}).values()
        groups += project["dependency-groups"].values()
        found |= {canonicalize_name(Requirement(text).name) for group in groups for text in group}
    return found


def test_name_that_hides_a_module_is_refused(names: Questionnaire, questionnaire: Questionnaire) -> None:
    """No project is named like a module or a keyword of Python, or like a library it needs.

    Each refusal suggests a name that is accepted, for the project and for the package alike.
    """
    needed = dependencies(questionnaire)
    assert {"torch", "mlflow", "wandb", "deepspeed", "torch-xla", "transformer-engine"} <= needed
    modules = {
        module
        for module, distributions in metadata.packages_distributions().items()
        if needed & {canonicalize_name(name) for name in distributions}
    }
    assert {"torch", "sklearn", "PIL"} <= modules
    taken = {*needed, *modules, *keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names}
    for name in sorted(name for name in taken if not name.startswith("_") and name[0] != "~"):
        refusal = names.refusal(project_name=name)
        assert "would hide" in refusal, name
        names.answer(project_name=re.search("try '(.+?)'", refusal)[1])
        if name.isidentifier() and name.islower():
            refusal = names.refusal(package_name=name)
            assert "would hide" in refusal, name
            names.answer(package_name=re.search("try '(.+?)'", refusal)[1])


NAMES = st.from_regex(r"[A-Za-z0-9 ._/'\"\\-]{1,64}", fullmatch=True) | st.text(max_size=64)


@settings(deadline=None, database=None)
@given(name=NAMES)
def test_accepted_name_works(names: Questionnaire, name: str) -> None:
    """Whatever is accepted gives a package that can be imported and a distribution that can be installed."""
    try:
        answers = names.answer(project_name=name)
    except RefusedError:
        return
    package, slug = answers["package_name"], answers["project_slug"]
    assert package.isidentifier()
    assert package.islower()
    assert package not in {*keyword.kwlist, *sys.stdlib_module_names}
    assert Requirement(slug).name == slug == canonicalize_name(slug) == package.replace("_", "-")
    assert re.fullmatch("[A-Za-z0-9 ._-]+", name)  # nothing that a shell, TOML or YAML string would trip over


@settings(deadline=None, database=None)
@given(name=NAMES)
def test_accepted_package_works(names: Questionnaire, name: str) -> None:
    """So does a package name that is given apart."""
    try:
        package = names.answer(package_name=name)["package_name"]
    except RefusedError:
        return
    assert package.isidentifier()
    assert package.isascii()
    assert package not in {*keyword.kwlist, *sys.stdlib_module_names}


# ---- Values given with -d -----------------------------------------------------------------------

# What is given, and what the last line says: the question, the value and what to do about it.
BAD: dict[str, tuple[list[str], str]] = {
    "name": (["project_name=torch"], "'project_name': try 'torch Lab': a package 'torch' would hide"),
    "no name": (["project_name="], "'project_name': try 'My Project'"),
    "two lines": (["project_name=demo\n"], r"'project_name': try 'My Project': .*, not \"demo\\n\""),
    "package": (["package_name=My-Net"], "'package_name': try 'my_project': .*, not \"My-Net\""),
    "task": (["task=vision"], r"'task': 'vision' is not in \['image_classification', "),
    "accelerator": (["accelerator=cuda"], r"'accelerator': 'cuda' is not in \['auto', 'cpu', 'gpu'"),
    "strategy": (["strategy=dp"], r"'strategy': 'dp' is not in \['auto', 'ddp'"),
    "precision": (["precision=16"], r"'precision': '16' is not in \['32-true'"),
    "one logger": (["logger=csv"], r"logger is a list, not \"csv\": answer logger=\[csv,tensorboard\]"),
    "unknown logger": (["logger=[csv,neptune]"], r"'logger': 'neptune' is not in \['csv', "),
    "no logger": (["logger=[]"], r"'logger': pick one at least: answer logger=\[csv\]"),
    "broken list": (["logger=[csv"], r"logger is a list, not \"\[csv\": answer logger="),
    "no nodes": (["num_nodes=0"], "'num_nodes': num_nodes is a number from 1, not 0: answer num_nodes=1"),
    "nodes in words": (["num_nodes=two"], 'num_nodes is a number from 1, not "two": answer num_nodes=1'),
    "devices": (["devices=-1"], "'devices': devices is 'auto' or a number from 1, not \"-1\": answer devices=auto"),
    "ci": (["ci=jenkins"], r"'ci': 'jenkins' is not in \['github', 'gitlab', 'none'\]"),
    "license": (["license=GPL"], r"'license': 'GPL' is not in \['none', 'MIT'"),
    "description": (["description=a\nb"], r"'description': description is one line, not \"a\\nb\": take out"),
    "author": (["author_name=a\tb"], "'author_name': author_name is one line, .*: take out"),
    "unknown question": (["tsak=tabular"], "there is no question tsak: answer any of project_name, .*task, "),
    "two unknown": (["a=1", "b=2"], "there is no question a, b: answer any of project_name"),
    "overlay": (["task_tabular=."], "there is no question task_tabular: answer any of project_name"),
    "slug": (["project_slug=other"], "there is no question project_slug: answer any of project_name"),
    "the check itself": (["data=fine"], "there is no question data: answer any of project_name"),
    "ddp on mps": (["accelerator=mps", "strategy=ddp"], "'strategy': ddp does not run on mps: answer strategy=auto"),
    "fsdp on cpu": (
        ["accelerator=cpu", "strategy=fsdp"],
        "'strategy': fsdp needs gpu, not cpu: answer accelerator=gpu",
    ),
    "deepspeed": (["strategy=deepspeed_stage_3"], "'strategy': deepspeed_stage_3 needs gpu, not auto: answer accel"),
    "mixed on tpu": (["accelerator=tpu", "precision=16-mixed"], "'precision': 16-mixed is not for tpu: answer prec"),
    "float64 on mps": (["accelerator=mps", "precision=64-true"], "'precision': 64-true is not for mps: answer prec"),
    "fp8 and fsdp2": (
        ["accelerator=gpu", "strategy=fsdp2", "precision=transformer-engine"],
        "'precision': transformer-engine is not for fsdp2: answer precision=bf16-mixed",
    ),
    "tpu's devices": (["accelerator=tpu", "devices=2"], "'devices': a TPU host has 1, 4 or 8 devices, not 2: answer"),
    "mps's nodes": (["accelerator=mps", "num_nodes=2"], "'num_nodes': mps trains on one machine here, not 2: answer"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_value_is_refused(questionnaire: Questionnaire, case: str) -> None:
    """A bad value is refused in one line with the rule, the value and what to do instead."""
    given, message = BAD[case]
    refusal = questionnaire.refusal(**dict(text.split("=", 1) for text in given))
    assert re.search(message, refusal), refusal
    assert "\n" not in refusal


# Of each kind one by the real command line, which takes a second or two.
REAL = (
    *("name", "two lines", "task", "one logger", "unknown logger", "no logger", "no nodes", "nodes in words"),
    *("devices", "description", "unknown question", "overlay", "ddp on mps", "fp8 and fsdp2"),
)


@pytest.mark.slow
def test_bad_values_on_the_command_line(questionnaire: Questionnaire, template: Path, tmp_path: Path) -> None:
    """`copier copy -d` fails, ends in the clear line, and writes nothing."""

    def run(case: str) -> subprocess.CompletedProcess[str]:
        data = [part for text in BAD[case][0] for part in ("-d", text)]
        command = [*COPIER, "copy", "--defaults", *data, str(template), case]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    with ThreadPoolExecutor(2) as pool:
        results = dict(zip(REAL, pool.map(run, REAL), strict=True))
    for case, result in results.items():
        refusal = questionnaire.refusal(**dict(text.split("=", 1) for text in BAD[case][0]))
        assert result.returncode != 0, case
        assert result.stderr.splitlines()[-1] == f"ValueError: {refusal}", case
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("question", ["accelerator", "strategy", "precision", "task", "logger", "ci", "license"])
def test_one_answer_and_defaults(questionnaire: Questionnaire, questions: dict[str, Any], question: str) -> None:
    """Any single answer with `--defaults` works, or is refused in words of this template: no default is disabled."""
    choices = questions[question]["choices"]
    values = choices.values() if isinstance(choices, dict) else choices
    for value in (value["value"] if isinstance(value, dict) else value for value in values):
        answer = [value] if question == "logger" else value
        if refusal := questionnaire.refusal(**{question: answer}):
            assert question in ("strategy", "precision"), refusal
            assert re.search(f"'{question}': {value} .+: answer \\w+=", refusal), refusal
        else:
            assert questionnaire.answer(**{question: answer})[question] == answer


@pytest.mark.parametrize(
    ("accelerator", "precision"),
    [("auto", "32-true"), ("cpu", "32-true"), ("gpu", "bf16-mixed"), ("mps", "32-true"), ("tpu", "bf16-true")],
)
def test_precision_follows_the_accelerator(questionnaire: Questionnaire, accelerator: str, precision: str) -> None:
    """The default precision of each accelerator is one that it takes, with each strategy that it takes."""
    assert questionnaire.answer(accelerator=accelerator)["precision"] == precision
    for strategy in ("ddp", "fsdp", "fsdp2", "deepspeed_stage_2"):
        if "'strategy'" not in questionnaire.refusal(accelerator=accelerator, strategy=strategy):
            assert questionnaire.answer(accelerator=accelerator, strategy=strategy)["precision"] == precision


def test_known_questions_are_the_questions(questionnaire: Questionnaire, questions: dict[str, Any]) -> None:
    """What the check of `-d` knows is what copier.yml asks, in its order; what is worked out is refused."""
    asked = [name for name, question in questions.items() if "help" in question]
    listed = re.search("answer any of (.+)", questionnaire.refusal(nonsense=1))[1].split(", ")
    assert listed == asked
    for name in set(questions) - set(asked):
        assert f"there is no question {name}:" in questionnaire.refusal(**{name: "."})


def test_numbers_may_be_numbers(questionnaire: Questionnaire) -> None:
    """A data file and the API give numbers and lists as such."""
    answers = questionnaire.answer(num_nodes=2, devices=4, python_version=3.12, logger=["wandb", "csv"])
    assert [answers[name] for name in ("num_nodes", "devices", "python_version")] == [2, "4", "3.12"]
    assert answers["logger"] == ["csv", "wandb"] == questionnaire.answer(logger="[wandb, 'csv']")["logger"]


def test_answers_file_holds_the_questions(questionnaire: Questionnaire, questions: dict[str, Any]) -> None:
    """Every question is recorded, and nothing that is worked out from them."""
    recorded = yaml.safe_load(questionnaire.render()[".copier-answers.yml"])
    asked = {name for name, question in questions.items() if question.get("when", True)}
    assert {name for name in recorded if not name.startswith("_")} == asked


# ---- Updates ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_update_drops_a_question(template: Path, tmp_path: Path) -> None:
    """An update may give up a question that a project answered; a question that never was is still refused."""

    def git(folder: Path, *args: str) -> None:
        author = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *author, *args], cwd=folder, check=True, capture_output=True)

    source, project = tmp_path / "template", tmp_path / "project"
    shutil.copytree(template, source)
    config, names = source / "copier.yml", source / "rules" / "names.jinja"
    new = config.read_text(), names.read_text()
    config.write_text(new[0].replace("\ndevices:\n", "\nold:\n  type: str\n  ask: false\n  default: x\n\ndevices:\n"))
    names.write_text(new[1].replace("project_name package_name", "project_name old package_name"))
    assert (config.read_text(), names.read_text()) != new
    git(source, "init", "-q")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "one")
    git(source, "tag", "1.0.0")
    copier.run_copy(str(source), project, data={"task": "tabular", "old": "y"}, defaults=True, quiet=True)
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "one")
    config.write_text(new[0])
    names.write_text(new[1])
    git(source, "commit", "-qam", "two")
    git(source, "tag", "2.0.0")

    with pytest.raises(ValueError, match="there is no question old: answer any of"):
        copier.run_update(project, data={"old": "z"}, defaults=True, overwrite=True, quiet=True)
    copier.run_update(project, data={"accelerator": "cpu"}, defaults=True, overwrite=True, quiet=True)
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text())
    assert (answers["_commit"], answers["task"], answers["accelerator"]) == ("2.0.0", "tabular", "cpu")
    assert "old" not in answers


# ---- In a terminal ------------------------------------------------------------------------------

DOWN, ENTER, CTRL_C = "\x1b[B", "\r", "\x03"


class Terminal:
    """`copier copy` in a terminal of 80 columns; `screen` is what a person sees."""

    def __init__(self, template: Path, folder: Path, *args: str) -> None:
        self.display = pyte.Screen(80, 100)
        self.stream = pyte.Stream(self.display)
        environment = os.environ | {"TERM": "xterm-256color"}
        command = [*COPIER, "copy", *args, str(template), str(folder)]
        size = (self.display.lines, self.display.columns)
        with warnings.catch_warnings():  # Python 3.12 warns of any fork where there are threads, as torch's
            warnings.simplefilter("ignore", DeprecationWarning)
            self.child = pexpect.spawn(command[0], command[1:], env=environment, dimensions=size, encoding="utf-8")
        self.display.write_process_input = self.child.send  # the prompt asks where the cursor is

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self.display.display).rstrip()

    def feed(self, seconds: float) -> bool:
        """Read what comes within some seconds; False where nothing comes."""
        try:
            self.stream.feed(self.child.read_nonblocking(65536, timeout=seconds))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        return True

    def read(self, text: str) -> str:
        """Wait, for a minute at most, until the screen has a text, and is drawn to its end."""
        deadline = time.monotonic() + 60
        while text not in self.screen and self.child.isalive() and time.monotonic() < deadline:
            self.feed(0.1)
        while self.feed(0.3):
            pass
        assert text in self.screen, self.screen
        return self.screen

    def question(self, start: str) -> str:
        """Wait for a question; return what the screen has from there on."""
        return self.read(start).rpartition(start)[2]

    def end(self) -> int:
        """Wait for the program's end; return its exit code."""
        while self.child.isalive():
            self.feed(0.1)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened = []

    def run(*args: str) -> Terminal:
        opened.append(Terminal(template, tmp_path / "project", *args))
        return opened[-1]

    yield run
    for session in opened:
        session.child.close(force=True)


STARTS = (
    *("What is the project called?", "What will the model do?", "Where will it run?"),
    *("How do several devices", "Which numbers", "Where do metrics go?", "Where will its tests run"),
)


@pytest.mark.slow
def test_a_person_answers(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    """Seven questions are asked; arrow keys answer them, and the answers are on record."""
    session = terminal()
    keys = ("\x7f" * 20 + "Mac Net", DOWN * TASKS.index("tabular"), DOWN * 3, "", DOWN, " " + DOWN * 3 + " ", DOWN * 2)
    for start, pressed in zip(STARTS, keys, strict=True):
        seen = session.question(start)
        if start == "How do several devices":
            assert "- ddp - a copy on each device (does not run on mps: answer strategy=auto)" in seen
            assert "- deepspeed_stage_3_offload (needs gpu, not mps: answer accelerator=gpu)" in seen
        if start == "Which numbers":
            assert "- 64-true - double precision (is not for mps: answer precision=32-true)" in seen
            assert "  16-mixed - older GPUs" in seen  # mps takes it
        session.child.send(pressed)
        session.child.send(ENTER)
    seen = session.read("README.md there says")
    assert session.end() == 0
    assert "A Lightning project in seven questions" in seen
    assert seen.count("🎤") == len(STARTS) == len(ASKED) == 7
    answers = yaml.safe_load((tmp_path / "project" / ".copier-answers.yml").read_text())
    assert {name: answers[name] for name in ASKED} == {
        "project_name": "Mac Net",
        "task": "tabular",
        "accelerator": "mps",
        "strategy": "auto",
        "precision": "bf16-mixed",
        "logger": ["tensorboard", "mlflow"],
        "ci": "none",
    }


@pytest.mark.slow
def test_a_bad_name_and_no_logger_are_explained(terminal: Callable[..., Terminal]) -> None:
    """What to do about a bad name, or an empty list, is on the screen before it is cut at 80 columns."""
    session = terminal("-d", "task=tabular", "-d", "accelerator=auto", "-d", "strategy=auto", "-d", "precision=32-true")
    session.question("What is the project called?")
    session.child.send("\x7f" * 20 + "torch" + ENTER)
    session.read("'project_name': try 'torch Lab'")
    session.child.send(" Lab" + ENTER)
    session.question("Where do metrics go?")
    session.child.send(" " + DOWN + " " + ENTER)
    session.read("'logger': pick one at least: answer logger=[csv]")


@pytest.mark.slow
@pytest.mark.parametrize("answered", [0, 3])
def test_ctrl_c_leaves_nothing(terminal: Callable[..., Terminal], tmp_path: Path, answered: int) -> None:
    """Ctrl-C at a question ends with a word and an error, and nothing is written."""
    session = terminal()
    for start in STARTS[:answered]:
        session.question(start)
        session.child.send(ENTER)
    session.question(STARTS[answered])
    session.child.send(CTRL_C)
    session.read("Execution stopped by user")
    assert session.end() != 0
    assert list(tmp_path.iterdir()) == []


def test_help_fits_the_terminal(questionnaire: Questionnaire, questions: dict[str, Any]) -> None:
    """No line of a question, or of the welcome, is cut or broken at 80 columns; each question has help."""
    for name, question in questions.items():
        if name == "origin" or not question.get("when", True):  # which nobody is asked
            continue
        lines = question["help"].splitlines()
        assert len(f"   {lines[0]}") <= 80, name
        assert all(line.startswith("   ") and len(line) <= 80 for line in lines[1:]), name
        assert len(lines) <= 3, name
    questionnaire.answer()
    for message in ("message_before_copy", "message_after_copy", "message_after_update"):
        text = questionnaire._render_string(questionnaire.template.config_data[message].replace("dst_path", "sep"))
        assert all(len(line) <= 80 for line in text.splitlines()), message
