# Managed by copier-lightning: an update may replace this file; your tests are beside this folder.
"""What every project of the template promises about its command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from harness.project import ONE_PROCESS, PACKAGE, QUICK, ROOT, command, model_class

PRESETS = sorted(path.stem for path in (ROOT / "configs" / "preset").glob("*.yaml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short run, `runs/first`."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        command(monkeypatch, "fit", "--run", "first", *QUICK, *ONE_PROCESS)
    return folder


def modification_times(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in folder.rglob("*")}


HELP_WITHOUT_TORCH = f"""
import sys
sys.argv = ["program", "--help"]
from {PACKAGE}.__main__ import run
run()
assert "torch" not in sys.modules
assert "lightning" not in sys.modules
"""


def test_help_imports_no_torch() -> None:
    """`--help` lists the commands and configurations without importing torch."""
    shown = subprocess.run(
        [sys.executable, "-c", HELP_WITHOUT_TORCH],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    for word in ("fit", "validate", "test", "predict", "drift", "preset/debug"):
        assert word in shown.stdout


def test_run_keeps_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's folder holds its configuration, checkpoints, metrics and predictions."""
    monkeypatch.chdir(folder)
    for name in ("validate", "test", "predict"):
        command(monkeypatch, name)
    run = folder / "runs" / "first"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 1
    assert (run / "checkpoints" / "last.ckpt").exists()
    monitored = config["checkpoint"]["monitor"]
    assert monitored in json.loads((run / "validate.json").read_text())
    assert monitored.replace("val/", "test/") in json.loads((run / "test.json").read_text())
    assert len((run / "predictions.csv").read_text().splitlines()) > 1


def test_checkpoint_stands_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint loads with `weights_only=True`, and is enough to make the model."""
    path = folder / "runs" / "first" / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    model = model_class(monkeypatch).load_from_checkpoint(
        path, map_location="cpu", weights_only=True
    )
    for name, value in model.state_dict().items():
        assert torch.equal(value.cpu(), state[name]), name


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_trains(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every preset runs; here for two steps, on one process, without compiling."""
    monkeypatch.chdir(tmp_path)
    short = [
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=2",
        "--trainer.limit_val_batches=1",
        "--trainer.check_val_every_n_epoch=1",
        "--model.compile=false",
    ]
    try:
        command(monkeypatch, "fit", "-c", f"preset/{preset}", *ONE_PROCESS, *short)
    finally:
        torch.use_deterministic_algorithms(False)  # preset/reproducible sets it for the process


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--trainer.max_epoch", "3"], "did you mean trainer.max_epochs?"),
        (["fit", "--run", "a/b"], "a run's name is the name of a folder"),
        (["test"], "`fit` makes one"),
        (["train"], "unknown command 'train'; use one of "),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error in the command line is one line that names it, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        command(monkeypatch, *arguments)
    text = str(ended.value.code)
    assert message in text
    assert len(text.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_finished_run_is_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """`fit` on a finished run says so, and changes nothing."""
    monkeypatch.chdir(folder)
    before = modification_times(folder / "runs" / "first")
    command(monkeypatch, "fit", "--run", "first", *QUICK)
    assert "is finished" in capsys.readouterr().out
    assert modification_times(folder / "runs" / "first") == before
