"""A run keeps the options that it was started with; a new one can start from its weights."""

import pytest

from tests.resume.runs import (
    assert_killed,
    assert_refused,
    assert_resumed,
    assert_same_end,
    assert_same_weights,
    assert_stopped,
    assert_succeeded,
    fit,
)
from tests.support.messages import DIVERGED, NEW_HEAD_HINT, OTHER_OPTION
from tests.support.projects import Project
from tests.support.tasks import small_options

pytestmark = pytest.mark.slow

TABULAR = small_options("tabular")


@pytest.fixture(scope="module")
def stopped_run(project: Project) -> str:
    """The name of a run that was stopped after step 4."""
    stopped = fit(project, "options", *TABULAR, KILL_AT="4", KILL_WITH="SIGTERM")
    assert_stopped(stopped, step=4)
    return "options"


@pytest.mark.parametrize(
    "option",
    ["model.width=64", "data.batch_size=64", "model.lr=1.0", "seed_everything=7"],
)
def test_run_keeps_its_options(option: str, project: Project, stopped_run: str) -> None:
    """A run is not resumed with another option or seed; the error names its own."""
    name, _, _ = option.partition("=")

    refused = fit(project, stopped_run, *TABULAR, f"--{option}")

    assert_refused(refused, f"runs/{stopped_run} {OTHER_OPTION.format(option=name)}")


def test_null_stays_null(project: Project) -> None:
    """An option that was set to null instead of its default is null when the run is resumed.

    Here the number of batches, not of epochs, decides when to validate and to save.
    """
    options = [
        *TABULAR,
        "--trainer.check_val_every_n_epoch=null",
        "--trainer.val_check_interval=4",
    ]
    assert_succeeded(fit(project, "null", *options))

    assert_killed(fit(project, "null_killed", *options, KILL_AT="10"))
    resumed = fit(project, "null_killed", *options)

    assert_resumed(resumed, step=8)
    assert_same_end(project, "null", "null_killed")


def test_weights_start_a_new_run(project: Project) -> None:
    """`--weights` starts a new run from the weights of another one, and from nothing else of it."""
    path = str(project.last_checkpoint("uninterrupted"))

    warm = fit(
        project,
        "warm",
        *TABULAR,
        f"--weights={path}",
        "--model.lr=0",
        "--model.weight_decay=0",
    )

    assert_succeeded(warm)
    assert "resumes" not in warm.stdout
    assert_same_weights(project, "uninterrupted", "warm")


def test_weights_of_another_shape(project: Project) -> None:
    """`--weights` with layers of another shape is refused, unless `--new_head` initializes them."""
    path = str(project.last_checkpoint("uninterrupted"))
    options = [f"--weights={path}", "--data.dataset=diabetes"]

    refused = fit(project, "new_head", *options)
    assert_refused(refused, NEW_HEAD_HINT)

    started = fit(project, "new_head", *options, "--new_head=true")
    assert_succeeded(started)
    assert "new   " in started.stdout


def test_config_that_cannot_be_recorded(project: Project) -> None:
    """A value that cannot be written to config.yaml is refused before training."""
    refused = fit(
        project, "unwritable", *TABULAR, "--trainer.callbacks+=unwritable.WithUnwritableDefault"
    )

    assert_refused(refused, "cannot be recorded", "generator")
    assert not project.run_folder("unwritable").exists()


def test_ignored_variables_are_mentioned(project: Project) -> None:
    """A variable that LightningCLI would read is mentioned, with the option that does the same."""
    ended = fit(project, "variables", *TABULAR, PL_TRAINER__MAX_EPOCHS="7")

    assert_succeeded(ended)
    assert "note  PL_TRAINER__MAX_EPOCHS is ignored; use --trainer.max_epochs\n" in ended.stderr


def test_larger_time_limit_resumes(project: Project) -> None:
    """A run that `max_time` ended is validated; with more time it ends as if without a limit."""
    ended = fit(project, "timed", *TABULAR, "--trainer.max_time=00:00:00:00")
    assert_succeeded(ended)
    assert project.result("timed", "fit")["val/loss"]

    again = fit(project, "timed", *TABULAR, "--trainer.max_time=00:00:00:00")
    assert_succeeded(again)
    assert "is finished" in again.stdout

    assert_succeeded(fit(project, "timed", *TABULAR, "--trainer.max_time=01:00:00:00"))
    assert_same_end(project, "uninterrupted", "timed")


def test_time_limit_keeps_the_best(project: Project) -> None:
    """The validation at a time limit costs no checkpoint that the resumed run would have kept."""
    options = [*TABULAR, "--checkpoint.save_top_k=1"]
    assert_succeeded(fit(project, "best", *options))
    assert_stopped(fit(project, "best_timed", *options, KILL_AT="8", KILL_WITH="SIGTERM"), step=8)

    assert_succeeded(fit(project, "best_timed", *options, "--trainer.max_time=00:00:00:00"))
    assert_succeeded(fit(project, "best_timed", *options, "--trainer.max_time=01:00:00:00"))

    assert_same_end(project, "best", "best_timed")
    assert checkpoint_names(project, "best_timed") == checkpoint_names(project, "best")


def checkpoint_names(project: Project, run: str) -> set[str]:
    return {path.name for path in project.last_checkpoint(run).parent.iterdir()}


def test_added_option_adds_no_callback(project: Project) -> None:
    """The same command with one option more has the callbacks of the first one once."""
    assert_stopped(fit(project, "added", *TABULAR, KILL_AT="4", KILL_WITH="SIGTERM"), step=4)

    assert_resumed(fit(project, "added", *TABULAR, "--trainer.enable_model_summary=false"), step=4)

    config = (project.run_folder("added") / "config.yaml").read_text()
    assert config.count("class_path: kill_callback.KillCallback") == 1
    assert_same_end(project, "uninterrupted", "added")


def test_run_is_not_continued_without_checkpoints(project: Project, stopped_run: str) -> None:
    """Training without checkpoints would delete what a run has logged, and mark it as finished."""
    refused = project.fork("fit", "--run", stopped_run, "-c", "preset/barebones")

    assert_refused(refused, f"runs/{stopped_run} has checkpoints")
    assert not (project.run_folder(stopped_run) / "fit.json").exists()


def test_save_last_is_off(project: Project) -> None:
    """`save_last` would overwrite last.ckpt with a checkpoint from the middle of a step."""
    options = [
        *TABULAR,
        "--checkpoint.save_last=true",
        "--checkpoint.every_n_train_steps=2",
        "--checkpoint.monitor=null",
        "--checkpoint.save_top_k=1",
    ]
    assert_succeeded(fit(project, "save_last", *options))

    killed = fit(project, "save_last_killed", *options, KILL_AT="9")
    assert_killed(killed)
    assert "note  save_last" in killed.stderr

    assert_resumed(fit(project, "save_last_killed", *options), step=6)
    assert_same_end(project, "save_last", "save_last_killed")


def test_diverged_model_is_not_the_best(project: Project) -> None:
    """A run whose loss is not a number ends with an error, and keeps no checkpoint for it."""
    diverged = fit(project, "diverged", *TABULAR, "--trainer.callbacks+=diverging.Diverging")

    assert_refused(diverged, DIVERGED)
    assert checkpoint_names(project, "diverged") == {"last.ckpt"}
