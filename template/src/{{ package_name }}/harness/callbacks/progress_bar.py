# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""A progress bar that stays on one line of a terminal with 80 columns."""

import shutil
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import (
    BatchesProcessedColumn,
    CustomBarColumn,
    CustomTimeColumn,
)
from rich.progress import ProgressColumn, TextColumn, TimeElapsedColumn

from ..lightning_internals import stop_refresh_thread

BAR_WIDTH = 12
WIDE_BAR_WIDTH = 24
WIDE_TERMINAL = 110  # columns that also hold a longer bar and the remaining time
TRAIN_LOSS = "train/loss"


class NarrowProgressBar(RichProgressBar):
    """Lightning's RichProgressBar with the training loss and the metric that chooses checkpoints.

    Lightning's own also shows the speed and every metric, and wraps in a terminal of usual width.
    """

    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        is_wide = shutil.get_terminal_size().columns >= WIDE_TERMINAL
        bar = CustomBarColumn(
            bar_width=WIDE_BAR_WIDTH if is_wide else BAR_WIDTH,
            complete_style=self.theme.progress_bar,
            finished_style=self.theme.progress_bar_finished,
            pulse_style=self.theme.progress_bar_pulse,
        )
        time = CustomTimeColumn(style=self.theme.time) if is_wide else TimeElapsedColumn()
        return [
            TextColumn("{task.description}"),
            bar,
            BatchesProcessedColumn(style=self.theme.batch_progress),
            time,
        ]

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        shown = {}
        if TRAIN_LOSS in metrics:
            shown["loss"] = metrics[TRAIN_LOSS]
        monitored = getattr(trainer.checkpoint_callback, "monitor", None)
        if monitored in trainer.callback_metrics:
            shown[monitored] = float(trainer.callback_metrics[monitored])
        return shown

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        stop_refresh_thread(self)
        super().teardown(trainer, pl_module, stage)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        stop_refresh_thread(self)
        super().on_exception(trainer, pl_module, exception)
