"""A resumed run calls every hook as often, and in the same order, as an uninterrupted one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.resume.runs import (
    BATCHES,
    EPOCHS,
    Done,
    add_callback,
    assert_killed,
    assert_same_end,
    assert_stopped,
    assert_succeeded,
    fit,
    new_project,
)
from tests.support.projects import Project
from tests.support.tasks import small_options

pytestmark = pytest.mark.slow

OPTIONS = [
    *small_options("tabular"),
    "--trainer.accelerator=cpu",
    "--trainer.callbacks+=hook_recorder.HookRecorder",
]
EPOCH_START = "on_train_epoch_start of epoch {epoch}, "
BATCH_START = "on_train_batch_start of epoch {epoch}, batch {batch}"


TWO_PROCESSES = {"accelerator": "cpu", "devices": "2", "strategy": "ddp"}


@dataclass(frozen=True)
class Recorded:
    """A project with the recorder, its number of processes, and an uninterrupted run."""

    project: Project
    ranks: int

    def fit(self, run: str, record: str, **environment: str) -> Done:
        """Start the run or resume it; its hooks go into the file `RECORD.txt`."""
        hooks_file = f"{record}.txt"
        return fit(
            self.project, run, *OPTIONS, ranks=self.ranks, HOOKS_FILE=hooks_file, **environment
        )


@pytest.fixture(scope="module")
def alone(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("hooks") / "project"
    return record_uninterrupted(new_project(render, folder, "Hook Order", task="tabular"), ranks=1)


@pytest.fixture(scope="module")
def in_pairs(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("hooks") / "project"
    project = new_project(render, folder, "Hook Pairs", task="tabular", **TWO_PROCESSES)
    return record_uninterrupted(project, ranks=2)


def record_uninterrupted(project: Project, ranks: int) -> Recorded:
    add_callback(project, "hook_recorder")
    recorded = Recorded(project, ranks)
    assert_succeeded(recorded.fit("uninterrupted", "uninterrupted"))
    return recorded


@pytest.mark.parametrize("batch", range(BATCHES + 1, EPOCHS * BATCHES + 1))
def test_hooks_after_a_kill(alone: Recorded, batch: int) -> None:
    """From the start of the epoch in which it was killed, a run calls the same hooks."""
    check_kill(alone, batch)


@pytest.mark.parametrize("batch", range(1, EPOCHS * BATCHES))
def test_hooks_after_a_signal(alone: Recorded, batch: int) -> None:
    """A run that was stopped within an epoch calls its first hook again, and then those left."""
    check_signal(alone, batch)


@pytest.mark.parametrize("batch", [BATCHES + 1, 2 * BATCHES])
def test_hooks_of_two_processes_after_a_kill(in_pairs: Recorded, batch: int) -> None:
    """The same holds on two processes."""
    check_kill(in_pairs, batch)


@pytest.mark.parametrize("batch", [2, BATCHES, BATCHES + 3])
def test_hooks_of_two_processes_after_a_signal(in_pairs: Recorded, batch: int) -> None:
    """The same holds on two processes."""
    check_signal(in_pairs, batch)


def check_kill(recorded: Recorded, batch: int) -> None:
    run = f"killed_{batch}"
    assert_killed(recorded.fit(run, run, KILL_AT=str(batch)))
    assert_succeeded(recorded.fit(run, f"{run}_resumed"))

    first_hook = EPOCH_START.format(epoch=1)
    expected = hooks_from(recorded.project, "uninterrupted", first_hook)
    assert hooks_from(recorded.project, f"{run}_resumed", first_hook) == expected
    check_end(recorded.project, run)


def check_signal(recorded: Recorded, batch: int) -> None:
    run = f"stopped_{batch}"
    assert_stopped(recorded.fit(run, run, KILL_AT=str(batch), KILL_WITH="SIGTERM"), batch)
    assert_succeeded(recorded.fit(run, f"{run}_resumed"))

    epoch, batch_in_epoch = divmod(batch, BATCHES)
    epoch_start = EPOCH_START.format(epoch=epoch)
    called = hooks_from(recorded.project, f"{run}_resumed", epoch_start)
    if batch_in_epoch:
        next_hook = BATCH_START.format(epoch=epoch, batch=batch_in_epoch + 1)
        called = called[1:]
    else:
        next_hook = epoch_start
    assert called == hooks_from(recorded.project, "uninterrupted", next_hook)
    check_end(recorded.project, run)


def hooks_from(project: Project, record: str, first_hook: str) -> list[str]:
    """The recorded hooks from the first one that starts with a text."""
    lines = (project.folder / f"{record}.txt").read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith(first_hook):
            return lines[number:]
    raise AssertionError(f"{record} has no {first_hook}: {lines}")


def check_end(project: Project, run: str) -> None:
    """The run ended as the uninterrupted one, and so did the recorder's state."""
    assert_same_end(project, "uninterrupted", run)
    expected = project.load_last_checkpoint("uninterrupted")["callbacks"]["HookRecorder"]
    counts = project.load_last_checkpoint(run)["callbacks"]["HookRecorder"]
    for hook in expected:
        if not is_of_the_process(hook):
            assert counts[hook] == expected[hook], hook


def is_of_the_process(hook: str) -> bool:
    """Whether each process calls it once, the resumed one again."""
    return hook in ("on_fit_start", "on_train_start")
