# Managed by copier-lightning: an update may replace this file; your tests are beside this folder.
"""A run that is stopped resumes exactly."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from harness.project import ONE_PROCESS, command
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

EXIT_TEMPORARY_FAILURE = 75
ARGUMENTS = [
    f"--trainer.callbacks+={__name__}.Stopper",
    "--trainer.log_every_n_steps=1",
    "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=3",
    "--trainer.limit_val_batches=1",
    "--trainer.enable_progress_bar=false",
    "--checkpoint.save_top_k=0",  # last.ckpt alone, from which a run resumes
    *ONE_PROCESS,
]


class Stopper(Callback):
    """Sends SIGTERM to this process within the step that STOP_AT names."""

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        if str(trainer.global_step + 1) == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), signal.SIGTERM)


def last_checkpoint(folder: Path, run: str) -> dict[str, Any]:
    path = folder / "runs" / run / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)


def test_stopped_run_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped twice and resumed, a run ends with the weights of an uninterrupted one."""
    monkeypatch.chdir(tmp_path)
    command(monkeypatch, "fit", "--run", "uninterrupted", *ARGUMENTS)
    for step in ("2", "4"):
        monkeypatch.setenv("STOP_AT", step)
        with pytest.raises(SystemExit) as ended:
            command(monkeypatch, "fit", "--run", "stopped", *ARGUMENTS)
        assert ended.value.code == EXIT_TEMPORARY_FAILURE
    monkeypatch.delenv("STOP_AT")
    command(monkeypatch, "fit", "--run", "stopped", *ARGUMENTS)

    expected = last_checkpoint(tmp_path, "uninterrupted")
    stopped = last_checkpoint(tmp_path, "stopped")
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        torch.testing.assert_close(stopped[part], expected[part], rtol=0, atol=0)
