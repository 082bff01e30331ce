# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Lets loggers continue the files of a resumed run, without the steps that it repeats."""

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from .lightning_internals import open_csv_with_columns, purge_tensorboard_after


def resume_loggers(loggers: list[Any], logged_steps: int | None) -> None:
    """Prepare loggers before they open their files.

    Args:
        loggers: the Trainer's.
        logged_steps: the first step that will be logged again; None for a new run.
    """
    for logger in loggers:
        if isinstance(logger, CSVLogger):
            resume_csv(logger, logged_steps or 0)
        elif isinstance(logger, TensorBoardLogger) and logged_steps is not None:
            purge_tensorboard_after(logger, logged_steps)


def resume_csv(logger: CSVLogger, logged_steps: int) -> None:
    """Keep the rows of earlier steps in metrics.csv, which a CSVLogger deletes when it opens.

    The rows are first written to metrics.kept.csv, so that a crash in between loses none.
    """
    path = Path(logger.log_dir) / "metrics.csv"
    kept_path = path.with_name("metrics.kept.csv")
    columns: list[str] = []
    source = path if path.exists() else kept_path
    if source.exists():
        columns = keep_rows(source, kept_path, logged_steps)
    open_csv_with_columns(logger, columns)
    if columns:
        kept_path.replace(path)


def keep_rows(source: Path, target: Path, logged_steps: int) -> list[str]:
    """Copy the rows of the steps before `logged_steps`, and return the columns."""
    complete_lines = [line for line in lines_of(source) if line.endswith("\n")]
    reader = csv.DictReader(complete_lines)
    rows = [row for row in reader if is_before(row, logged_steps)]
    columns = list(reader.fieldnames or [])
    partial = target.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(target)
    return columns


def lines_of(path: Path) -> list[str]:
    """The lines of a file; the last one may be cut short, without a line break."""
    with path.open(newline="") as file:
        return list(file)


def is_before(row: dict[str, str], logged_steps: int) -> bool:
    """Whether a row belongs to a step that is not repeated."""
    return bool(row["step"]) and int(row["step"]) < logged_steps
