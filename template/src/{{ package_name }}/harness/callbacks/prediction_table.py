# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Writes what `predict_step` returns as a table, and its images as files."""

import csv
import shutil
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ..run_folder import RunFolder


class PredictionTable(Callback):
    """Writes predictions.csv batch by batch, one row per sample and one file per rank.

    `predict_step` returns a dict of columns. A column is a tensor (B, ...) or a list of B cells.
    Cells that are images are saved in `predictions/`, and their path is written into the table.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.image_count = 0

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        name = "predictions"
        if trainer.world_size > 1:
            name = f"predictions-{trainer.global_rank}"
        self.image_folder = self.folder.path / name
        self.table_path = self.folder.path / f"{name}.csv"
        self.partial_path = self.table_path.with_suffix(".partial")
        shutil.rmtree(self.image_folder, ignore_errors=True)
        # File names that are not UTF-8 arrive as surrogates, and are written back as they are.
        self.file = self.partial_path.open(
            "w", newline="", encoding="utf-8", errors="surrogateescape"
        )
        self.writer = csv.writer(self.file)
        self.has_header = False

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.write(outputs)

    def write(self, columns: Mapping[str, Any]) -> None:
        if not self.has_header:
            self.writer.writerow(columns)
            self.has_header = True
        values = [values_of(column) for column in columns.values()]
        for row in zip(*values, strict=True):
            self.writer.writerow([self.cell_of(value) for value in row])

    def cell_of(self, value: Any) -> Any:
        """The value itself, or the path of an image relative to the run's folder."""
        is_image = hasattr(value, "save")  # Pillow's; not every task installs it
        if not is_image:
            return value
        self.image_folder.mkdir(exist_ok=True)
        self.image_count += 1
        path = self.image_folder / f"{self.image_count:05d}.png"
        value.save(path)
        return path.relative_to(self.folder.path)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.file.close()
        self.partial_path.replace(self.table_path)
        message = f"saved to {self.table_path}"
        if self.image_count:
            message += f", with {self.image_count} images in {self.image_folder}"
        print(message)


def values_of(column: Any) -> list[Any]:
    """The values of a column, one for each sample."""
    if isinstance(column, torch.Tensor):
        return column.tolist()
    return list(column)
