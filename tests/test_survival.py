"""A run that is killed, stopped or refused its disk goes on as if nothing had happened."""

import csv
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, TASKS
from projects import SMALL, Project

pytestmark = pytest.mark.slow

EPOCHS, BATCHES = 2, 6
LIMITS = [f"--trainer.max_epochs={EPOCHS}", f"--trainer.limit_train_batches={BATCHES}", "--trainer.limit_val_batches=1"]
LIMITS += ["--trainer.log_every_n_steps=1", "--trainer.enable_progress_bar=false", "--trainer.num_sanity_val_steps=0"]
LIMITS += ["--trainer.callbacks+=killer.Killer"]
EXACT = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "stepped")


def new_project(render: Any, folder: Path, task: str, name: str, **answers: Any) -> Project:
    project = Project(render(folder, task=task, project_name=name, **answers))
    shutil.copy(ROOT / "tests" / "killer.py", project.folder / "src")
    return project


def fit(project: Project, run: str, *args: str, ranks: int = 1, **environment: str) -> subprocess.CompletedProcess[str]:
    return project.fork("fit", "--run", run, *LIMITS, *args, ranks=ranks, **environment)


def last(project: Project, run: str) -> dict[str, Any]:
    return torch.load(project.folder / "runs" / run / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same(project: Project, one: str, other: str) -> None:
    """Bit for bit: weights, optimizer state, schedule, and every row of metrics."""
    first, second = last(project, one), last(project, other)
    for part in EXACT:
        torch.testing.assert_close(second[part], first[part], rtol=0, atol=0, msg=f"{part} differs")
    runs = project.folder / "runs"
    assert told(runs / other) == told(runs / one)


def told(run: Path) -> tuple[list[dict[str, str]], dict[str, float]]:
    """The rows of metrics.csv, and what is in fit.json, but for what was read off a clock."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [timeless(row) for row in rows], timeless(json.loads((run / "fit.json").read_text()))


def timeless(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not name.endswith("per_second")}


def assert_weights(project: Project, one: str, other: str) -> None:
    torch.testing.assert_close(last(project, other)["state_dict"], last(project, one)["state_dict"], rtol=0, atol=0)


def kills(seed: int, count: int, total: int = EPOCHS * BATCHES) -> list[str]:
    """So many batches to be killed at, in order; the last one is in the second epoch, where there is a checkpoint."""
    drawn = random.Random(seed)
    return [
        *map(str, sorted(drawn.sample(range(1, BATCHES + 2), count - 1))),
        str(drawn.randint(BATCHES + 2, total - 1)),
    ]


CASES = [
    *((task, ["--data.num_workers=0"]) for task in TASKS),
    ("image_classification", ["--data.num_workers=2", "--trainer.accumulate_grad_batches=2"]),
    ("language_modeling", ["--trainer.val_check_interval=3", "--data.num_workers=1"]),
]


@pytest.mark.parametrize(("task", "args"), CASES)
def test_killed_run_ends_the_same(task: str, args: list[str], render: Any, tmp_path: Path) -> None:
    """SIGKILL at random steps, several times in a run, changes no bit of how it ends."""
    project = new_project(render, tmp_path / "project", task, f"Kill {task} {len(args)}")
    args = [*args, *SMALL[task], "--trainer.accelerator=cpu"]
    ended = fit(project, "alone", *args)
    assert ended.returncode == 0, ended.stderr[-3000:]
    for at in kills(len(args), 2):
        assert fit(project, "killed", *args, KILL_AT=at).returncode == -signal.SIGKILL
    every = 3 if "--trainer.val_check_interval=3" in args else BATCHES  # batches there is a checkpoint
    batches = (int(at) - 1) // every * every
    steps = batches // (2 if "--trainer.accumulate_grad_batches=2" in args else 1)
    ended = fit(project, "killed", *args)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"goes on after step {steps}\n" in ended.stdout
    assert_same(project, "alone", "killed")


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
@pytest.mark.parametrize("task", TASKS)
def test_killed_ranks_end_the_same(task: str, strategy: str, render: Any, tmp_path: Path) -> None:
    """The same with two processes, which train and predict together; fsdp2 shards each weight and recomputes.

    The checkpoint is one file that loads anywhere, with the plain keys.
    """
    answers = {"accelerator": "cpu", "strategy": strategy, "devices": "2"}
    project = new_project(render, tmp_path / "project", task, f"Ranks {task} {strategy}", **answers)
    shutil.copy(ROOT / "tests" / "probe.py", project.folder / "src")
    sharded = strategy == "fsdp2"
    args = [*SMALL[task], "--trainer.callbacks+=probe.Probe"]
    args += ["--trainer.strategy.init_args.activation_checkpointing=true"] * sharded
    ended = fit(project, "alone", *args, ranks=2)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert all(f"PROBE rank {rank} of 2: {0 if sharded else ''}" in ended.stdout for rank in (0, 1))
    units = map(int, re.findall(r"PROBE units (\d+)", ended.stdout))
    assert (min(units) > 2) == sharded  # the blocks, and what is left of the model
    calls = [int(count) > 0 for count in re.findall(r"PROBE modules called in backward: (\d+)", ended.stdout)]
    assert len(calls) >= 2
    assert set(calls) == {sharded}
    assert fit(project, "killed", *args, ranks=2, KILL_AT=kills(0, 1)[0]).returncode == -signal.SIGKILL
    ended = fit(project, "killed", *args, ranks=2)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"goes on after step {BATCHES}" in ended.stdout
    assert_same(project, "alone", "killed")
    ended = project.fork("predict", "--run", "killed", "--trainer.limit_predict_batches=2", ranks=2)
    assert ended.returncode == 0, ended.stderr[-3000:]
    run = project.folder / "runs" / "killed"
    assert {path.name for path in run.glob("predictions*.csv")} == {"predictions-0.csv", "predictions-1.csv"}
    state = last(project, "killed")["state_dict"]
    model = project.imported("model").Model.load_from_checkpoint(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_launched_ranks_end_the_same(render: Any, tmp_path: Path) -> None:
    """Lightning starts the second process itself where nothing else has: both train, and die together.

    They end as two that were started by hand and left alone.
    """
    answers = {"accelerator": "cpu", "strategy": "ddp", "devices": "2"}
    project = new_project(render, tmp_path / "project", "image_classification", "Launched", **answers)
    small = SMALL["image_classification"]
    assert fit(project, "alone", *small, ranks=2).returncode == 0
    args = ["fit", *LIMITS, *small, "--run"]
    ended = project.process(*args, "killed", KILL_AT="8")
    assert ended.returncode == -signal.SIGKILL
    ended = project.process(*args, "killed")
    assert f"goes on after step {BATCHES}" in ended.stdout
    assert_same(project, "alone", "killed")
    assert len(list((project.folder / "runs").glob("*/config.yaml"))) == 2


def test_killed_stream_ends_the_same(render: Any, tmp_path: Path) -> None:
    """Text that is read as it goes, by any number of workers, goes on at the batch where it was."""
    drawn = random.Random(0)
    for split, files in (("train", 5), ("val", 1), ("test", 1)):
        (tmp_path / "text" / split).mkdir(parents=True)
        for i in range(files):
            text = "".join(drawn.choice("abcdefgh \n") for _ in range(drawn.randint(2000, 6000)))
            (tmp_path / "text" / split / f"{i}.txt").write_text(text)
    project = new_project(render, tmp_path / "project", "language_modeling", "Stream")
    args = ["--data.stream=true", f"--data.path={tmp_path / 'text'}", *SMALL["language_modeling"]]
    assert fit(project, "alone", *args, "--data.num_workers=0").returncode == 0
    for at, workers in (("4", "2"), ("9", "2"), ("never", "1")):
        ended = fit(project, "killed", *args, f"--data.num_workers={workers}", KILL_AT=at)
        assert ended.returncode == (0 if at == "never" else -signal.SIGKILL), ended.stderr[-3000:]
    assert f"goes on after step {BATCHES}" in ended.stdout
    assert_same(project, "alone", "killed")
    ended = fit(project, "endless", *args, "--trainer.limit_train_batches=1.0")
    assert "a stream has no end" in ended.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def project(render: Any, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A tabular project with a run `alone` that was left to itself."""
    project = new_project(render, tmp_path_factory.mktemp("survival") / "project", "tabular", "Survival")
    ended = fit(project, "alone", *SMALL["tabular"])
    assert ended.returncode == 0, ended.stderr[-3000:]
    return project


def steps(project: Project, run: str) -> list[int]:
    """The steps whose training loss was logged."""
    lines = (project.folder / "runs" / run / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","))) for line in lines[1:]]
    return [int(row["step"]) for row in rows if row["train/loss"]]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_signal_loses_no_step(name: str, project: Project) -> None:
    """A signal in mid-epoch saves at the step's end and exits with 75; the step after resume is the next one."""
    run = name.lower()  # Ctrl-C reaches the loader's workers as well
    args = [*SMALL["tabular"], f"--data.num_workers={2 if name == 'SIGINT' else 0}"]
    ended = fit(project, run, *args, KILL_AT="4", KILL_WITH=name)
    assert ended.returncode == 75, ended.stderr[-3000:]
    assert "stopped after step 4; the same command continues" in ended.stdout
    assert last(project, run)["global_step"] == 4
    assert "Traceback" not in ended.stderr
    ended = fit(project, run, *args)
    assert "goes on after step 4" in ended.stdout
    assert steps(project, run) == list(range(EPOCHS * BATCHES))
    assert_same(project, "alone", run)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_signal_to_one_rank_stops_all(strategy: str, render: Any, tmp_path: Path) -> None:
    """Both ranks agree to stop, save once, and leave no process behind; the run ends as if left alone."""
    project = new_project(
        render, tmp_path / "project", "tabular", f"Signal {strategy}", strategy=strategy, accelerator="cpu", devices="2"
    )
    assert fit(project, "alone", *SMALL["tabular"], ranks=2).returncode == 0
    ended = fit(project, "stopped", *SMALL["tabular"], ranks=2, KILL_AT="4", KILL_WITH="SIGTERM")
    assert ended.returncode == 75, ended.stderr[-3000:]
    assert last(project, "stopped")["global_step"] == 4
    assert fit(project, "stopped", *SMALL["tabular"], ranks=2).returncode == 0
    assert_same(project, "alone", "stopped")


