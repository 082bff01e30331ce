"""All errors of a person are named, with an error code, and nothing is half-written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.messages import CANNOT_BE_READ, DIVERGED, OTHER_MODEL
from tests.support.projects import Project
from tests.support.tasks import load_part, small_options
from tests.support.template import TASKS

pytestmark = pytest.mark.slow

ONE_EPOCH = "--trainer.max_epochs=1"
ONE_BATCH = [ONE_EPOCH, "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"]
MINIMUM_OF_ERRORS = 10
BREAKER = '''
"""Truncates the images after they have been checked, so that a loader worker meets them."""

import os
from pathlib import Path

from lightning.pytorch import Callback


class Breaker(Callback):
    def setup(self, trainer, pl_module, stage):
        for path in Path(os.environ["BROKEN"]).glob("*/*.png"):
            path.write_bytes(path.read_bytes()[:45])
'''


@pytest.fixture(scope="module")
def projects(
    render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Project]:
    """A project of each task."""
    folder = tmp_path_factory.mktemp("projects")
    found = {}
    for task in TASKS:
        found[task] = Project(render(folder / task, task=task, project_name=f"Bad {task}"))
    return found


@pytest.fixture
def refused(projects: dict[str, Project]) -> Callable[..., str]:
    """`refused(task, *options)` runs `fit`, checks how it refuses, and returns the line."""

    def fit(task: str, *options: str) -> str:
        project = projects[task]
        message = project.run("fit", "--run", "bad", *options)
        assert message is not None, "the run succeeded"
        assert message.startswith(f"{project.package}: error: ")
        assert len(message.splitlines()) == 1
        assert not project.run_folder("bad").exists()
        return message

    return fit


def write_images(folder: Path, classes: list[str], count: int = 10) -> Path:
    """A folder of images for each class."""
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (10, 10), (i, 0, 99)).save(folder / name / f"{i}.png")
    return folder


# ---- Data ----------------------------------------------------------------------------------------


def assert_each_is_in_one_line(texts: list[str], lines: list[str]) -> None:
    for text in texts:
        matching = [line for line in lines if text in line]
        assert len(matching) == 1, (text, lines)


@pytest.mark.parametrize("task", TASKS)
def test_all_data_errors_are_named(task: str, projects: dict[str, Project], tmp_path: Path) -> None:
    """For data with ten errors or more, `fit` prints one line for each, and one for each note."""
    bad_data = load_part(task, "_bad_data").write_bad_data(tmp_path)
    project = projects[task]
    ended = project.fork("fit", "--run", "hostile", *bad_data.options)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr + ended.stdout
    heading, _, errors = ended.stderr.partition(f" {len(bad_data.errors)} errors\n")
    assert heading.splitlines()[-1] == f"{project.package}: error:", ended.stderr
    assert len(bad_data.errors) >= MINIMUM_OF_ERRORS
    assert len(errors.splitlines()) == len(bad_data.errors), ended.stderr
    assert_each_is_in_one_line(bad_data.errors, errors.splitlines())
    notes = [line for line in ended.stderr.splitlines() if line.startswith("note  ")]
    assert_each_is_in_one_line(bad_data.notes, notes)
    assert not project.run_folder("hostile").exists()


def test_error_in_a_stream_ends_the_run(projects: dict[str, Project], tmp_path: Path) -> None:
    """A file that a worker cannot read during training ends the command; nothing hangs."""
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "1.txt").write_text("a line of text\n" * 500)
    (tmp_path / "train" / "2.txt").write_bytes(b"\xff\xfe")
    options = [f"--data.path={tmp_path}", "--data.stream=true", "--trainer.limit_val_batches=1"]
    options += ["--data.context=32", "--data.batch_size=2", "--model.depth=1", "--model.dim=16"]
    ended = projects["language_modeling"].process("fit", *options)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "2.txt, byte 0: " in ended.stderr.splitlines()[-1]
    assert "UTF-8" in ended.stderr.splitlines()[-1]


def test_process_shows_no_traceback(projects: dict[str, Project]) -> None:
    """A process prints the line and exits with 1."""
    ended = projects["image_classification"].process("fit", "--data.path", "nowhere")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("command.py: error: data.path=nowhere")


def test_loader_worker_shows_no_traceback(projects: dict[str, Project], tmp_path: Path) -> None:
    """A process prints the line and exits with 1 also if a loader worker met the error."""
    project = projects["image_classification"]
    folder = write_images(tmp_path / "late", ["cat", "dog"])
    (project.folder / "src" / "breaker.py").write_text(BREAKER)
    options = [f"--data.path={folder}", *small_options("image_classification")]
    options += ["--data.num_workers=1", "--trainer.callbacks+=breaker.Breaker"]
    ended = project.fork("fit", *options, BROKEN=str(folder))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f".png {CANNOT_BE_READ}" in ended.stderr.splitlines()[-1]


# ---- Configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_wrong_keys(task: str, refused: Callable[..., str], tmp_path: Path) -> None:
    """An unknown key, a misspelt one and a wrong type are named, from options and from files."""
    assert "did you mean trainer.max_epochs?" in refused(task, "--trainer.max_epoch", "3")
    assert "model.lr" in refused(task, "--model.lr", "fast")
    assert "unicorn" in refused(task, "--model.unicorn", "1")
    path = tmp_path / "bad.yaml"
    for text, expected in (
        ("trainer: {max_epoch: 3}", "did you mean trainer.max_epochs?"),
        ("modle: {lr: 1.0}", "modle"),
        ("trainer: {max_epochs: soon}", "soon"),
        ("trainer: [unclosed", "bad.yaml:1 is not YAML"),
    ):
        path.write_text(text)
        assert expected in refused(task, "-c", str(path))
    assert "nowhere" in refused(task, "-c", "nowhere")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model.lr=-1"], "model.lr must be at least 0, got -1"),
        (["--model.lr=.nan"], "model.lr must be at least 0, got nan"),
        (["--model.dropout=1.5"], "model.dropout must be at least 0 and at most 1, got 1.5"),
        (["--data.batch_size=0"], "data.batch_size must be at least 1, got 0"),
        (["--data.num_workers=-1"], "data.num_workers must be at least 0, got -1"),
        (["--data.path="], "--data.path is empty"),
        (["--trainer.max_epochs=-2"], "max_epochs"),
        (["--trainer.devices=0"], "devices"),
        (["--trainer.accelerator=nope"], "nope"),
        (["--trainer.precision=3"], "precision"),
        (["--checkpoint.monitor=val/los", ONE_EPOCH], "val/los"),
        (["--ckpt_path=last.ckpt"], "--weights PATH"),
    ],
)
def test_impossible_values(options: list[str], expected: str, refused: Callable[..., str]) -> None:
    """A value out of its range, or one that Lightning refuses, is one line; nothing is left."""
    assert expected in refused("tabular", *options)


@pytest.mark.parametrize("name", ["..", "", "a/b", "a b", "$HOME", "x" * 101])
def test_bad_run_names(name: str, projects: dict[str, Project]) -> None:
    """A run's name is the name of a folder in `runs`, and does not lead elsewhere."""
    project = projects["tabular"]
    before = sorted(project.folder.iterdir())
    message = str(project.run("fit", "--run", name))
    assert "a run's name is the name of a folder" in message
    assert sorted(project.folder.iterdir()) == before


