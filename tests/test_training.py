"""A covering array over the answers: each pair of answers that may meet is trained in some project."""

import csv
import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TASKS, choices, copy_template
from covertable import make
from jsonargparse import Namespace
from projects import SMALL, Project, asked_by
from questionnaire import Questionnaire

QUESTIONNAIRE = Questionnaire(copy_template())
LOGGERS = choices("logger")
MACHINE = ["accelerator", "strategy", "precision"]
QUICK = ("csv", "tensorboard")  # the others take seconds to begin and end a run
FACTORS = {
    "task": TASKS,
    **{name: choices(name) for name in MACHINE},
    **{name: [name in QUICK, name not in QUICK] for name in LOGGERS},  # the first where no pair is left to cover
    **{name: choices(name) for name in ("ci", "container", "license")},
}


def answers(row: dict[str, Any]) -> dict[str, Any]:
    loggers = {"logger": [name for name in LOGGERS if row[name]]} if set(LOGGERS) <= row.keys() else {}
    return {name: value for name, value in row.items() if name not in LOGGERS} | loggers


@cache
def accepted(items: frozenset[tuple[str, Any]]) -> bool:
    return not QUESTIONNAIRE.refusal(**answers(dict(items)))


def valid(row: dict[str, Any]) -> bool:
    return accepted(frozenset((name, value) for name, value in row.items() if name in FACTORS))


CONSTRAINTS = [
    {"operator": "fn", "requires": names, "evaluate": lambda row, names=names: valid({n: row[n] for n in names})}
    for names in (MACHINE[:2], MACHINE, ["task", *MACHINE[:2]], LOGGERS)
]
ROWS = [{name: row[name] for name in FACTORS} for row in make(FACTORS, constraints=CONSTRAINTS)]


def here(row: dict[str, Any]) -> list[str]:
    """What must differ on a machine without the accelerator that was answered."""
    args = ["--trainer.accelerator=cpu"]
    if row["strategy"].startswith(("fsdp", "deepspeed")) and row["strategy"] != "fsdp2":
        args += ["--trainer.strategy=auto"]
    if row["precision"] in ("16-mixed", "transformer-engine"):
        args += ["--trainer.precision=32-true"]
    return args


def test_rows_cover_every_valid_pair() -> None:
    """Whatever two answers may stand together, stand together in some row."""
    covered = {pair for row in ROWS for pair in combinations(sorted(row.items()), 2)}
    for (first, one), (second, other) in combinations([(n, v) for n, vs in FACTORS.items() for v in vs], 2):
        pair = tuple(sorted([(first, one), (second, other)]))
        if first != second and pair not in covered:
            rows = [row for row in ROWS if row[first] == one]
            assert {first, second} <= {"task", *MACHINE}, f"{pair} is in no row"
            assert not any(valid({**row, second: other}) for row in rows), f"{pair} is in no row"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ROWS)), ids=lambda i: "-".join(str(v) for v in list(ROWS[i].values())[:4]))
def test_project_trains(number: int, tmp_path: Path, render: Any) -> None:
    """The project fits, validates, tests and predicts with fast_dev_run, and a short real run does.

    Of `validate` and `test`, which differ by their split, the real runs of two projects take turns.
    """
    row = ROWS[number]
    project = Project(render(tmp_path / "project", project_name=f"Pairwise {number}", **answers(row)))
    machine, small = here(row), SMALL[row["task"]]
    limits = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=2"]
    limits += ["--trainer.enable_progress_bar=false", "--trainer.val_check_interval=null", "--trainer.max_steps=2"]
    assert project.run("fit", "--run", "short", *machine, *small, *limits) is None
    evaluation = ("validate", "test")[number % 2]
    for command in (evaluation, "predict"):
        assert project.run(command, "--trainer.limit_test_batches=2", "--trainer.limit_predict_batches=2") is None
    result = project.result("short", evaluation)
    assert all(value == value for value in result.values())  # no nan
    assert project.run("fit", "-c", "preset/debug", *machine, *small) is None
    for command in ("validate", "test", "predict"):
        assert project.run(command, "-c", "preset/debug", "--run", "short") is None
    run = tmp_path / "project" / "runs" / "short"
    assert project.result("short", evaluation) == result  # fast_dev_run writes nothing
    assert (run / "metrics.csv").exists() == row["csv"]
    assert bool(list(run.glob("events.out.*"))) == row["tensorboard"]
    assert bool(list(run.glob("wandb/offline-run-*/*.wandb"))) == row["wandb"]
    assert (run.parent / "mlflow.db").exists() == row["mlflow"]
    model = project.imported("model").Model.load_from_checkpoint(
        run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True
    )
    assert model.hparams