def test_kill_in_the_midst_of_a_checkpoint(project: Project) -> None:
    """What was being written is left over, cleared by the next start, and the checkpoint before is used."""
    assert fit(project, "writing", *SMALL["tabular"], KILL_AT="4", KILL_WITH="SIGTERM").returncode == 75
    assert fit(project, "writing", *SMALL["tabular"], KILL_AT="6", KILL_IN="save").returncode == -signal.SIGKILL
    folder = project.folder / "runs" / "writing" / "checkpoints"
    assert list(folder.glob("*.partial"))
    ended = fit(project, "writing", *SMALL["tabular"])
    assert "goes on after step 4" in ended.stdout
    assert not list(folder.glob("*.partial"))
    assert_same(project, "alone", "writing")


def test_truncated_checkpoint_is_passed_over(project: Project) -> None:
    """A `last.ckpt` that was cut short is named, and the newest complete one is used; with none, nothing is lost."""
    assert fit(project, "short", *SMALL["tabular"], KILL_AT=str(BATCHES + 2)).returncode == -signal.SIGKILL
    folder = project.folder / "runs" / "short" / "checkpoints"
    path = folder / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-1000])
    ended = fit(project, "short", *SMALL["tabular"])
    assert "passed over last.ckpt, which cannot be read" in ended.stdout
    assert f"goes on after step {BATCHES}" in ended.stdout
    assert_weights(project, "alone", "short")
    (folder.parent / "fit.json").unlink()
    for other in folder.glob("*.ckpt"):
        other.write_bytes(other.read_bytes()[:-1000])
    ended = fit(project, "short", *SMALL["tabular"])
    assert ended.returncode == 1
    assert "no checkpoint there is complete" in ended.stderr.splitlines()[-1]
    assert "--restart starts it over" in ended.stderr.splitlines()[-1]
    ended = fit(project, "short", *SMALL["tabular"], "--restart")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert_same(project, "alone", "short")


