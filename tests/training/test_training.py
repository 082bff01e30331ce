"""Ways to train: from weights, on one batch, compiled."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import Namespace

from tests.support.projects import Project
from tests.support.tasks import small_options, task_settings
from tests.support.template import ROOT, TASKS

QUIET = "--trainer.enable_progress_bar=false"
LEARNED = 0.1  # the part of its first value that a loss falls below


def short(batches: int) -> list[str]:
    return [f"--trainer.limit_train_batches={batches}", f"--trainer.limit_val_batches={batches}"]


@pytest.mark.slow
def test_weights_replace_published_ones(
    render: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with `--weights` downloads none, starts from these, and resumes with them."""

    def fail(*arguments: Any, **options: Any) -> None:
        pytest.fail("weights are downloaded")

    monkeypatch.setattr("timm.models.load_pretrained", fail)
    project = Project(render(tmp_path / "project", project_name="Weights", logger=["csv"]))
    options = [*small_options("image_classification"), *short(1)]
    assert project.run("fit", "--run", "first", "--trainer.max_epochs=1", *options) is None

    weights = f"--weights={project.last_checkpoint('first')}"
    options += [weights, "--model.pretrained=true", "--model.lr=0"]
    assert project.run("fit", "--run", "second", "--trainer.max_epochs=1", *options) is None
    (project.run_folder("second") / "fit.json").unlink()  # so that it resumes
    assert project.run("fit", "--run", "second", "--trainer.max_epochs=2", *options) is None

    first = project.load_last_checkpoint("first")["state_dict"]
    second = project.load_last_checkpoint("second")["state_dict"]
    for name in first:
        if name.endswith("weight"):  # not the statistics of batch norm
            assert torch.equal(first[name], second[name]), name


def test_placeholders_are_filled_in(render: Callable[..., Path], tmp_path: Path) -> None:
    """{id}, {run} and {run_dir} are replaced in texts and paths, in any container."""
    project = Project(render(tmp_path / "project", project_name="Placeholders"))
    fill = project.load("harness.placeholders").fill_placeholders
    given = Namespace(
        text="{run}",
        path=Path("{run_dir}/x"),
        pair=("{id}", 1),
        nested=[Namespace(mapping={"key": "x-{run}"})],
        nothing=None,
    )
    assert fill(given, {"{id}": "1a", "{run}": "one", "{run_dir}": "runs/one"}) == Namespace(
        text="one",
        path=Path("runs/one/x"),
        pair=("1a", 1),
        nested=[Namespace(mapping={"key": "x-one"})],
        nothing=None,
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_overfitting_a_batch_works(task: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """`-c preset/overfit`, as the project's README has it, brings the loss close to its minimum.

    The run stops there: a project's own tests train to the end.
    """
    answers = {"task": task, "project_name": f"Overfit {task}", "logger": ["csv"]}
    project = Project(render(tmp_path / "project", **answers))
    shutil.copy(ROOT / "tests" / "support" / "stop_callback.py", project.folder / "src")
    readme = (project.folder / "README.md").read_text()
    shown = re.search(r"`-c (preset/overfit[^`]*)`", readme)
    assert shown
    loss = getattr(task_settings(task), "overfit_loss", "train/loss")
    options = ["-c", *shown[1].split(), QUIET, "--trainer.callbacks+=stop_callback.StopCallback"]
    stop = {"STOP_LOSS": loss, "STOP_AT": str(LEARNED)}
    ended = project.fork("fit", "--run", "one", *options, **stop)
    assert ended.returncode == 0, ended.stderr
    losses = [float(row[loss]) for row in project.metrics_rows("one") if row[loss]]
    assert losses[-1] < LEARNED * losses[0], losses


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_compiled_network_keeps_its_keys(
    task: str,
    render: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--model.compile true` compiles, and its checkpoint has the keys of a model that is not.

    The backend, which takes long, makes no difference to that: this one calls the network as it is.
    """
    compiled = []

    def compile_quickly(module: torch.nn.Module) -> None:
        compiled.append(module)
        module._compiled_call_impl = torch.compile(module._call_impl, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile_quickly)
    answers = {"task": task, "project_name": f"Compiled {task}", "logger": ["csv"]}
    project = Project(render(tmp_path / "project", **answers))
    options = ["--model.compile=true", "--trainer.max_epochs=1", *short(2), *small_options(task)]
    assert project.run("fit", "--run", "short", *options) is None
    assert compiled
    checkpoint = project.load_last_checkpoint("short")
    hyperparameters = dict(checkpoint["hyper_parameters"])
    hyperparameters.pop("_instantiator", None)
    model = project.load("model").Model(**hyperparameters | {"compile": False})
    assert list(model.state_dict()) == list(checkpoint["state_dict"])
