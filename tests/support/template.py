"""The template under test: its questions, its overlays, and a plain copy to render from."""

import atexit
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
# What Copier reads to render the template, and what an update runs besides.
RENDERED = ("copier.yml", "includes", "template")
COPIER_YML: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text())
# Settings start with an underscore. Computed answers are among the questions.
QUESTIONS = {name: details for name, details in COPIER_YML.items() if not name.startswith("_")}
# Questions have a help text; computed and recorded answers have none.
ANSWERABLE = [name for name, details in QUESTIONS.items() if "help" in details]


# Questions whose choices are rendered from a table, and that table.
TABLES = {"task": "tasks", "logger": "loggers"}


def choices(question: str) -> list[Any]:
    """The values that a question offers."""
    if question in TABLES:
        return list(yaml.safe_load(QUESTIONS[TABLES[question]]["default"]))
    return [choice_value(choice) for choice in listed_choices(question)]


def listed_choices(question: str) -> Iterable[Any]:
    """The choices as copier.yml has them: values, or mappings with a value and a validator."""
    listed = QUESTIONS[question]["choices"]
    return listed.values() if isinstance(listed, dict) else listed


def choice_value(choice: Any) -> Any:
    return choice["value"] if isinstance(choice, dict) else choice


TASKS = choices("task")
LOGGERS = choices("logger")


def overlay_folder(name: str) -> Path:
    """The folder of the template that holds what one choice adds."""
    return ROOT / "template" / f"{{{{ overlay.{name} }}}}"


@cache
def copy_template() -> Path:
    """A copy without the history, since Copier renders the last commit of a git repository."""
    folder = Path(tempfile.mkdtemp(prefix="template-"))
    atexit.register(shutil.rmtree, folder)
    for name in RENDERED:
        copy_source(name, folder)
    return folder


def copy_source(name: str, folder: Path) -> None:
    """Copy a file or folder of the repository into another folder."""
    source = ROOT / name
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", ".ruff_cache")
        shutil.copytree(source, folder / name, ignore=ignored)
    else:
        shutil.copy(source, folder / name)
