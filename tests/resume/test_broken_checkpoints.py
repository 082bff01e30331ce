"""Disks that are full or read-only, and files that are truncated, lose nothing that was saved."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.resume.runs import (
    BATCHES,
    assert_killed,
    assert_refused,
    assert_resumed,
    assert_same_end,
    assert_same_weights,
    assert_stopped,
    assert_succeeded,
    fit,
)
from tests.support.messages import (
    ALL_TRUNCATED,
    CANNOT_BE_WRITTEN,
    RESTART_HINT,
    SKIPPED_CHECKPOINT,
)
from tests.support.projects import Project
from tests.support.tasks import small_options

pytestmark = pytest.mark.slow

TABULAR = small_options("tabular")
REMOVED_BYTES = 1000


def test_truncated_checkpoint_is_skipped(project: Project) -> None:
    """A truncated last.ckpt is named, and the newest complete checkpoint is used instead."""
    assert_killed(fit(project, "truncated", *TABULAR, KILL_AT=str(BATCHES + 2)))
    truncate(project.last_checkpoint("truncated"))

    resumed = fit(project, "truncated", *TABULAR)

    assert f"{SKIPPED_CHECKPOINT}\n" in resumed.stdout
    assert_resumed(resumed, BATCHES)
    assert_same_weights(project, "uninterrupted", "truncated")


def test_only_truncated_checkpoints(project: Project) -> None:
    """If no checkpoint is complete, the run is refused and kept until `--restart` is given."""
    assert_killed(fit(project, "all_truncated", *TABULAR, KILL_AT=str(BATCHES + 2)))
    checkpoints = list(project.last_checkpoint("all_truncated").parent.glob("*.ckpt"))
    assert len(checkpoints) > 1
    for path in checkpoints:
        truncate(path)

    refused = fit(project, "all_truncated", *TABULAR)
    assert_refused(refused, ALL_TRUNCATED, RESTART_HINT)
    assert all(path.exists() for path in checkpoints)

    assert_succeeded(fit(project, "all_truncated", *TABULAR, "--restart"))
    assert_same_end(project, "uninterrupted", "all_truncated")


def test_truncated_metrics(project: Project) -> None:
    """A row of metrics.csv that was cut short, even within its step, is dropped."""
    assert_killed(fit(project, "cut", *TABULAR, KILL_AT=str(BATCHES + 2)))
    path = project.run_folder("cut") / "metrics.csv"
    text = path.read_text()
    [*_, last_row] = text.splitlines()
    path.write_text(text + last_row[: last_row.rindex(",") + 2].rstrip("\n"))

    assert_resumed(fit(project, "cut", *TABULAR), BATCHES)

    assert_same_end(project, "uninterrupted", "cut")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-REMOVED_BYTES])


def test_full_disk_keeps_the_previous_checkpoint(project: Project) -> None:
    """A checkpoint that does not fit on the disk is one line, and the previous one stays.

    With free space, the run resumes.
    """
    # Without others, last.ckpt is the first checkpoint to be written.
    options = [*TABULAR, "--checkpoint.save_top_k=0"]
    stopped = fit(project, "full", *options, KILL_AT="4", KILL_WITH="SIGTERM")
    assert_stopped(stopped, step=4)
    path = project.last_checkpoint("full")
    content = path.read_bytes()

    _, hard_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = (len(content) // 2, hard_limit)
    limit_file_size = partial(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
    refused = fit(project, "full", *options, prepare=limit_file_size)

    assert_refused(refused, f"last.ckpt {CANNOT_BE_WRITTEN}")
    assert path.read_bytes() == content
    assert not list(path.parent.glob("*.partial"))
    assert_resumed(fit(project, "full", *options), step=4)
    assert_same_end(project, "uninterrupted", "full")


def test_file_in_place_of_the_run_folder(project: Project) -> None:
    """A file that has the name of the run is one line."""
    project.run_folder("file").write_text("")

    refused = fit(project, "file", *TABULAR)

    assert_refused(refused, f"runs/file {CANNOT_BE_WRITTEN}: File exists")


def test_read_only_run_folder(project: Project) -> None:
    """A run folder that is read-only is one line."""
    folder = project.run_folder("read_only")
    folder.mkdir()

    with read_only(folder):
        refused = fit(project, "read_only", *TABULAR)

    assert_refused(refused, f"runs/read_only {CANNOT_BE_WRITTEN}: ")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only for everyone: root needs a mount for that, others cannot mount."""
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(folder)]
    is_mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    if not is_mounted:
        folder.chmod(0o500)
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True, capture_output=True)
        else:
            folder.chmod(0o700)
