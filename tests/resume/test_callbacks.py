"""Callbacks that change training, Lightning's and owners', resume as if nothing had happened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.resume.runs import (
    BATCHES,
    add_callback,
    assert_refused,
    assert_same_end,
    assert_succeeded,
    fit,
    new_project,
    write_callbacks,
)
from tests.support.projects import Project
from tests.support.tasks import small_options

pytestmark = pytest.mark.slow

LIGHTNING = "lightning.pytorch.callbacks"
IN_SECOND_EPOCH = BATCHES + 2
IN_THIRD_EPOCH = 2 * BATCHES + 4


@dataclass(frozen=True)
class Case:
    """A way of training, and the batches after which it is killed.

    Args:
        name: of the case.
        kills: numbers of batches, counted from 1 over the whole run.
        callbacks: their classes and arguments.
        options: of `fit`.
    """

    name: str
    kills: tuple[int, ...]
    callbacks: tuple[tuple[str, dict[str, Any]], ...] = ()
    options: tuple[str, ...] = ()

    def configured_callbacks(self) -> list[dict[str, Any]]:
        """The callbacks as in a configuration file."""
        callbacks = []
        for class_path, arguments in self.callbacks:
            callbacks.append({"class_path": class_path, "init_args": arguments})
        return callbacks


CASES = [
    Case(
        "temperature_of_the_epoch",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(("epoch_callbacks.Temperature", {}),),
    ),
    Case(
        "number_of_epochs_in_the_state",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(("epoch_callbacks.EpochCounter", {}),),
    ),
    Case(
        "metrics_resumed_within_the_epoch",
        kills=(3, IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(("epoch_callbacks.EpochMetrics", {}),),
        options=("--trainer.val_check_interval=1",),
    ),
    Case(
        "metrics_resumed_between_epochs",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(("epoch_callbacks.EpochMetrics", {}),),
    ),
    Case(
        "gradient_accumulation_scheduler",
        kills=(3, IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(
            (f"{LIGHTNING}.GradientAccumulationScheduler", {"scheduling": {0: 3, 1: 2, 2: 1}}),
        ),
    ),
    Case(
        "stochastic_weight_averaging",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(
            (
                f"{LIGHTNING}.StochasticWeightAveraging",
                {"swa_lrs": 0.01, "swa_epoch_start": 2, "annealing_epochs": 2, "device": "cpu"},
            ),
        ),
    ),
    Case(
        "checkpoint_every_two_steps",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(
            (
                f"{LIGHTNING}.ModelCheckpoint",
                {
                    "dirpath": "{run_dir}/checkpoints",
                    "filename": "step={step}",
                    "every_n_train_steps": 2,
                    "save_top_k": -1,
                    "auto_insert_metric_name": False,
                },
            ),
        ),
    ),
    Case(
        "own_checkpoint_every_two_steps",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        options=(
            "--checkpoint.every_n_train_steps=2",
            "--checkpoint.monitor=null",
            "--checkpoint.save_top_k=1",
        ),
    ),
    Case(
        "early_stopping_after_min_epochs",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        options=(
            "--trainer.min_epochs=3",
            "--trainer.max_epochs=5",
            "--early_stopping.patience=0",
            "--early_stopping.min_delta=100",
        ),
    ),
    Case(
        "learning_rate_logged_by_epoch",
        kills=(IN_SECOND_EPOCH,),
        options=("--lr_monitor.logging_interval=epoch",),
    ),
    Case(
        "backbone_finetuning",
        kills=(IN_SECOND_EPOCH, IN_THIRD_EPOCH),
        callbacks=(("epoch_callbacks.LateHead", {}),),
    ),
    Case(
        "validation_between_two_optimizer_steps",
        kills=(4, IN_SECOND_EPOCH),
        options=("--trainer.accumulate_grad_batches=2", "--trainer.val_check_interval=3"),
    ),
]


@pytest.fixture(scope="module")
def project(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("callbacks") / "project"
    project = new_project(render, folder, "Callback Cases", task="tabular")
    add_callback(project, "epoch_callbacks")
    return project


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_killed_run_ends_the_same(case: Case, project: Project) -> None:
    """Killed within an epoch, and stopped by a signal, a run ends the same, bit for bit."""
    options = [
        *small_options("tabular"),
        "--trainer.max_epochs=3",
        *case.options,
        write_callbacks(project, case.name, case.configured_callbacks()),
    ]
    expected = f"{case.name}_uninterrupted"
    assert_succeeded(fit(project, expected, *options))
    for way in ("SIGKILL", "SIGTERM"):
        run = f"{case.name}_{way}"
        for batch in case.kills:
            ended = fit(project, run, *options, KILL_AT=str(batch), KILL_WITH=way)
            assert ended.returncode != 0, ended.stderr
        assert_succeeded(fit(project, run, *options))
        assert_same_end(project, expected, run)
        assert_same_files(project, expected, run)


MODELS = {
    "attribute": """
    def on_train_epoch_start(self):
        self.temperature = 1.0 + self.trainer.current_epoch

    def training_step(self, batch, batch_idx):
        return self.temperature * super().training_step(batch, batch_idx)