@pytest.mark.slow
def test_weights_take_the_place_of_published_ones(render: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit that starts `--weights` from a checkpoint fetches none, and starts from these; so does one that goes on."""
    monkeypatch.setattr("timm.models.load_pretrained", lambda *args, **kwargs: pytest.fail("weights are fetched"))
    project = Project(render(tmp_path / "project", project_name="Weights", logger=["csv"]))
    limits = ["--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1", *SMALL["image_classification"]]
    assert project.run("fit", "--run", "first", "--trainer.max_epochs=1", *limits) is None
    checkpoints = {run: project.folder / f"runs/{run}/checkpoints/last.ckpt" for run in ("first", "second")}
    start = ["--weights", str(checkpoints["first"]), "--model.pretrained=true", "--model.lr=0"]
    for epochs in (1, 2):
        assert project.run("fit", "--run", "second", f"--trainer.max_epochs={epochs}", *start, *limits) is None
    first, second = (torch.load(path, weights_only=True)["state_dict"] for path in checkpoints.values())
    for name in [name for name in first if name.endswith("weight")]:
        assert torch.equal(first[name], second[name]), name


def test_names_of_a_run_are_put_in(render: Any, tmp_path: Path) -> None:
    """{id}, {run} and {run_dir} stand for the run's own in text and paths, whatever holds them."""
    main: Any = Project(render(tmp_path / "project", project_name="Names")).imported("harness.main")
    given = Namespace(a="{run}", b=Path("{run_dir}/x"), c=("{id}", 1), d=[Namespace(e={"f": "x-{run}"})], g=None)
    filled = main.fill(given, {"{id}": "1a", "{run}": "one", "{run_dir}": "runs/one"})
    assert filled == Namespace(a="one", b=Path("runs/one/x"), c=("1a", 1), d=[Namespace(e={"f": "x-one"})], g=None)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_overfitting_a_batch_works(task: str, render: Any, tmp_path: Path) -> None:
    """`-c preset/overfit`, as the project's README shows it, brings the loss on one batch near its floor."""
    project = Project(render(tmp_path / "project", task=task, project_name=f"Overfit {task}", logger=["csv"]))
    shown = re.search(r"`-c (preset/overfit[^`]*)`", (project.folder / "README.md").read_text())
    assert shown
    ended = project.fork("fit", "--run", "one", "-c", *shown[1].split(), "--trainer.enable_progress_bar=false")
    assert ended.returncode == 0, ended.stderr
    loss = getattr(asked_by(task), "overfit_loss", "train/loss")
    with (project.folder / "runs" / "one" / "metrics.csv").open() as file:
        losses = [float(row[loss]) for row in csv.DictReader(file) if row[loss]]
    assert min(losses[-5:]) < 0.1 * losses[0], losses


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_compiled_network_keeps_its_keys(
    task: str, render: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--model.compile true` compiles, and its checkpoint loads where nothing is; the backend makes no difference."""
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(compile_eagerly(self)))
    project = Project(render(tmp_path / "project", task=task, project_name=f"Compiled {task}", logger=["csv"]))
    limits = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=2"]
    assert project.run("fit", "--run", "short", "--model.compile=true", *SMALL[task], *limits) is None
    assert compiled
    path = project.folder / "runs" / "short" / "checkpoints" / "last.ckpt"
    model = project.imported("model").Model(**plain(torch.load(path, weights_only=True)["hyper_parameters"]))
    assert list(model.state_dict()) == list(torch.load(path, weights_only=True)["state_dict"])


def compile_eagerly(module: torch.nn.Module) -> torch.nn.Module:
    module._compiled_call_impl = torch.compile(module._call_impl, backend="aot_eager")
    return module


def plain(hparams: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hparams.items() if name not in ("_instantiator", "compile")}
