# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""write predictions to runs/NAME/predictions.csv, and images beside it"""

from lightning.pytorch import LightningDataModule, LightningModule

from ..arguments import Arguments
from ..callbacks.prediction_table import PredictionTable
from ..evaluation import load_evaluation


def run(
    arguments: Arguments,
    model_class: type[LightningModule],
    data_class: type[LightningDataModule],
) -> None:
    """Predict the test split, or the data in `data.predict_path`, with the best checkpoint."""
    evaluation = load_evaluation(arguments, model_class, data_class)
    trainer = evaluation.trainer
    if not trainer.fast_dev_run:
        trainer.callbacks.append(PredictionTable(evaluation.folder))
    trainer.predict(**evaluation.trainer_arguments(), return_predictions=False)