def test_full_disk_keeps_the_checkpoint_before(project: Project) -> None:
    """A file that cannot be written to its end leaves the one before, and one line; with room the run goes on."""
    args = [*SMALL["tabular"], "--checkpoint.save_top_k=0"]  # so that the first to be written is last.ckpt
    assert fit(project, "full", *args, KILL_AT="4", KILL_WITH="SIGTERM").returncode == 75
    path = project.folder / "runs" / "full" / "checkpoints" / "last.ckpt"
    before, quota = path.read_bytes(), path.stat().st_size // 2
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (quota, hard))
    ended = project.fork("fit", "--run", "full", *LIMITS, *args, preexec=limit)
    assert ended.returncode == 1
    assert "last.ckpt cannot be written" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.partial"))
    assert fit(project, "full", *args).returncode == 0
    assert_same(project, "alone", "full")


def test_folder_that_cannot_be_written(project: Project, tmp_path: Path) -> None:
    """A run folder that is no folder, or read-only, is one line."""
    (project.folder / "runs" / "file").write_text("")
    ended = fit(project, "file", *SMALL["tabular"])
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("runs/file cannot be written: File exists")
    sealed = project.folder / "runs" / "sealed"
    sealed.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(sealed)], capture_output=True)
    if mounted.returncode:  # not root: permissions do
        sealed.chmod(0o500)
    try:
        ended = fit(project, "sealed", *SMALL["tabular"])
    finally:
        subprocess.run(["umount", str(sealed)], capture_output=True)
    assert ended.returncode == 1
    assert "runs/sealed cannot be written: " in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_end_that_was_cut_off(project: Project) -> None:
    """Killed when all was trained, before the last files were there: the same command writes what they would have."""
    assert fit(project, "ended", *SMALL["tabular"]).returncode == 0
    run = project.folder / "runs" / "ended"
    project.fork("test", "--run", "ended")
    before = told(run), project.result("ended")
    (run / "checkpoints" / "last.ckpt").unlink()
    (run / "fit.json").unlink()
    (run / "fit.partial").write_text("{")
    assert fit(project, "ended", *SMALL["tabular"]).returncode == 0
    project.fork("test", "--run", "ended")
    assert (told(run), project.result("ended")) == before


