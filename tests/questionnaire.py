"""Copier's own questionnaire and renderer, in memory, and the machines a project may meet.

`copier.run_copy` costs half a second. Here one `Worker` of Copier's answers the questions again and
again (a millisecond or two), and renders into a dictionary (some ten more): the code is Copier's, only
compiled Jinja is kept, and nothing is written. `test_rules.py` and `test_every_combination.py` hold both
against `copier.run_copy`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
import torch
from copier._main import Worker
from copier._types import Phase
from copier._user_data import Question
from jinja2 import meta, nodes
from jsonargparse import ArgumentParser, Namespace
from lightning.fabric import accelerators as fabric
from lightning.fabric.accelerators import xla
from lightning.fabric.plugins.precision import transformer_engine
from lightning.fabric.utilities import registry
from lightning.pytorch import accelerators as pytorch
from lightning.pytorch.strategies import deepspeed
from lightning.pytorch.trainer.connectors import callback_connector

MACHINE = ("accelerator", "strategy", "precision", "devices", "num_nodes")


class Refused(ValueError):
    """The questionnaire's refusal: what the last line of `copier copy` says."""


class Questionnaire(Worker):
    """Copier's worker: `answer` runs its questions, `render` its renderer."""

    files: dict[str, bytes]
    context: dict[str, Any]
    twice: list[str]

    def __init__(self, template: Path, only: tuple[str, ...] = ()) -> None:
        """Load the template; `only` keeps these of its questions, for speed."""
        super().__init__(str(template), Path("nowhere"), defaults=True, quiet=True, pretend=True)
        self.jinja_env.from_string = cache(self.jinja_env.from_string)
        self.jinja_env.auto_reload = False
        for name in set(self.template.questions_data) - set(only) if only else ():
            del self.template.questions_data[name]

    def answer(self, **data: Any) -> dict[str, Any]:
        """All answers, those worked out included, where `data` is given with `-d` and the rest by default.

        Raises:
            Refused: with Copier's message.
        """
        self.data = data
        try:
            with Phase.use(Phase.PROMPT):
                self._ask()
        except (ValueError, TypeError) as error:
            raise Refused(str(error)) from error
        return dict(self.answers.user)

    def refusal(self, **data: Any) -> str:
        """Why Copier refuses these answers; empty where it does not."""
        try:
            self.answer(**data)
        except Refused as error:
            return str(error)
        return ""

    def choices(self, name: str, **data: Any) -> list[tuple[str, str]]:
        """The title of each choice of a question, and why it is disabled, where `data` was answered."""
        self.answer(**data)
        details = self.template.questions_data[name]
        context, jinja = self._render_context(), self.jinja_env
        question = Question(var_name=name, answers=self.answers, context=context, jinja_env=jinja, **details)
        return [(choice.title, choice.disabled) for choice in question._formatted_choices]

    def render(self, **data: Any) -> dict[str, bytes]:
        """The project's files by path, each with what Copier would write; two for one path are an error."""
        self.data, self.files, self.context, self.twice = data, {}, {}, []
        self.run_copy()
        assert not self.twice, f"two sources render to {self.twice}"
        return self.files

    def sources(self) -> list[Path]:
        """The template's files, below its `template` folder."""
        files = (path.relative_to(self.template_copy_root) for path in self.template_copy_root.rglob("*"))
        return sorted(path for path in files if (self.template_copy_root / path).is_file())

    def place(self, source: Path, context: dict[str, Any]) -> str:
        """Where one source lands in the project; empty where it does not."""
        self.context = context
        with Phase.use(Phase.RENDER):
            paths = [path for path, _ in self._render_path(source) if not self.match_exclude(path)]
        return paths[0].as_posix() if paths else ""

    def fill(self, source: Path, context: dict[str, Any]) -> bytes:
        """What one source renders to."""
        self.files, self.context, self.twice = {}, context, []
        with Phase.use(Phase.RENDER):
            self._render_file(self.template_copy_root.relative_to(self.template.local_abspath) / source, source)
        return self.files[source.as_posix()]

    def variables(self, text: str) -> set[str]:
        """The names that a Jinja text reads, as Jinja finds them: its output depends on nothing else.

        An include reads what any file reads whose path ends like the expression that it is given.
        """
        tree = self.jinja_env.parse(text)
        found = meta.find_undeclared_variables(tree)
        for node in tree.find_all((nodes.Import, nodes.FromImport)):
            assert not node.with_context, f"line {node.lineno} imports names that it does not show"
        for node in tree.find_all(nodes.Include):
            end = [part.value for part in node.find_all(nodes.Const)][-1]
            texts = [path.read_text() for path in self.template_copy_root.rglob("*") if str(path).endswith(end)]
            assert texts, f"line {node.lineno} includes nothing that ends in {end!r}"
            found |= set().union(*map(self.variables, texts))
        return found

    @property
    def answers_relpath(self) -> Path:  # Copier's own renders this name, for each part of each path
        return self.template.answers_relpath

    def _render_context(self) -> dict[str, Any]:
        if Phase.current() != Phase.RENDER:
            return super()._render_context()
        if not self.context:  # it is the same for every file
            self.context = super()._render_context()
        return dict(self.context)

    def _render_allowed(self, dst_relpath: Path, is_dir: bool = False, **options: Any) -> bool:
        if not is_dir:
            path = dst_relpath.as_posix()
            self.twice += [path] if path in self.files else []
            self.files[path] = options["expected_contents"]
        return False


