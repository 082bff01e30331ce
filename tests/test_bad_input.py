"""What a person gets wrong: it is named, all of it, with a non-zero exit, and nothing is half-written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TASKS
from PIL import Image
from projects import Project, part_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def projects(render: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    folder = tmp_path_factory.mktemp("projects")
    return {task: Project(render(folder / task, task=task, project_name=f"Bad {task}")) for task in TASKS}


@pytest.fixture
def refused(projects: dict[str, Project]) -> Callable[..., str]:
    """`refused(task, *args)` runs `fit` with the arguments, checks how it refuses, and returns the line."""

    def run(task: str, *args: str) -> str:
        said = projects[task].run("fit", "--run", "bad", *args)
        assert said is not None, "the run succeeded"
        assert said not in ("0", "None")
        assert len(said.splitlines()) == 1
        assert said.startswith(f"{projects[task].package}: error: ")
        assert not (projects[task].folder / "runs" / "bad").exists()
        return said

    return run


def images(folder: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (10, 10), (i, 0, 99)).save(folder / name / f"{i}.png")
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_all_faults_are_named(task: str, projects: dict[str, Project], tmp_path: Path) -> None:
    """Data with ten faults or more: `fit` has a line for each of them and no other, and one for each note."""
    options, faults, notes = part_of(task, "_bad_data").hostile(tmp_path)
    ended = projects[task].fork("fit", "--run", "hostile", *options)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr + ended.stdout
    said = ended.stderr.splitlines()
    start = next(i for i, line in enumerate(said) if line.startswith(f"{projects[task].package}: error: "))
    assert said[start].endswith(f" {len(faults)} faults"), ended.stderr
    assert len(faults) >= 10
    for text in faults:
        assert sum(text in line for line in said[start + 1 :]) == 1, (text, ended.stderr)
    assert len(said[start + 1 :]) == len(faults), ended.stderr
    for text in notes:
        assert sum(text in line for line in said if line.startswith("note  ")) == 1, (text, ended.stderr)
    assert not (projects[task].folder / "runs" / "hostile").exists()


@pytest.mark.parametrize("task", TASKS)
def test_configuration(task: str, refused: Callable[..., str], projects: dict[str, Project], tmp_path: Path) -> None:
    """An unknown key, a misspelt one, and a wrong type, on the command line and in a file."""
    assert "did you mean trainer.max_epochs?" in refused(task, "--trainer.max_epoch", "3")
    assert "model.lr" in refused(task, "--model.lr", "fast")
    assert "unicorn" in refused(task, "--model.unicorn", "1")
    for text, word in (
        ("trainer: {max_epoch: 3}", "did you mean trainer.max_epochs?"),
        ("modle: {lr: 1.0}", "modle"),
        ("trainer: {max_epochs: soon}", "soon"),
        ("trainer: [unclosed", "config"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        assert word in refused(task, "-c", str(tmp_path / "bad.yaml"))
    assert "nowhere" in refused(task, "-c", "nowhere")


def test_foreign_checkpoints(projects: dict[str, Project], tmp_path: Path) -> None:
    """A checkpoint of another task, a truncated one and a missing one are refused by each command that takes one."""
    checkpoints = {}
    short = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"]
    for task, project in projects.items():
        assert project.run("fit", "--run", "good", *short) is None
        checkpoints[task] = project.folder / "runs" / "good" / "checkpoints" / "last.ckpt"
    for task, project in projects.items():
        other = checkpoints[TASKS[TASKS.index(task) - 1]]
        for command in ("fit", "validate", "test", "predict"):
            run, option = ("other", "--weights") if command == "fit" else ("good", "--ckpt_path")
            said = project.run(command, "--run", run, option, str(other))
            assert "is of another model" in str(said)
            assert not (project.folder / "runs" / "other").exists()
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(checkpoints["tabular"].read_bytes()[:2000])
    for path in (cut, tmp_path / "none.ckpt"):
        assert "cannot be read" in str(projects["tabular"].run("test", "--ckpt_path", str(path)))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--model.lr=-1"], "model.lr is a number from 0"),
        (["--model.lr=.nan"], "model.lr is a number from 0"),
        (["--model.dropout=1.5"], "model.dropout is a number from 0 to 1"),
        (["--data.batch_size=0"], "data.batch_size is a number from 1"),
        (["--data.num_workers=-1"], "data.num_workers is a number from 0"),
        (["--data.path="], "--data.path is empty"),
        (["--trainer.max_epochs=-2"], "max_epochs"),
        (["--trainer.devices=0"], "devices"),
        (["--trainer.accelerator=nope"], "nope"),
        (["--trainer.precision=3"], "precision"),
        (["--checkpoint.monitor=val/los", "--trainer.max_epochs=1"], "val/los"),
        (["--ckpt_path=last.ckpt"], "--weights PATH"),
    ],
)
def test_values_that_make_no_sense(args: list[str], words: str, refused: Callable[..., str]) -> None:
    """A value out of its range, or that Lightning refuses, is one line; nothing is left behind."""
    assert words in refused("tabular", *args)


def test_divergence_is_no_success(projects: dict[str, Project]) -> None:
    """A training whose loss is not finite ends with one line and a non-zero exit, however often it is asked for."""
    for _ in range(2):
        said = projects["tabular"].run("fit", "--run", "diverged", "--model.lr=1e30", "--trainer.max_epochs=3")
        assert "training diverged" in str(said)


@pytest.mark.parametrize("name", ["..", "", "a/b", "a b", "$HOME", "x" * 101])
def test_run_names(name: str, projects: dict[str, Project]) -> None:
    """A run's name is a folder's in `runs`, and nothing that leads elsewhere."""
    project = projects["tabular"]
    before = sorted(project.folder.iterdir())
    assert "a run's name is a folder's" in str(project.run("fit", "--run", name))
    assert sorted(project.folder.iterdir()) == before


def test_checkpoint_of_other_classes(projects: dict[str, Project], tmp_path: Path) -> None:
    """A model is not tested on data whose classes are not those it was trained on."""
    project, small = projects["image_classification"], ["--model.backbone=test_resnet", "--trainer.max_epochs=1"]
    first, second = images(tmp_path / "1", cat=10, dog=10), images(tmp_path / "2", cat=10, emu=10)
    assert project.run("fit", "--run", "classes", "--data.path", str(first), *small) is None
    assert project.run("test", "--run", "classes") is None
    said = project.run("test", "--run", "classes", "--data.path", str(second))
    assert "class_names ['cat', 'dog']" in str(said)
    assert "['cat', 'emu']" in str(said)


BREAKER = """
import os
import pathlib
from lightning.pytorch import Callback

