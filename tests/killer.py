"""A callback for the tests of survival: it ends its own process group, or stops it, at the batches of KILL_AT."""

import os
import signal
from typing import Any

from lightning.pytorch import Callback


class Killer(Callback):
    """KILL_AT=7: after the seventh batch of the run; KILL_WITH=SIGTERM; KILL_IN=save: in the midst of writing."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        number = trainer.current_epoch * trainer.num_training_batches + batch_idx + 1
        if str(number) == os.environ.get("KILL_AT") and "KILL_IN" not in os.environ:
            self.kill(trainer)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        if os.environ.get("KILL_IN") == "save" and str(trainer.global_step) == os.environ["KILL_AT"]:
            checkpoint["last"] = KillsWhenPickled()

    def kill(self, trainer: Any) -> None:
        name = os.environ.get("KILL_WITH", "SIGKILL")
        if name == "SIGKILL":
            os.killpg(os.getpgrp(), signal.SIGKILL)  # all ranks, and the workers
        elif name == "SIGINT":
            os.killpg(os.getpgrp(), signal.SIGINT)  # as a terminal does
        elif trainer.is_global_zero:
            os.kill(os.getpid(), getattr(signal, name))


class KillsWhenPickled:
    def __reduce__(self) -> Any:
        os.killpg(os.getpgrp(), signal.SIGKILL)
        return (int, ())
