"""The machines that a project may meet, for Lightning to decide what it can build there."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.machinery import ModuleSpec
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
import torch
from jsonargparse import ArgumentParser, Namespace
from lightning.fabric import accelerators as fabric
from lightning.fabric.accelerators import xla
from lightning.fabric.plugins.precision import transformer_engine
from lightning.fabric.utilities import registry
from lightning.pytorch import accelerators as pytorch
from lightning.pytorch.strategies import deepspeed
from lightning.pytorch.trainer.connectors import callback_connector


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
