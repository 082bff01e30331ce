"""What Lightning says to a combination of answers, and where the template is stricter."""

import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from tests.support.template import choices

Answers = dict[str, Any]
CHOICES: dict[str, list[Any]] = {
    "accelerator": choices("accelerator"),
    "strategy": choices("strategy"),
    "precision": choices("precision"),
    "devices": ["auto", "1", "2", "4", "8"],
    "num_nodes": [1, 2],
}
# A combination is valid if a Trainer can be built on *every* machine of one of these rows: `auto`
# and `cpu` promise to run with and without a GPU; a TPU host has 1, 4 or 8 devices.
MACHINES: dict[str, list[list[dict[str, Any]]]] = {
    "auto": [[{}, {"cuda": 8}]],
    "cpu": [[{}, {"cuda": 8}]],
    "gpu": [[{"cuda": 8}]],
    "mps": [[{"mps": True}]],
    "tpu": [[{"tpu": 1}], [{"tpu": 4}], [{"tpu": 8}]],
}
WITHOUT_CUDA = ("auto", "cpu", "mps")


def deepspeed_without_cuda(answers: Answers) -> bool:
    deepspeed = answers["strategy"].startswith("deepspeed")
    return deepspeed and answers["accelerator"] in ("auto", "cpu")


def float16_on_a_cpu(answers: Answers) -> bool:
    return answers["precision"] == "16-mixed" and answers["accelerator"] in ("auto", "cpu")


def transformer_engine_without_cuda(answers: Answers) -> bool:
    engine = answers["precision"] == "transformer-engine"
    return engine and answers["accelerator"] in WITHOUT_CUDA


def float64_on_mps(answers: Answers) -> bool:
    return answers["precision"] == "64-true" and answers["accelerator"] == "mps"


def several_nodes_of_mps(answers: Answers) -> bool:
    return answers["num_nodes"] > 1 and answers["accelerator"] == "mps"


def several_nodes_of_tpu(answers: Answers) -> bool:
    return answers["num_nodes"] > 1 and answers["accelerator"] == "tpu"


# What the template refuses although a Trainer can be built. test_stricter_rules.py has a test of
# each reason.
STRICTER: dict[str, Callable[[Answers], bool]] = {
    "DeepSpeed trains on CUDA only": deepspeed_without_cuda,
    "float16 becomes bfloat16 on a CPU": float16_on_a_cpu,
    "transformer-engine computes on CUDA only": transformer_engine_without_cuda,
    "mps has no float64": float64_on_mps,
    "several nodes of mps would use ddp": several_nodes_of_mps,
    "XLA ignores num_nodes": several_nodes_of_tpu,
}


def reasons_to_be_stricter(answers: Answers) -> list[str]:
    return [reason for reason, applies in STRICTER.items() if applies(answers)]


def combinations(accelerator: str, devices: str, num_nodes: int) -> list[Answers]:
    """Every strategy and precision with these answers."""
    found = []
    for strategy, precision in product(CHOICES["strategy"], CHOICES["precision"]):
        answers = {"accelerator": accelerator, "strategy": strategy, "precision": precision}
        found.append(answers | {"devices": devices, "num_nodes": num_nodes})
    return found


def lightning_refusal(make_trainer: Callable[[Answers], Trainer], answers: Answers) -> str:
    """Why no Trainer can be built here; empty if it can. Any other exception is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            make_trainer(answers)
        except (MisconfigurationException, ValueError) as error:
            return str(error)
    return ""