# ---- Checkpoints ---------------------------------------------------------------------------------


def test_foreign_checkpoints(projects: dict[str, Project]) -> None:
    """A checkpoint of another task is refused by every command."""
    for project in projects.values():
        assert project.run("fit", "--run", "good", *ONE_BATCH) is None
    for number, task in enumerate(TASKS):
        project = projects[task]
        foreign = str(projects[TASKS[number - 1]].last_checkpoint("good"))
        message = project.run("fit", "--run", "other", "--weights", foreign)
        assert OTHER_MODEL in str(message)
        assert not project.run_folder("other").exists()
        for command in ("validate", "test", "predict"):
            message = project.run(command, "--run", "good", "--ckpt_path", foreign)
            assert OTHER_MODEL in str(message)


def test_unreadable_checkpoints(projects: dict[str, Project], tmp_path: Path) -> None:
    """A truncated checkpoint and a missing one are refused."""
    project = projects["tabular"]
    assert project.run("fit", "--run", "complete", *ONE_BATCH) is None
    truncated = tmp_path / "truncated.ckpt"
    truncated.write_bytes(project.last_checkpoint("complete").read_bytes()[:2000])
    for path in (truncated, tmp_path / "missing.ckpt"):
        message = project.run("test", "--run", "complete", "--ckpt_path", str(path))
        assert CANNOT_BE_READ in str(message)


def test_checkpoint_of_other_classes(projects: dict[str, Project], tmp_path: Path) -> None:
    """A model is not tested on data whose classes differ from those it was trained on."""
    project = projects["image_classification"]
    first = write_images(tmp_path / "first", ["cat", "dog"])
    second = write_images(tmp_path / "second", ["cat", "emu"])
    options = [f"--data.path={first}", ONE_EPOCH, *small_options("image_classification")]
    assert project.run("fit", "--run", "classes", *options) is None
    assert project.run("test", "--run", "classes") is None
    message = str(project.run("test", "--run", "classes", f"--data.path={second}"))
    assert "class_names ['cat', 'dog']" in message
    assert "['cat', 'emu']" in message


def test_divergence_is_no_success(projects: dict[str, Project]) -> None:
    """A training whose loss is not finite ends with an error, however often it is started."""
    options: list[Any] = ["--run", "diverged", "--model.lr=1e30", "--trainer.max_epochs=3"]
    for _ in range(2):
        assert DIVERGED in str(projects["tabular"].run("fit", *options))