class Breaker(Callback):
    def setup(self, trainer, pl_module, stage):
        for path in pathlib.Path(os.environ["BROKEN"]).glob("*/*.png"):
            path.write_bytes(path.read_bytes()[:45])
"""


def test_process_shows_no_traceback(projects: dict[str, Project], tmp_path: Path) -> None:
    """From outside: the same line on standard error, exit code 1, no traceback, also from a loader's worker."""
    project, folder = projects["image_classification"], images(tmp_path / "late", cat=10, dog=10)
    ended = project.process("fit", "--data.path", "nowhere")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("command.py: error: data.path=nowhere")
    # Images that break when they have been checked, so that a worker meets them.
    (project.folder / "src" / "breaker.py").write_text(BREAKER)
    options = ["--model.backbone=test_resnet", "--data.num_workers=1", "--trainer.callbacks+=breaker.Breaker"]
    ended = project.fork("fit", "--data.path", str(folder), *options, BROKEN=str(folder))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ".png is no readable image" in ended.stderr.splitlines()[-1]


def test_fault_in_a_stream_ends_the_run(projects: dict[str, Project], tmp_path: Path) -> None:
    """A file that a worker cannot read, in the midst of training, ends the command: nothing waits for the worker."""
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "1.txt").write_text("a line of text\n" * 500)
    (tmp_path / "train" / "2.txt").write_bytes(b"\xff\xfe")
    options = ["--data.path", str(tmp_path), "--data.stream=true", "--data.context=32", "--data.batch_size=2"]
    options += ["--model.depth=1", "--model.dim=16", "--trainer.limit_val_batches=1"]
    ended = projects["language_modeling"].process("fit", *options, timeout=60)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "2.txt, byte 0: text is in UTF-8" in ended.stderr.splitlines()[-1]
