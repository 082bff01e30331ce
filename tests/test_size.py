"""The rendered project stays small: the limits of the design, counted."""

import ast
import io
import tokenize
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from conftest import TASKS

EVERYTHING = {
    "accelerator": "gpu",
    "strategy": "fsdp2",
    "logger": ["csv", "tensorboard", "wandb", "mlflow"],
    "license": "MIT",
    "author_name": "Somebody",
}


def code_lines(text: str) -> int:
    """Lines that hold code: not blank, not a comment, not a docstring."""
    tree, lines = ast.parse(text), set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.string.strip() and token.type != tokenize.COMMENT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return len(lines)


def files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def test_lines_are_counted_as_said() -> None:
    """Code counts; blanks, comments and docstrings do not; a line of several tokens counts once."""
    text = '"""Doc\n\nstring."""\n\nx = 1  # why\n# comment\n\n\ndef f():\n    """Doc."""\n    return """a\nb"""\n'
    assert code_lines(text) == 4


def test_default_project_is_small(render: Any, tmp_path: Path) -> None:
    """At most 30 files, 8 files with code and 807 lines of it."""
    folder = render(tmp_path / "project")
    sources = files(folder / "src", "*.py")
    assert len(files(folder)) <= 30
    assert sum(code_lines(path.read_text()) > 0 for path in sources) <= 8
    assert sum(code_lines(path.read_text()) for path in sources) <= 807


def test_tasks_are_small(template: Path) -> None:
    """A task's folder: in the median less than 350 lines of code, tests apart."""
    folders = [template / "template" / f"{{{{ overlay.{task} }}}}" / "src" for task in TASKS]
    lines = [sum(code_lines(path.read_text()) for path in files(folder, "*.py")) for folder in folders]
    assert median(lines) < 350, dict(zip(TASKS, lines))


@pytest.mark.parametrize("task", TASKS)
def test_full_project_is_small(task: str, render: Any, tmp_path: Path) -> None:
    """With every option on: at most 45 files and 1320 lines of code; no file over 200 lines, no function over 40."""
    folder = render(tmp_path / "project", task=task, **EVERYTHING)
    sources = files(folder / "src", "*.py")
    assert len(files(folder)) <= 45
    assert sum(code_lines(path.read_text()) for path in sources) <= 1320
    for path in [*sources, *files(folder / "tests", "*.py")]:
        text = path.read_text()
        assert len(text.splitlines()) <= 200, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno + 1 <= 40, f"{path}: {node.name}"
