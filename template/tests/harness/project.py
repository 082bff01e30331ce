# Managed by copier-lightning: an update may replace this file; your tests are beside this folder.
"""Runs the project's command inside a test."""

import importlib
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
PACKAGE = next((ROOT / "src").glob("*/harness")).parent.name
ENTRY_POINT = importlib.import_module(f"{PACKAGE}.__main__")

# Options of a `fit` that takes seconds.
QUICK = [
    "-c",
    "preset/limit",
    "--trainer.max_epochs",
    "1",
    "--trainer.enable_progress_bar",
    "false",
]
# Options that let one process train, whatever configs/trainer.yaml says.
ONE_PROCESS = [
    "--trainer.accelerator=cpu",
    "--trainer.strategy=auto",
    "--trainer.devices=1",
    "--trainer.num_nodes=1",
    "--trainer.precision=32-true",
]


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run the project's command in this process, in the current folder."""
    monkeypatch.setattr(sys, "argv", [PROJECT, *arguments])
    monkeypatch.delenv("LIGHTNING_RUN", raising=False)  # the name of an earlier run
    ENTRY_POINT.run()


def model_class(monkeypatch: pytest.MonkeyPatch) -> type:
    """The LightningModule that `__main__.py` hands to the harness."""
    classes = []

    def record(model: type, data: type) -> None:
        classes.append(model)

    with monkeypatch.context() as patch:
        patch.setattr(ENTRY_POINT, "main", record)
        command(patch, "fit")
    return classes[0]