""",
    "plateau": """
    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=9)
        scheduling = {"scheduler": scheduler, "monitor": "val/loss"}
        return {"optimizer": optimizer, "lr_scheduler": scheduling}
""",
}


@pytest.mark.parametrize("way", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("name", MODELS)
def test_model_resumes(name: str, way: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """A model may set attributes when an epoch starts, or have a scheduler that needs a metric."""
    project_name = f"Model {name} {way}"
    project = new_project(render, tmp_path / "project", project_name, task="tabular")
    package = project.folder / "src" / project.package
    imports = "import torch\n\nfrom .model import Model as TabularModel\n\n\n"
    text = f"{imports}class Model(TabularModel):{MODELS[name]}"
    (package / "own_model.py").write_text(text)
    entry_point = package / "__main__.py"
    entry_point.write_text(entry_point.read_text().replace(".model import", ".own_model import"))
    options = [*small_options("tabular"), "--trainer.max_epochs=3"]
    assert_succeeded(fit(project, "uninterrupted", *options))

    batch = str(IN_SECOND_EPOCH)
    assert fit(project, "resumed", *options, KILL_AT=batch, KILL_WITH=way).returncode != 0
    assert_succeeded(fit(project, "resumed", *options))

    assert_same_end(project, "uninterrupted", "resumed")


@pytest.mark.parametrize(
    ("strategy", "callback", "reason"),
    [
        ("fsdp2", "EMAWeightAveraging", "cannot average weights that fsdp2 shards"),
        ("fsdp2", "StochasticWeightAveraging", "cannot average weights that fsdp2 shards"),
        ("ddp", "BackboneFinetuning", "would not exchange"),
    ],
)
def test_unsupported_callbacks_are_refused(
    strategy: str, callback: str, reason: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    """A callback that several processes cannot have is refused by name."""
    name = f"Refused {callback}"
    answers = {"task": "tabular", "strategy": strategy, "accelerator": "cpu", "devices": "2"}
    project = new_project(render, tmp_path / "project", name, **answers)
    options = [*small_options("tabular"), f"--trainer.callbacks+={LIGHTNING}.{callback}"]
    if callback == "StochasticWeightAveraging":
        options.append("--trainer.callbacks.swa_lrs=0.01")

    assert_refused(fit(project, "refused", *options, ranks=2), callback, reason)


def assert_same_files(project: Project, expected: str, run: str) -> None:
    """Both runs left checkpoints of the same names."""
    names = []
    for name in (expected, run):
        folder = project.run_folder(name) / "checkpoints"
        names.append(sorted(path.name for path in folder.iterdir()))
    assert names[1] == names[0]