def instantiate(parser: ArgumentParser, parsed: Namespace) -> Namespace:
    """Build what a parsed configuration names by class_path."""
    method = getattr(parser, "instantiate", None) or parser.instantiate_classes  # renamed in 4.49
    return method(parsed)


@cache
def installed_callbacks(group: str) -> list[Any]:
    """Lightning's own search for callbacks of other packages, which takes longer than all else, done once."""
    return registry._load_external_callbacks(group)


@contextmanager
def machine(cuda: int = 0, mps: bool = False, tpu: int = 0) -> Iterator[None]:
    """Make torch and Lightning see this hardware, and every library that a strategy or precision needs.

    The mocks lie below Lightning, where it asks torch and torch_xla; its own decisions are its own.
    DeepSpeed, transformer_engine and torch_xla are stand-ins: constructing a Trainer only imports them.
    """
    def forget() -> None:
        for module in (fabric, pytorch):
            for function in (module.MPSAccelerator.is_available, module.XLAAccelerator.is_available):
                getattr(function, "cache_clear", lambda: None)()
            getattr(module.XLAAccelerator.auto_device_count, "cache_clear", lambda: None)()

    names = """deepspeed torch_xla torch_xla._internal torch_xla._internal.tpu torch_xla.core
    torch_xla.core.xla_model torch_xla.runtime transformer_engine transformer_engine.common
    transformer_engine.common.recipe transformer_engine.pytorch"""
    modules = {name: MagicMock(__spec__=ModuleSpec(name, None)) for name in names.split()}
    modules["torch_xla"].core.xla_model.xla_device = partial(torch.device, "xla")
    modules["torch_xla._internal"].tpu.num_available_devices.return_value = tpu
    modules["torch_xla"].runtime.device_type.return_value = "TPU"
    available = [deepspeed._DEEPSPEED_AVAILABLE, transformer_engine._TRANSFORMER_ENGINE_AVAILABLE]
    available += [deepspeed._DEEPSPEED_GREATER_EQUAL_0_16, xla._XLA_AVAILABLE]
    available += [xla._XLA_GREATER_EQUAL_2_1, xla._XLA_GREATER_EQUAL_2_5]
    with pytest.MonkeyPatch.context() as monkeypatch, patch.dict(os.environ):  # XLAPrecision sets some
        for requirement in available:
            bool(requirement)  # it looks once, and keeps what it found
            monkeypatch.setattr(requirement, "available", True)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(callback_connector, "_load_external_callbacks", installed_callbacks)
        monkeypatch.setattr("torch.cuda.device_count", lambda: cuda)
        monkeypatch.setattr("torch.cuda.is_available", lambda: cuda > 0)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: mps)
        monkeypatch.setattr("platform.processor", lambda: "arm" if mps else "x86_64")
        forget()
        yield
    forget()
