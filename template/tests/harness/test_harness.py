# Managed by copier-lightning: an update may replace this file; yours are beside this folder.
"""The command line from outside and inside: what every project of the template promises."""

import importlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
PACKAGE = next((ROOT / "src").glob("*/harness")).parent.name
main = importlib.import_module(f"{PACKAGE}.harness.main").main
Model = importlib.import_module(f"{PACKAGE}.model").Model
QUICK = ["-c", "preset/limit", "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"]
PLAIN = "accelerator=cpu strategy=auto devices=1 num_nodes=1 precision=32-true"
ONE_PROCESS = [f"--trainer.{option}" for option in PLAIN.split()]


def command(monkeypatch: pytest.MonkeyPatch, *args: str) -> None:
    """Run the project's command in this process, in the current folder, with the project's configs."""
    monkeypatch.setattr(sys, "argv", [PROJECT, *args])
    monkeypatch.delenv("LIGHTNING_RUN", raising=False)
    main()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short run in it, `runs/first`."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        command(monkeypatch, "fit", "--run", "first", *QUICK, *ONE_PROCESS)
    return folder


def test_help_imports_no_torch() -> None:
    """`--help` answers without torch, so in a fraction of a second."""
    code = f"import sys; sys.argv = ['x', '--help']; from {PACKAGE}.harness.main import main; main()"
    code += "; assert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert all(word in shown.stdout for word in ("fit", "validate", "test", "predict", "preset/debug"))


def test_run_keeps_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's folder holds its configuration and checkpoints, and what validate, test and predict find out."""
    monkeypatch.chdir(folder)
    for name in ("validate", "test", "predict"):
        command(monkeypatch, name)
    run = folder / "runs" / "first"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 1
    assert {run / "checkpoints" / "last.ckpt"} < set((run / "checkpoints").glob("*.ckpt"))
    assert config["checkpoint"]["monitor"] in json.loads((run / "validate.json").read_text())
    assert config["checkpoint"]["monitor"].replace("val/", "test/") in json.loads((run / "test.json").read_text())
    assert len((run / "predictions.csv").read_text().splitlines()) > 1


def test_checkpoint_stands_alone(folder: Path) -> None:
    """A checkpoint loads with `weights_only=True`, and gives back the model with nothing else at hand."""
    path = folder / "runs" / "first" / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    model = Model.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    assert all(torch.equal(value.cpu(), state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("preset", sorted(path.stem for path in (ROOT / "configs" / "preset").glob("*.yaml")))
def test_preset_trains(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every preset runs; here for two steps, on one process, without compiling."""
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--model.compile", "false"]
    short += ["--trainer.limit_val_batches", "1", "--trainer.check_val_every_n_epoch", "1"]
    try:
        command(monkeypatch, "fit", "-c", f"preset/{preset}", *ONE_PROCESS, *short)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["fit", "--trainer.max_epoch", "3"], "did you mean trainer.max_epochs?"),
        (["fit", "--run", "a/b"], "a run's name is a folder's"),
        (["test"], "`fit` makes one"),
        (["train"], "use fit, validate, test, predict or drift"),
    ],
)
def test_mistakes_are_one_line(args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake ends the command with one line that names it, and writes nothing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command(monkeypatch, *args)
    assert message in str(ended.value.code)
    assert len(str(ended.value.code).splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_finished_run_stays(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """A run that is finished says so, and stays as it is."""
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime for path in (folder / "runs" / "first").rglob("*")}
    command(monkeypatch, "fit", "--run", "first", *QUICK)
    assert "is finished" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime for path in (folder / "runs" / "first").rglob("*")}


class Stopper(Callback):
    """Sends this process SIGTERM in the midst of the step that STOP_AT names."""

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if str(trainer.global_step + 1) == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), signal.SIGTERM)


def test_stopped_run_goes_on_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped twice and started again, a run ends with the weights and optimizer of one left alone."""
    monkeypatch.chdir(tmp_path)
    args = [f"--trainer.callbacks+={__name__}.Stopper", "--trainer.log_every_n_steps=1", "--trainer.max_epochs=2"]
    args = [*args, "--trainer.limit_train_batches=3", "--trainer.limit_val_batches=1", *QUICK[4:], *ONE_PROCESS]
    args += ["--checkpoint.save_top_k=0"]  # last.ckpt is what it goes on from
    command(monkeypatch, "fit", "--run", "alone", *args)
    for step in ("2", "4"):
        monkeypatch.setenv("STOP_AT", step)
        with pytest.raises(SystemExit) as ended:
            command(monkeypatch, "fit", "--run", "stopped", *args)
        assert ended.value.code == 75
    monkeypatch.delenv("STOP_AT")
    command(monkeypatch, "fit", "--run", "stopped", *args)
    ends = (tmp_path / "runs" / name / "checkpoints" / "last.ckpt" for name in ("alone", "stopped"))
    alone, stopped = (torch.load(path, weights_only=True) for path in ends)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        torch.testing.assert_close(stopped[part], alone[part], rtol=0, atol=0)


SEEN: dict[str, Any] = {}


class Watcher(Callback):
    """Notes the loss of each step, the weights that a gradient reaches, and those that a validation changes."""

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        weights = {name: weight for name, weight in pl_module.named_parameters() if weight.requires_grad}
        SEEN.update(metrics=[], reached=set(), changed=set(), weights=set(weights))
        for name, weight in weights.items():
            weight.register_post_accumulate_grad_hook(
                lambda w, name=name: SEEN["reached"].add(name) if w.grad.any() else None
            )

    def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        SEEN["metrics"].append({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        SEEN["before"] = {name: value.clone() for name, value in pl_module.state_dict().items()}

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        after = pl_module.state_dict()
        SEEN["changed"] |= {name for name, value in SEEN["before"].items() if not torch.equal(value, after[name])}


class ModelSuite:
    """What holds for every model; inherit it in a class `Test...` beside yours.

    `floor` is what `loss` falls to when one batch is repeated, and `options` are those of that `fit`.
    """

    loss, floor = "train/loss", 0.05
    options: tuple[str, ...] = ()

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def overfit(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.chdir(tmp_path_factory.mktemp("overfit"))
            watch = [f"--trainer.callbacks+={__name__}.Watcher", "--trainer.enable_progress_bar=false"]
            command(monkeypatch, "fit", "-c", "preset/overfit", *watch, *ONE_PROCESS, *cls.options)

    def test_one_batch_is_learnt(self) -> None:
        """The loss on one batch, repeated, falls to its floor."""
        losses = [metrics[self.loss] for metrics in SEEN["metrics"]]
        assert min(losses[-5:]) < self.floor < losses[0]

    def test_gradients_reach_every_weight(self) -> None:
        """No trainable weight is left out of training."""
        assert not SEEN["weights"] - SEEN["reached"]

    def test_validation_changes_nothing(self) -> None:
        """A validation leaves every weight, statistic and buffer as it was."""
        assert not SEEN["changed"]
