"""What the tests need to know of a task: the parts of its overlay that are not rendered."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from jinja2 import Environment

from tests.support.expectations import TASK_OVERLAYS
from tests.support.template import overlay_folder


@cache
def task_settings(task: str) -> Any:
    """The variables that the task's `_task.jinja` sets, as attributes."""
    text = (overlay_folder(task) / "_task.jinja").read_text()
    return Environment().from_string(text).module


def small_options(task: str) -> list[str]:
    """Options of `fit` with which a step of this task takes milliseconds."""
    return list(task_settings(task).small)


def baseline(task: str, datamodule: Any) -> dict[str, float]:
    """The test metrics that a simple method reaches on the data."""
    return load_part(task, "_baseline").baseline(datamodule)


def load_part(task: str, name: str) -> ModuleType:
    """A Python file that is not rendered, from the task's overlay or one that the task shares."""
    for overlay in TASK_OVERLAYS[task]:
        path = overlay_folder(overlay) / f"{name}.py"
        if path.exists():
            return load_module(path, f"{name}_{task}")
    raise FileNotFoundError(f"{task} has no {name}.py")


def load_module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
