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
ONE_PROCESS = ["--trainer.accelerator", "cpu", "--trainer.strategy", "auto", "--trainer.devices", "1"]
ONE_PROCESS += ["--trainer.num_nodes", "1", "--trainer.precision", "32-true"]


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


def test_run_keeps_everything(folder: Path) -> None:
    """A run's folder holds its configuration, its best checkpoints and the last one."""
    run = folder / "runs" / "first"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 1
    assert (run / "checkpoints" / "last.ckpt").exists()
    assert len(list((run / "checkpoints").glob("*.ckpt"))) >= 2


def test_evaluation_writes_results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """validate, test and predict find the newest run, and leave a table and two summaries in it."""
    monkeypatch.chdir(folder)
    for name in ("validate", "test", "predict"):
        command(monkeypatch, name)
    run = folder / "runs" / "first"
    monitored = yaml.safe_load((run / "config.yaml").read_text())["checkpoint"]["monitor"]
    assert monitored in json.loads((run / "validate.json").read_text())
    assert monitored.replace("val/", "test/") in json.loads((run / "test.json").read_text())
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
        (["fit", "--model.lr", "fast"], "Parser key \"model.lr\": Expected a <class 'float'>"),
        (["fit", "-c", "nowhere"], "File does not exist"),
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
    """Stopped twice and started again, a run ends with the weights, optimizer and metrics of one left alone."""
    monkeypatch.chdir(tmp_path)
    args = [f"--trainer.callbacks+={__name__}.Stopper", "--trainer.log_every_n_steps=1", "--trainer.max_epochs=2"]
    args = [*args, "--trainer.limit_train_batches=3", "--trainer.limit_val_batches=1", *QUICK[4:], *ONE_PROCESS]
    command(monkeypatch, "fit", "--run", "alone", *args)
    for step in ("2", "4"):
        monkeypatch.setenv("STOP_AT", step)
        with pytest.raises(SystemExit) as ended:
            command(monkeypatch, "fit", "--run", "stopped", *args)
        assert ended.value.code == 75
    monkeypatch.delenv("STOP_AT")
    command(monkeypatch, "fit", "--run", "stopped", *args)
    alone, stopped = (
        torch.load(tmp_path / "runs" / name / "checkpoints" / "last.ckpt", weights_only=True)
        for name in ("alone", "stopped")
    )
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        torch.testing.assert_close(stopped[part], alone[part], rtol=0, atol=0)
    for name in ("metrics.csv", "fit.json"):
        files = [tmp_path / "runs" / run / name for run in ("alone", "stopped")]
        assert not files[0].exists() or files[0].read_text() == files[1].read_text()


def test_foreign_checkpoint_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint of another model, and a file that is none, are refused before anything runs."""
    monkeypatch.chdir(folder)
    torch.save({"hyper_parameters": {"moons": 3}, "state_dict": {}}, tmp_path / "other.ckpt")
    (tmp_path / "broken.ckpt").write_bytes(b"no checkpoint")
    for name, message in (("other", "is of another model"), ("broken", "cannot be read"), ("none", "cannot be read")):
        with pytest.raises(SystemExit, match=message):
            command(monkeypatch, "test", "--ckpt_path", str(tmp_path / f"{name}.ckpt"))
