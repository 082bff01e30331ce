"""The facts about Lightning and torch for which the template is stricter than a Trainer."""

import inspect
import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from tests.questions.verdicts import CHOICES, lightning_refusal
from tests.support.hardware_mocks import machine
from tests.support.in_memory_copier import InMemoryCopier
from tests.support.template import TASKS

MakeTrainer = Callable[[dict[str, Any]], Trainer]
DEFAULTS = {
    "accelerator": "cpu",
    "strategy": "auto",
    "precision": "32-true",
    "devices": "auto",
    "num_nodes": 1,
}
DEEPSPEED = [name for name in CHOICES["strategy"] if name.startswith("deepspeed")]


@pytest.mark.parametrize("strategy", DEEPSPEED)
def test_deepspeed_trains_on_cuda_only(make_trainer: MakeTrainer, strategy: str) -> None:
    """A Trainer can be built for DeepSpeed on a CPU, but it refuses to start."""
    with machine():
        trainer = make_trainer(DEFAULTS | {"strategy": strategy})
        with pytest.raises(RuntimeError, match="only supported on CUDA GPUs"):
            trainer.strategy.setup_environment()


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_float16_becomes_bfloat16_on_a_cpu(make_trainer: MakeTrainer, accelerator: str) -> None:
    """Lightning turns 16-mixed on a CPU into bf16-mixed, which is not what was answered."""
    answers = DEFAULTS | {"accelerator": accelerator, "precision": "16-mixed"}
    with machine(), pytest.warns(match="AMP with fp16 is not supported on CPU"):
        trainer = make_trainer(answers)
    assert trainer.precision == "bf16-mixed"


@pytest.mark.parametrize("accelerator", ["cpu", "mps"])
def test_transformer_engine_computes_on_cuda_only(
    make_trainer: MakeTrainer, accelerator: str
) -> None:
    """The forward pass of transformer-engine uses CUDA's autocast on any accelerator."""
    answers = DEFAULTS | {"accelerator": accelerator, "precision": "transformer-engine"}
    with machine(mps=accelerator == "mps"):
        plugin = make_trainer(answers).precision_plugin
        autocast = patch("torch.autocast", return_value=nullcontext())
        with autocast as called, plugin.forward_context():
            pass
    assert called.call_args.kwargs["device_type"] == "cuda"


def test_mps_has_no_float64() -> None:
    """On a Mac, torch refuses float64; elsewhere, its loss scaling still avoids it for mps."""
    if torch.backends.mps.is_available():
        with pytest.raises(TypeError, match="float64"):
            torch.zeros(1, dtype=torch.float64, device="mps")
    source = inspect.getsource(torch.amp.GradScaler.unscale_)
    assert re.search(r"\.double\(\).*\s+if .*!= torch\.device\(\"mps", source), source


def test_several_nodes_of_mps_would_use_ddp(make_trainer: MakeTrainer) -> None:
    """With num_nodes=2, Lightning picks ddp on mps, although it refuses an explicit ddp there."""
    with machine(mps=True):
        trainer = make_trainer(DEFAULTS | {"accelerator": "mps", "num_nodes": 2})
        assert isinstance(trainer.strategy, DDPStrategy)
        explicit = DEFAULTS | {"accelerator": "mps", "strategy": "ddp"}
        assert lightning_refusal(make_trainer, explicit)


@pytest.mark.parametrize("devices", [1, 8])
def test_xla_ignores_num_nodes(make_trainer: MakeTrainer, devices: int) -> None:
    """num_nodes has no effect on TPUs: XLA learns the hosts from the TPU's own runtime."""
    answers = DEFAULTS | {"accelerator": "tpu", "devices": devices, "num_nodes": 2}
    with machine(tpu=8):
        strategy = make_trainer(answers).strategy
        if devices == 1:
            assert not hasattr(strategy, "num_nodes")
            return
        with patch.object(strategy.cluster_environment, "set_world_size") as set_world_size:
            strategy.set_world_ranks()
        assert not set_world_size.called


@pytest.mark.parametrize("strategy", CHOICES["strategy"])
def test_some_strategies_take_one_optimizer(
    machine_questions: InMemoryCopier, make_trainer: MakeTrainer, strategy: str
) -> None:
    """A GAN, which has two optimizers, is refused where a strategy cannot train it, and only there.

    DeepSpeed takes one optimizer, and fsdp cannot clip gradients by norm in manual optimization.
    """
    answers = DEFAULTS | {"accelerator": "gpu", "strategy": strategy}
    for task in TASKS:
        if task != "adversarial":
            assert not machine_questions.refusal(task=task, **answers)
    refusal = machine_questions.refusal(task="adversarial", **answers)
    if strategy != "fsdp" and strategy not in DEEPSPEED:
        assert not refusal
        return
    assert "cannot train adversarial; use strategy=fsdp2" in refusal
    with machine(cuda=8):
        trainer = make_trainer(answers)
    if strategy == "fsdp":
        message = r"gradient_clip_algorithm='norm'.*not supported"
        with pytest.raises(MisconfigurationException, match=message):
            trainer.precision_plugin.clip_grad_by_norm()
    else:
        optimizers = [new_optimizer(), new_optimizer()]
        with pytest.raises(ValueError, match="only one optimizer is supported with DeepSpeed"):
            trainer.strategy._setup_model_and_optimizers(torch.nn.Linear(1, 1), optimizers)


def new_optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
