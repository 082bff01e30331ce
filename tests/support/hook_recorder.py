"""A callback for the resume tests that records every hook that is called on it.

HOOKS_FILE is the file that gets a line for each hook. The hooks are also counted in the callback's
state, which is saved and restored with checkpoints.
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

# They are called when a process starts or a checkpoint is written, which differs on purpose.
NOT_OF_TRAINING = {"on_exception", "on_load_checkpoint", "on_save_checkpoint"}


def hook_names() -> list[str]:
    hooks = [name for name in dir(Callback) if name.startswith("on_")]
    return [name for name in hooks if name not in NOT_OF_TRAINING]


class HookRecorder(Callback):
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def record(self, name: str, trainer: Trainer) -> None:
        self.counts[name] += 1
        if trainer.is_global_zero:
            batch = trainer.fit_loop.epoch_loop.batch_progress.current.ready
            line = f"{name} of epoch {trainer.current_epoch}, batch {batch}\n"
            with Path(os.environ["HOOKS_FILE"]).open("a") as file:
                file.write(line)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.counts)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.counts = Counter(state_dict)


def recording_hook(name: str) -> Callable[..., None]:
    def hook(self: HookRecorder, trainer: Trainer, *arguments: Any) -> None:
        self.record(name, trainer)

    return hook


for name in hook_names():
    setattr(HookRecorder, name, recording_hook(name))
