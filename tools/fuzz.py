"""Interrupt random ways of training at random, and compare: `python -m tools.fuzz EXAMPLES`.

Each example draws options of the Trainer and callbacks, Lightning's and such as owners write, on
one process or two. A run of it is interrupted once or twice, by SIGKILL or SIGTERM, and resumed.
It must end as the uninterrupted run, bit for bit.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.resume.runs import (
    BATCHES,
    add_callback,
    assert_same_end,
    assert_succeeded,
    fit,
    new_project,
    write_callbacks,
)
from tests.support.tasks import small_options
from tools.soak import render

LIGHTNING = "lightning.pytorch.callbacks"
TWO_PROCESSES = {"accelerator": "cpu", "devices": "2", "strategy": "ddp"}
MAX_EPOCHS = 3
EXAMPLES_PER_REPORT = 25

Callbacks = list[dict[str, Any]]


@dataclass(frozen=True)
class Interruption:
    """A signal at the end of a batch, which is counted from 1 over the whole run."""

    batch: int
    signal: str


@dataclass(frozen=True)
class Training:
    """A way of training, and when it is interrupted.

    Args:
        options: of `fit`.
        callbacks: as in a configuration file.
        ranks: the number of processes.
        interruptions: in the order of their batches.
    """

    options: tuple[str, ...]
    callbacks: Callbacks
    ranks: int
    interruptions: tuple[Interruption, ...]


# ---- What is drawn -------------------------------------------------------------------------------


def callback(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": arguments}


WEIGHT_AVERAGES = (
    callback(f"{LIGHTNING}.EMAWeightAveraging", decay=0.9),
    callback(
        f"{LIGHTNING}.StochasticWeightAveraging",
        swa_lrs=0.01,
        swa_epoch_start=2,
        annealing_epochs=2,
    ),
)
ACCUMULATION_SCHEDULE = callback(
    f"{LIGHTNING}.GradientAccumulationScheduler", scheduling={0: 2, 1: 3, 2: 1}
)
OWNERS_CALLBACKS = (
    callback("epoch_callbacks.Temperature"),
    callback("epoch_callbacks.EpochCounter"),
    callback("epoch_callbacks.EpochMetrics"),
)


@st.composite
def trainings(draw: st.DrawFn) -> Training:
    ranks = draw(st.sampled_from([1, 1, 1, 2]))
    epochs = draw(st.integers(2, MAX_EPOCHS))
    options = [f"--trainer.max_epochs={epochs}"]
    options += draw(trainer_options())
    options += draw(checkpoint_options())
    options += draw(st.sampled_from([[], stop_early(min_epochs=1), stop_early(min_epochs=2)]))
    callbacks: Callbacks = draw(st.lists(st.sampled_from(OWNERS_CALLBACKS), max_size=3))
    callbacks = without_repetitions(callbacks)
    if draw(st.booleans()):
        callbacks.append(draw(st.sampled_from(WEIGHT_AVERAGES)))
    accumulation = draw(st.sampled_from([1, 1, 2, 3]))
    options.append(f"--trainer.accumulate_grad_batches={accumulation}")
    if accumulation == 1 and draw(st.booleans()):
        callbacks.append(ACCUMULATION_SCHEDULE)
    batches = draw(st.lists(st.integers(1, epochs * BATCHES - 1), min_size=1, max_size=2))
    interruptions = []
    for batch in sorted(batches):
        signal = draw(st.sampled_from(["SIGKILL", "SIGTERM"]))
        interruptions.append(Interruption(batch, signal))
    return Training(tuple(options), callbacks, ranks, tuple(interruptions))


@st.composite
def trainer_options(draw: st.DrawFn) -> list[str]:
    options = [
        f"--trainer.log_every_n_steps={draw(st.integers(1, 3))}",
        f"--trainer.gradient_clip_val={draw(st.sampled_from(['null', '0.5']))}",
        f"--trainer.reload_dataloaders_every_n_epochs={draw(st.integers(0, 1))}",
        f"--data.num_workers={draw(st.sampled_from([0, 0, 0, 2]))}",
    ]
    validation = draw(st.sampled_from(["epoch", "second epoch", "batches", "batches of the run"]))
    if validation == "second epoch":
        options.append("--trainer.check_val_every_n_epoch=2")
    if validation.startswith("batches"):
        options.append(f"--trainer.val_check_interval={draw(st.integers(1, BATCHES))}")
    if validation == "batches of the run":
        options.append("--trainer.check_val_every_n_epoch=null")
    return options


@st.composite
def checkpoint_options(draw: st.DrawFn) -> list[str]:
    save_top_k = draw(st.sampled_from([-1, 0, 1, 3]))
    options = [f"--checkpoint.save_top_k={save_top_k}"]
    by_steps = save_top_k in (-1, 1) and draw(st.booleans())
    if by_steps:
        steps = draw(st.integers(1, 4))
        options += ["--checkpoint.monitor=null", f"--checkpoint.every_n_train_steps={steps}"]
    return options


def stop_early(min_epochs: int) -> list[str]:
    """Stop as soon as allowed, since no improvement is large enough."""
    return [
        "--early_stopping.patience=0",
        "--early_stopping.min_delta=100",
        f"--trainer.min_epochs={min_epochs}",
    ]


def without_repetitions(callbacks: Callbacks) -> Callbacks:
    found = []
    for item in callbacks:
        if item not in found:
            found.append(item)
    return found


# ---- What is checked -----------------------------------------------------------------------------


class Fuzzer:
    """Projects on one process and on two, in which examples run.

    Args:
        render: writes a project into a folder.
        folder: holds the projects.
    """

    def __init__(self, render: Callable[..., Path], folder: Path) -> None:
        self.projects = {
            1: new_project(render, folder / "one", "Fuzz One", task="tabular"),
            2: new_project(render, folder / "two", "Fuzz Two", task="tabular", **TWO_PROCESSES),
        }
        for project in self.projects.values():
            add_callback(project, "epoch_callbacks")
        self.examples = 0

    def check(self, training: Training) -> None:
        """Raise an AssertionError if an interrupted run ends in another way."""
        self.examples += 1
        project = self.projects[training.ranks]
        appended = write_callbacks(project, "fuzz", training.callbacks)
        expected = f"uninterrupted_{self.examples}"
        run = f"interrupted_{self.examples}"
        options = [*small_options("tabular"), *training.options, appended]
        assert_succeeded(fit(project, expected, *options, ranks=training.ranks))
        for interruption in training.interruptions:
            fit(
                project,
                run,
                *options,
                ranks=training.ranks,
                KILL_AT=str(interruption.batch),
                KILL_WITH=interruption.signal,
            )
        assert_succeeded(fit(project, run, *options, ranks=training.ranks))
        assert_same_end(project, expected, run)
        if self.examples % EXAMPLES_PER_REPORT == 0:
            print(f"{self.examples} examples", flush=True)


def main(examples: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(render, Path(folder))

        @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate])
        @given(trainings())
        def check(training: Training) -> None:
            fuzzer.check(training)

        check()
        print(f"{fuzzer.examples} examples: every run ended as the uninterrupted one, bit for bit")


if __name__ == "__main__":
    main(int(sys.argv[1]))
