"""The questions in a terminal, as a person sees and answers them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.in_memory_copier import InMemoryCopier
from tests.support.template import ANSWERABLE, COPIER_YML, QUESTIONS, TASKS
from tests.support.terminal import (
    CLEAR,
    COLUMNS,
    CTRL_C,
    DOWN,
    ENTER,
    SPACE,
    STARTS,
    Terminal,
)

# Copier shows it before each question.
QUESTION_MARK = "🎤"


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """`terminal(*arguments)` starts `copier copy` into the folder `project`."""
    sessions = []

    def start(*arguments: str) -> Terminal:
        session = Terminal("copy", *arguments, str(template), "project", folder=tmp_path)
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
    questionnaire = InMemoryCopier(template)
    questionnaire.answer()
    for name in ANSWERABLE:
        first, *others = questionnaire._render_string(QUESTIONS[name]["help"]).splitlines()
        assert len(f"   {first}") <= COLUMNS, name
        assert len(others) <= 2, name
        for line in others:
            assert line.startswith("   "), name
            assert len(line) <= COLUMNS, name
    for name in ("_message_before_copy", "_message_after_copy", "_message_after_update"):
        # `dst_path` is as long as the user wants.
        text = COPIER_YML[name].replace("_copier_conf.dst_path", "project_slug")
        for line in questionnaire._render_string(text).splitlines():
            assert len(line) <= COLUMNS, line
