"""Projects that stand for all others: they have every choice of every question, and every file."""

from typing import Any

from tests.support.template import LOGGERS, TASKS

SAMPLES: dict[str, dict[str, Any]] = {
    "default": {},
    "language-modeling": {
        "task": "language_modeling",
        "accelerator": "cpu",
        "strategy": "fsdp2",
        "precision": "bf16-mixed",
        "logger": LOGGERS,
        "ci": "gitlab",
        "license": "MIT",
        "python_version": "3.12",
        "author_name": "Ada Lovelace",
        "author_email": "ada@example.org",
    },
    "tabular": {
        "task": "tabular",
        "precision": "64-true",
        "logger": ["csv"],
        "ci": "none",
        "container": "none",
        "license": "BSD-3-Clause",
        "python_version": "3.13",
        "author_name": "Ada Lovelace",
    },
    "ddp": {
        "accelerator": "gpu",
        "strategy": "ddp",
        "precision": "transformer-engine",
        "license": "Apache-2.0",
        "release": "pypi",
        "author_email": "ada@example.org",
    },
    "fsdp": {
        "accelerator": "gpu",
        "strategy": "fsdp",
        "precision": "16-mixed",
        "task": "tabular",
    },
    "deepspeed-2": {
        "accelerator": "gpu",
        "strategy": "deepspeed_stage_2",
        "precision": "bf16-true",
    },
    "deepspeed-3": {
        "accelerator": "gpu",
        "strategy": "deepspeed_stage_3",
        "ci": "gitlab",
    },
    "offload": {
        "accelerator": "gpu",
        "strategy": "deepspeed_stage_3_offload",
        "task": "language_modeling",
    },
    "mps": {"accelerator": "mps", "task": "language_modeling"},
    "tpu": {"accelerator": "tpu"},
}
DEFAULT_TASK = TASKS[0]


def sample_with_task(task: str) -> str:
    """The name of the first sample that has the task; empty if there is none."""
    for name, answers in SAMPLES.items():
        if answers.get("task", DEFAULT_TASK) == task:
            return name
    return ""


for task in TASKS:
    if not sample_with_task(task):
        SAMPLES[task] = {"task": task}
