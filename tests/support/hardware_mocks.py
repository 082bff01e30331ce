"""The machines that a project may run on, as Lightning sees them."""

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

# Constructing a Trainer only imports these libraries, so stand-ins do.
ABSENT_LIBRARIES = (
    "deepspeed",
    "torch_xla",
    "torch_xla._internal",
    "torch_xla._internal.tpu",
    "torch_xla.core",
    "torch_xla.core.xla_model",
    "torch_xla.runtime",
    "transformer_engine",
    "transformer_engine.common",
    "transformer_engine.common.recipe",
    "transformer_engine.pytorch",
)
REQUIREMENTS = (
    deepspeed._DEEPSPEED_AVAILABLE,
    deepspeed._DEEPSPEED_GREATER_EQUAL_0_16,
    transformer_engine._TRANSFORMER_ENGINE_AVAILABLE,
    xla._XLA_AVAILABLE,
    xla._XLA_GREATER_EQUAL_2_1,
    xla._XLA_GREATER_EQUAL_2_5,
)
# What Lightning finds on the machine of each accelerator; `auto` and `cpu` need nothing.
HARDWARE: dict[str, dict[str, Any]] = {
    "auto": {},
    "cpu": {},
    "gpu": {"cuda": 8},
    "mps": {"mps": True},
    "tpu": {"tpu": 8},
}


@contextmanager
def machine(cuda: int = 0, mps: bool = False, tpu: int = 0) -> Iterator[None]:
    """Make torch and Lightning see this hardware, and every library that a choice needs.

    The mocks lie below Lightning, where it asks torch and torch_xla; its decisions are its own.
    """
    # XLAPrecision sets variables of the environment.
    with pytest.MonkeyPatch.context() as monkeypatch, patch.dict(os.environ):
        for requirement in REQUIREMENTS:
            bool(requirement)  # looks once and keeps the result, which is replaced here
            monkeypatch.setattr(requirement, "available", True)
        for name, module in stand_ins(tpu).items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(callback_connector, "_load_external_callbacks", external_callbacks)
        processor = "arm" if mps else "x86_64"
        monkeypatch.setattr("torch.cuda.device_count", MagicMock(return_value=cuda))
        monkeypatch.setattr("torch.cuda.is_available", MagicMock(return_value=cuda > 0))
        monkeypatch.setattr("torch.backends.mps.is_available", MagicMock(return_value=mps))
        monkeypatch.setattr("platform.processor", MagicMock(return_value=processor))
        forget_hardware()
        yield
    forget_hardware()


def stand_ins(tpu: int) -> dict[str, MagicMock]:
    """Modules in the place of the libraries that this machine lacks."""
    modules = {name: MagicMock(__spec__=ModuleSpec(name, None)) for name in ABSENT_LIBRARIES}
    modules["torch_xla"].core.xla_model.xla_device = partial(torch.device, "xla")
    modules["torch_xla"].runtime.device_type.return_value = "TPU"
    modules["torch_xla._internal"].tpu.num_available_devices.return_value = tpu
    return modules


@cache
def external_callbacks(group: str) -> list[Any]:
    """Lightning's search for callbacks of other packages, done once since it is slow."""
    return registry._load_external_callbacks(group)


def forget_hardware() -> None:
    """Clear the caches in which Lightning keeps what it found."""
    for module in (fabric, pytorch):
        clear_cache(module.MPSAccelerator.is_available)
        clear_cache(module.XLAAccelerator.is_available)
        clear_cache(module.XLAAccelerator.auto_device_count)


def clear_cache(function: Any) -> None:
    if hasattr(function, "cache_clear"):
        function.cache_clear()


def instantiate(parser: ArgumentParser, parsed: Namespace) -> Namespace:
    """Build the objects that a parsed configuration names by class_path."""
    if hasattr(parser, "instantiate"):  # its name since jsonargparse 4.49
        return parser.instantiate(parsed)
    return parser.instantiate_classes(parsed)
