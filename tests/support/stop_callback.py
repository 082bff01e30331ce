"""A callback for the test of overfitting that stops once the batch is learned.

STOP_LOSS names the loss. The batch is learned when the loss is below STOP_AT times its first value.
"""

import os
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class StopCallback(Callback):
    first: float | None = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        loss = float(trainer.callback_metrics[os.environ["STOP_LOSS"]])
        if self.first is None:
            self.first = loss
        if loss < float(os.environ["STOP_AT"]) * self.first:
            trainer.should_stop = True
