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

    The server chooses the id, so that a resumed run has to remember it. MLflow cannot delete
    values, so a resumed run does not log the steps that it repeats; their values are the same.

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
        self.is_resumed = kwargs["run_id"] is not None
        self.last_steps: dict[str, int] = {}
        super().__init__(experiment_name, run_name, tracking_uri, **kwargs)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.remember_run_id()
        new_metrics = {}
        for name, value in metrics.items():
            if step is None or step > self.last_step_before(name):
                new_metrics[name] = value
        super().log_metrics(new_metrics, step)

    def last_step_before(self, name: str) -> int:
        """The last step of a metric that an interrupted process has logged, or else -1."""
        if not self.is_resumed:
            return -1
        if name not in self.last_steps:
            history = self.experiment.get_metric_history(self.run_id, name)
            self.last_steps[name] = max((value.step for value in history), default=-1)
        return self.last_steps[name]

    def remember_run_id(self) -> None:
        folder_exists = self.run_id_file.parent.exists()
        if folder_exists and not self.run_id_file.exists():
            self.run_id_file.write_text(str(self.run_id))
