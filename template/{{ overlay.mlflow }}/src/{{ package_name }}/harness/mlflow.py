# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""MLflow that continues a run: the server chooses its id, so the run's folder keeps it."""

import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers
from lightning.pytorch.utilities import rank_zero_only


class MLFlowLogger(loggers.MLFlowLogger):
    """Lightning's MLFlowLogger; a run that goes on has the id in `mlflow-run-id`.

    Args:
        save_dir: the run's folder.
        experiment_name: MLflow's.
        run_name: the run's name there.
        tracking_uri: of the server or database.
        kwargs: see `lightning.pytorch.loggers.MLFlowLogger`.
    """

    def __init__(self, save_dir: str, experiment_name: str, run_name: str, tracking_uri: str, **kwargs: Any) -> None:
        self.file = Path(save_dir) / "mlflow-run-id"
        goes_on = self.file.exists() and "--restart" not in sys.argv
        kwargs["run_id"] = self.file.read_text() if goes_on else None
        super().__init__(experiment_name, run_name, tracking_uri, **kwargs)

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        if not self.file.exists() and self.file.parent.exists():
            self.file.write_text(str(self.run_id))
        super().log_metrics(metrics, step)
