# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""An MLflow logger whose run can be resumed."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers
from lightning.pytorch.utilities import rank_zero_only

RUN_ID_FILE = "mlflow-run-id"


class MLFlowLogger(loggers.MLFlowLogger):
    """Lightning's MLFlowLogger, which keeps the id of its run in the run's folder.

    The server chooses the id, so that a resumed run has to remember it.

    Args:
        save_dir: the run's folder.
        experiment_name: the name of the experiment in MLflow.
        run_name: the name of the run in MLflow.
        tracking_uri: the server or the database.
        kwargs: see `lightning.pytorch.loggers.MLFlowLogger`.
    """

    def __init__(
        self, save_dir: str, experiment_name: str, run_name: str, tracking_uri: str, **kwargs: Any
    ) -> None:
        self.run_id_file = Path(save_dir) / RUN_ID_FILE
        is_restarted = "--restart" in sys.argv
        if self.run_id_file.exists() and not is_restarted:
            kwargs["run_id"] = self.run_id_file.read_text()
        else:
            kwargs["run_id"] = None
        super().__init__(experiment_name, run_name, tracking_uri, **kwargs)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.remember_run_id()
        super().log_metrics(metrics, step)

    def remember_run_id(self) -> None:
        folder_exists = self.run_id_file.parent.exists()
        if folder_exists and not self.run_id_file.exists():
            self.run_id_file.write_text(str(self.run_id))
