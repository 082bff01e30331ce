"""The questions in a terminal, as a person sees and answers them."""

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pyte
import pytest
import yaml

from tests.support.in_memory_copier import InMemoryCopier
from tests.support.template import ANSWERABLE, COPIER_YML, QUESTIONS, TASKS

COLUMNS = 80
# Enough for the questions and for the list of files below them, so that nothing scrolls away.
ROWS = 200
DOWN = "\x1b[B"
ENTER = "\r"
SPACE = " "
CTRL_C = "\x03"
# Seconds until `copier copy` is taken to hang; it takes one or two.
TIMEOUT = 300
CLEAR = "\x7f" * 20
# How each question that is asked starts.
STARTS = {
    "project_name": "What is the project called?",
    "task": "What will the model do?",
    "accelerator": "Where will it run?",
    "strategy": "How do several devices",
    "precision": "Which number format",
    "logger": "Where do metrics go?",
    "ci": "Where will the tests run",
}
# Copier shows it before each question.
QUESTION_MARK = "🎤"


class Terminal:
    """`copier copy` in a terminal of 80 columns; `screen` is what a person sees."""

    def __init__(self, template: Path, folder: Path, *arguments: str) -> None:
        self.display = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.Stream(self.display)
        command = ["-m", "copier", "copy", *arguments, str(template), str(folder)]
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork in a process with threads, and torch has some.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.child = pexpect.spawn(
                sys.executable,
                command,
                env=os.environ | {"TERM": "xterm-256color"},
                dimensions=(ROWS, COLUMNS),
                encoding="utf-8",
            )
        # The prompt asks the terminal where the cursor is.
        self.display.write_process_input = self.child.send

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self.display.display).rstrip()

    def feed(self, seconds: float) -> bool:
        """Read what arrives within this time; False if nothing does."""
        try:
            self.stream.feed(self.child.read_nonblocking(65536, timeout=seconds))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        return True

    def wait_for(self, text: str) -> str:
        """Wait until a text is on the screen and nothing more arrives; return the screen."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.screen and self.child.isalive() and time.monotonic() < deadline:
            self.feed(0.1)
        while self.feed(0.3):
            pass
        assert text in self.screen, self.screen
        return self.screen

    def wait_for_question(self, name: str) -> None:
        self.wait_for(STARTS[name])

    def wait_for_end(self) -> int:
        """Wait until the program ends; return its exit code."""
        while self.child.isalive():
            self.feed(0.1)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """`terminal(*arguments)` starts `copier copy` into the folder `project`."""
    sessions = []

    def start(*arguments: str) -> Terminal:
        session = Terminal(template, tmp_path / "project", *arguments)
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        session.child.close(force=True)


@pytest.mark.slow
def test_person_answers_the_questions(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    """Seven questions are asked; arrow keys answer them, and the answers are recorded."""
    keys = {
        "project_name": CLEAR + "Mac Net",
        "task": DOWN * TASKS.index("tabular"),
        "accelerator": DOWN * 3,
        "strategy": "",
        "precision": DOWN,
        "logger": SPACE + DOWN * 3 + SPACE,
        "ci": DOWN * 2,
    }
    disabled = {
        "strategy": [
            "- ddp - a copy on each device (not supported on mps; use strategy=auto)",
            "- deepspeed_stage_3_offload (requires gpu, not mps; use accelerator=gpu)",
        ],
        "precision": ["- 64-true - float64 (not supported on mps; use precision=32-true)"],
    }
    session = terminal()
    for name, pressed in keys.items():
        session.wait_for_question(name)
        for line in disabled.get(name, []):
            session.wait_for(line)
        if name == "precision":
            session.wait_for("  16-mixed - older GPUs")  # not disabled
        session.child.send(pressed)
        session.child.send(ENTER)
    seen = session.wait_for("README.md explains")
    assert session.wait_for_end() == 0
    assert "Seven questions to a PyTorch Lightning project" in seen
    assert seen.count(QUESTION_MARK) == len(STARTS) == 7
    answers = yaml.safe_load((tmp_path / "project" / ".copier-answers.yml").read_text())
    assert {name: answers[name] for name in STARTS} == {
        "project_name": "Mac Net",
        "task": "tabular",
        "accelerator": "mps",
        "strategy": "auto",
        "precision": "bf16-mixed",
        "logger": ["tensorboard", "mlflow"],
        "ci": "none",
    }


@pytest.mark.slow
def test_refusals_are_visible(terminal: Callable[..., Terminal]) -> None:
    """The fix for a bad name, or for an empty list, is on the screen before it is cut."""
    given = ("task=tabular", "accelerator=auto", "strategy=auto", "precision=32-true")
    arguments = [part for answer in given for part in ("-d", answer)]
    session = terminal(*arguments)
    session.wait_for_question("project_name")
    session.child.send(CLEAR + "torch" + ENTER)
    session.wait_for("'project_name': try 'torch Lab'")
    session.child.send(" Lab" + ENTER)
    session.wait_for_question("logger")
    session.child.send(SPACE + DOWN + SPACE + ENTER)
    session.wait_for("'logger': pick at least one; use logger=[csv]")


@pytest.mark.slow
@pytest.mark.parametrize("answered", [0, 3])
def test_ctrl_c_leaves_nothing(
    terminal: Callable[..., Terminal], tmp_path: Path, answered: int
) -> None:
    """Ctrl-C at a question ends with a message and an error code, and nothing is written."""
    session = terminal()
    names = list(STARTS)
    for name in names[:answered]:
        session.wait_for_question(name)
        session.child.send(ENTER)
    session.wait_for_question(names[answered])
    session.child.send(CTRL_C)
    session.wait_for("Execution stopped by user")
    assert session.wait_for_end() != 0
    assert list(tmp_path.iterdir()) == []


def test_texts_fit_the_terminal(template: Path) -> None:
    """No line of a question or of a message exceeds 80 columns; help has three lines at most."""
    for name in ANSWERABLE:
        first, *others = QUESTIONS[name]["help"].splitlines()
        assert len(f"   {first}") <= COLUMNS, name
        assert len(others) <= 2, name
        for line in others:
            assert line.startswith("   "), name
            assert len(line) <= COLUMNS, name
    questionnaire = InMemoryCopier(template)
    questionnaire.answer()
    for name in ("_message_before_copy", "_message_after_copy", "_message_after_update"):
        # `dst_path` is as long as the user wants.
        text = COPIER_YML[name].replace("_copier_conf.dst_path", "project_slug")
        for line in questionnaire._render_string(text).splitlines():
            assert len(line) <= COLUMNS, line
