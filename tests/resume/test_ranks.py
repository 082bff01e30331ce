"""A run on several processes resumes as if nothing had happened."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.resume.runs import (
    BATCHES,
    OPTIONS,
    Done,
    add_callback,
    assert_killed,
    assert_resumed,
    assert_same_end,
    assert_stopped,
    assert_succeeded,
    fit,
    new_project,
)
from tests.support.projects import Project
from tests.support.tasks import small_options
from tests.support.template import TASKS

pytestmark = pytest.mark.slow

TWO_PROCESSES = {"accelerator": "cpu", "devices": "2"}
CHECKPOINTING = "--trainer.strategy.init_args.activation_checkpointing=true"
# Of an epoch, where a step of sharded weights takes up to a second.
FEW_BATCHES = 3
# By rounding, since numbers are summed in another order.
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4


# ---- Killed and resumed --------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_killed_ddp_ends_the_same(task: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """Two processes with ddp, killed and resumed, end the same bit for bit, and predict together.

    The checkpoint is one file with plain keys, which loads anywhere.
    """
    answers = {"task": task, "strategy": "ddp", **TWO_PROCESSES}
    project = new_project(render, tmp_path / "project", f"Ddp {task}", **answers)

    done = kill_and_resume(project, small_options(task))

    assert probed_ranks(done) == {0, 1}
    assert set(probed_numbers(done, "FSDP units")) == {0}
    assert set(probed_numbers(done, "modules called in backward")) == {0}
    check_predictions(project)
    check_checkpoint(project)


@pytest.mark.parametrize("task", TASKS)
def test_killed_fsdp2_ends_the_same(task: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """Two processes with fsdp2, killed and resumed, end the same bit for bit, and predict together.

    Every weight is sharded, and activations are computed again in the backward pass. The checkpoint
    is one file with plain keys, which loads anywhere.
    """
    answers = {"task": task, "strategy": "fsdp2", **TWO_PROCESSES}
    project = new_project(render, tmp_path / "project", f"Fsdp2 {task}", **answers)

    done = kill_and_resume(project, [*small_options(task), CHECKPOINTING])

    assert probed_ranks(done) == {0, 1}
    assert set(probed_numbers(done, "unsharded parameters")) == {0}
    # The blocks, and the model around them.
    assert min(probed_numbers(done, "FSDP units")) > 2
    assert min(probed_numbers(done, "modules called in backward")) > 0
    check_predictions(project)
    check_checkpoint(project)


def kill_and_resume(project: Project, options: list[str]) -> Done:
    """Kill and resume a run of two processes, and compare it with one that was not interrupted.

    Returns what the other one printed.
    """
    add_callback(project, "rank_probe")
    options = [
        *options,
        "--trainer.callbacks+=rank_probe.RankProbe",
        f"--trainer.limit_train_batches={FEW_BATCHES}",
    ]
    uninterrupted = fit(project, "uninterrupted", *options, ranks=2)
    assert_succeeded(uninterrupted)

    in_second_epoch = str(FEW_BATCHES + 2)
    assert_killed(fit(project, "killed", *options, ranks=2, KILL_AT=in_second_epoch))
    resumed = fit(project, "killed", *options, ranks=2)

    assert_resumed(resumed, FEW_BATCHES)
    assert_same_end(project, "uninterrupted", "killed")
    return uninterrupted


def probed_ranks(done: Done) -> set[int]:
    """The ranks of two that a RankProbe printed."""
    return {int(rank) for rank in re.findall(r"^PROBE rank (\d+) of 2$", done.stdout, re.MULTILINE)}


def probed_numbers(done: Done, name: str) -> list[int]:
    """The numbers that the RankProbes of two ranks printed."""
    lines = re.findall(rf"^PROBE {name}: (\d+)$", done.stdout, re.MULTILINE)
    assert len(lines) >= 2
    return [int(number) for number in lines]


def check_predictions(project: Project) -> None:
    """Each rank writes the predictions of its part of the data."""
    done = project.fork("predict", "--run", "killed", "--trainer.limit_predict_batches=2", ranks=2)
    assert_succeeded(done)
    written = {path.name for path in project.run_folder("killed").glob("predictions*.csv")}
    assert written == {"predictions-0.csv", "predictions-1.csv"}


def check_checkpoint(project: Project) -> None:
    """The last checkpoint loads in a process alone, with the keys of the model."""
    path = project.last_checkpoint("killed")
    model = project.load("model").Model.load_from_checkpoint(path, weights_only=True)
    saved = project.load_last_checkpoint("killed")["state_dict"]
    loaded = model.state_dict()
    assert list(loaded) == list(saved)
    for name, value in loaded.items():
        assert torch.equal(value, saved[name]), name


def test_launched_ranks_end_the_same(render: Callable[..., Path], tmp_path: Path) -> None:
    """Lightning itself starts the second process if nothing else has, and both die together.

    They end as two that were started by a launcher and not interrupted.
    """
    task = "image_classification"
    answers = {"task": task, "strategy": "ddp", **TWO_PROCESSES}
    project = new_project(render, tmp_path / "project", "Launched", **answers)
    options = small_options(task)
    assert_succeeded(fit(project, "uninterrupted", *options, ranks=2))

    command = ["fit", "--run", "killed", *OPTIONS, *options]
    assert_killed(project.process(*command, KILL_AT="8"))
    resumed = project.process(*command)

    assert_resumed(resumed, BATCHES)
    assert_same_end(project, "uninterrupted", "killed")
    configs = (project.folder / "runs").glob("*/config.yaml")
    assert {path.parent.name for path in configs} == {"uninterrupted", "killed"}


# ---- On another number of processes --------------------------------------------------------------


@pytest.mark.parametrize(("first_devices", "second_devices"), [(2, 1), (1, 2)])
def test_number_of_processes_can_change(
    first_devices: int,
    second_devices: int,
    render: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """A run that was stopped on two processes resumes on one, and the other way round.

    The global batches are the same, so the weights differ by rounding only: without dropout, whose
    draws depend on the rank.
    """
    answers = {"task": "tabular", "strategy": "ddp", "accelerator": "cpu"}
    name = f"Elastic {first_devices} to {second_devices}"
    project = new_project(render, tmp_path / "project", name, **answers)
    options = [*small_options("tabular"), "--model.dropout=0"]
    assert_succeeded(fit(project, "uninterrupted", *options, "--trainer.devices=1"))

    first_options = [*options, f"--trainer.devices={first_devices}"]
    second_options = [*options, f"--trainer.devices={second_devices}"]
    stopped = fit(
        project,
        "elastic",
        *first_options,
        ranks=first_devices,
        KILL_AT="8",
        KILL_WITH="SIGTERM",
    )
    assert_stopped(stopped, step=8)
    resumed = fit(project, "elastic", *second_options, ranks=second_devices)

    assert_resumed(resumed, step=8)
    torch.testing.assert_close(
        project.load_last_checkpoint("elastic")["state_dict"],
        project.load_last_checkpoint("uninterrupted")["state_dict"],
        rtol=RELATIVE_TOLERANCE,
        atol=ABSOLUTE_TOLERANCE,
    )