def test_second_process_is_refused(project: Project) -> None:
    """While one process trains a run, another that is started on it says so and changes nothing."""
    lock = project.folder / "runs" / "busy" / ".lock"
    environment = {**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
    long = [*LIMITS, *SMALL["tabular"], "--trainer.max_epochs=100000", "--early_stopping.patience=100000"]
    first = subprocess.Popen(
        [sys.executable, project.script(), "fit", "--run", "busy", *long],
        cwd=project.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not lock.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        ended = project.fork("fit", "--run", "busy", *long)
        assert ended.returncode == 1
        assert "runs/busy is in use by another process" in ended.stderr.splitlines()[-1]
        assert first.poll() is None
    finally:
        first.terminate()
        assert first.wait(60) == 75


def test_fewer_and_more_processes(render: Any, tmp_path: Path) -> None:
    """A run cut off on two processes continues on one, and the other way round, over the same global batches.

    Equal up to the order in which floating-point numbers are summed; without dropout, whose draws are by rank.
    """
    project = new_project(render, tmp_path / "project", "tabular", "Elastic", strategy="ddp", accelerator="cpu")
    args = [*SMALL["tabular"], "--model.dropout=0"]
    assert fit(project, "alone", *args, "--trainer.devices=1").returncode == 0
    for run, first, second in (("shrinks", 2, 1), ("grows", 1, 2)):
        ended = fit(project, run, *args, f"--trainer.devices={first}", ranks=first, KILL_AT="8", KILL_WITH="SIGTERM")
        assert ended.returncode == 75, ended.stderr[-3000:]
        ended = fit(project, run, *args, f"--trainer.devices={second}", ranks=second)
        assert ended.returncode == 0, ended.stderr[-3000:]
        for name, value in last(project, "alone")["state_dict"].items():
            torch.testing.assert_close(last(project, run)["state_dict"][name], value, rtol=1e-3, atol=1e-4)


def test_evaluation_of_the_best_is_exact(project: Project) -> None:
    """`validate` on the best checkpoint gives the number that training gave it; `test` gives the same every time."""
    results = []
    for _ in range(2):
        assert project.fork("test", "--run", "alone").returncode == 0
        results.append(project.result("alone"))
    assert results[0] == results[1]
    assert project.fork("validate", "--run", "alone").returncode == 0
    states = last(project, "alone")["callbacks"]
    best = next(state["best_model_score"] for key, state in states.items() if key.startswith("ModelCheckpoint"))
    assert project.result("alone", "validate")["val/loss"] == pytest.approx(float(best), abs=0)


def test_best_is_tested_as_at_the_end_of_training(project: Project) -> None:
    """`test` in a process of its own gives exactly what `trainer.test` gave the best model as training ended."""
    script = project.folder / "at_end.py"
    script.write_text(
        f"import json, sys\n"
        f"from {project.package}.harness.main import compose, find_configs\n"
        f"from {project.package}.harness.cli import CLI\n"
        f"cli = CLI(compose(sys.argv[1:], find_configs()))\n"
        f"print('RESULT', json.dumps(cli.trainer.test(cli.model, cli.datamodule, ckpt_path='best')[0]))\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script), "fit", "--run", "end", *LIMITS, *SMALL["tabular"]],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    at_end = json.loads(next(line for line in ended.stdout.splitlines() if line.startswith("RESULT"))[7:])
    assert project.fork("test", "--run", "end").returncode == 0
    assert project.result("end") == at_end


def test_weights_start_a_new_run(project: Project, tmp_path: Path) -> None:
    """--weights starts from a run's weights alone; what has another shape is refused, or begun anew if asked."""
    path = str(project.folder / "runs" / "alone" / "checkpoints" / "last.ckpt")
    ended = fit(project, "warm", *SMALL["tabular"], "--weights", path, "--model.lr=0", "--model.weight_decay=0")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert_weights(project, "alone", "warm")
    ended = fit(project, "other", "--weights", path, "--data.dataset=diabetes")
    assert ended.returncode == 1
    assert "add --new_head true to begin it anew" in ended.stderr.splitlines()[-1]
    ended = fit(project, "other", "--weights", path, "--data.dataset=diabetes", "--new_head", "true")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "new   " in ended.stdout


def test_null_stays_null(project: Project) -> None:
    """What was set to null, where the default is something else, is null when the run goes on: epochs do not count."""
    args = [*SMALL["tabular"], "--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=4"]
    assert fit(project, "null", *args).returncode == 0
    assert fit(project, "nulled", *args, KILL_AT="10").returncode == -signal.SIGKILL
    ended = fit(project, "nulled", *args)
    assert "goes on after step 8" in ended.stdout
    assert_same(project, "null", "nulled")


def test_run_keeps_its_settings(project: Project) -> None:
    """A run that goes on is not given another model or batch; the line says which value it has."""
    assert fit(project, "kept", *SMALL["tabular"], KILL_AT="4", KILL_WITH="SIGTERM").returncode == 75
    for setting in ("model.width=64", "data.batch_size=64", "model.lr=1.0"):
        ended = fit(project, "kept", *SMALL["tabular"], f"--{setting}")
        assert ended.returncode == 1
        assert f"runs/kept has {setting.split('=')[0]}=" in ended.stderr.splitlines()[-1]


def test_loggers_continue_the_same_run(render: Any, tmp_path: Path) -> None:
    """TensorBoard hides no step and shows none twice; W&B has one id, MLflow one run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loggers = ["csv", "tensorboard", "wandb", "mlflow"]
    project = new_project(render, tmp_path / "project", "tabular", "Loggers", logger=loggers)
    assert fit(project, "run", *SMALL["tabular"], KILL_AT=str(BATCHES + 3)).returncode == -signal.SIGKILL
    ended = fit(project, "run", *SMALL["tabular"])
    assert ended.returncode == 0, ended.stderr[-3000:]
    run = project.folder / "runs" / "run"
    events = EventAccumulator(str(run))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(EPOCHS * BATCHES))
    assert len({path.name.rpartition("-")[2] for path in run.glob("wandb/offline-run-*")}) == 1
    assert len(list(run.glob("wandb/offline-run-*"))) == 2
    import sqlite3

    with sqlite3.connect(project.folder / "runs" / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone() == (1,)
        logged = {row[0] for row in database.execute("select step from metrics where key = 'train/loss'")}
    assert logged == set(range(EPOCHS * BATCHES))
    assert json.loads((run / "fit.json").read_text())
