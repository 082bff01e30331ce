"""A callback for the resume tests that kills or stops its own process at a given batch.

KILL_AT is the number of the batch, counted from 1 over the whole run. KILL_WITH names the signal,
SIGKILL by default. With KILL_IN=save the process is killed while it writes the checkpoint of step
KILL_AT.
"""

import os
import signal
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class KillCallback(Callback):
    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if "KILL_IN" in os.environ:
            return
        batches_before = trainer.current_epoch * trainer.num_training_batches
        if str(batches_before + batch_idx + 1) == os.environ.get("KILL_AT"):
            kill(trainer)

    def on_save_checkpoint(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        if os.environ.get("KILL_IN") != "save":
            return
        if str(trainer.global_step) == os.environ["KILL_AT"]:
            checkpoint["last"] = KillsWhenPickled()


def kill(trainer: Trainer) -> None:
    name = os.environ.get("KILL_WITH", "SIGKILL")
    if name in ("SIGKILL", "SIGINT"):
        # SIGKILL ends all ranks and loader workers; a terminal sends SIGINT to all of them as well.
        os.killpg(os.getpgrp(), getattr(signal, name))
    elif trainer.is_global_zero:
        os.kill(os.getpid(), getattr(signal, name))


class KillsWhenPickled:
    """The last entry of a checkpoint, so most of the file has been written by then."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        os.killpg(os.getpgrp(), signal.SIGKILL)
        return (int, ())
