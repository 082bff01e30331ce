# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""evaluate a run's best checkpoint on the test split"""

from lightning.pytorch import LightningDataModule, LightningModule

from ..arguments import Arguments
from ..evaluation import load_evaluation
from ..results import final_metrics, save_metrics


def run(
    arguments: Arguments,
    model_class: type[LightningModule],
    data_class: type[LightningDataModule],
) -> None:
    """Print the metrics, and save them in `runs/NAME/test.json`."""
    evaluation = load_evaluation(arguments, model_class, data_class)
    evaluation.trainer.test(**evaluation.trainer_arguments())
    metrics = final_metrics(evaluation.trainer, evaluation.checkpoint)
    save_metrics(evaluation.trainer, evaluation.folder, "test", metrics)
