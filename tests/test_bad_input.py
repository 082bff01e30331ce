"""What a person gets wrong: each ends in one line that names it, a non-zero exit, and nothing half-written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import TASKS
from PIL import Image
from projects import Project

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


def table(folder: Path, **columns: list[Any]) -> str:
    base = {"height": [float(i) for i in range(40)], "colour": ["red", "blue"] * 20, "kind": ["a", "b", "b", "a"] * 10}
    path = folder / "table.csv"
    pd.DataFrame(base | columns).to_csv(path, index=False)
    return str(path)


def test_image_folders(refused: Callable[..., str], tmp_path: Path) -> None:
    """A missing folder, an empty one, a class without an image, a class with too few, an unreadable image."""
    task = "image_classification"
    assert "nowhere" in refused(task, "--data.path", "nowhere")
    (tmp_path / "empty").mkdir()
    assert "CLASS/*.png" in refused(task, "--data.path", str(tmp_path / "empty"))
    folder = images(tmp_path / "hollow", cat=10, dog=10)
    (folder / "emu").mkdir()
    assert "emu" in refused(task, "--data.path", str(folder))
    assert "least populated class" in refused(task, "--data.path", str(images(tmp_path / "few", cat=10, dog=1)))
    folder = images(tmp_path / "broken", cat=10, dog=10)
    (folder / "dog" / "3.png").write_bytes(b"not an image")
    assert "3.png is no readable image: replace it" in refused(task, "--data.path", str(folder))
    folder = images(tmp_path / "split" / "train", cat=10, dog=10).parent
    images(folder / "val", cat=3, emu=3)
    assert "emu" in refused(task, "--data.path", str(folder))


def test_text_folders(refused: Callable[..., str], tmp_path: Path) -> None:
    """A missing folder, an empty one, bytes that are no UTF-8, a JSONL line without text."""
    task = "language_modeling"
    assert "nowhere" in refused(task, "--data.path", "nowhere")
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(task, "--data.path", str(tmp_path / "empty"))
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes" / "good.txt").write_text("good " * 1000)
    (tmp_path / "bytes" / "bad.txt").write_bytes(b"abc \xff\xfe def")
    said = refused(task, "--data.path", str(tmp_path / "bytes"))
    assert "bad.txt" in said
    assert "byte 4" in said
    (tmp_path / "lines.jsonl").write_text('{"text": "one"}\n{"words": "two"}\n')
    said = refused(task, "--data.path", str(tmp_path / "lines.jsonl"))
    assert "lines.jsonl" in said
    assert "line 2" in said


def test_tables(refused: Callable[..., str], tmp_path: Path) -> None:
    """A missing file, no target column, text among numbers, a category that no training row has."""
    task, target = "tabular", ("--data.target", "kind")
    assert "nowhere.csv" in refused(task, "--data.path", "nowhere.csv", *target)
    assert "sort" in refused(task, "--data.path", table(tmp_path), "--data.target", "sort")
    heights: list[Any] = [float(i) for i in range(40)]
    heights[6] = "tall"
    said = refused(task, "--data.path", table(tmp_path, height=heights), *target, "--data.numeric", '["height"]')
    assert "height" in said
    assert "tall" in said
    assert "8" in said  # the header is row 1
    split, colours = ["train"] * 30 + ["val"] * 5 + ["test"] * 5, ["red", "blue"] * 20
    colours[36] = "teal"
    path = table(tmp_path, colour=colours, part=split)
    said = refused(task, "--data.path", path, *target, "--data.split_column", "part")
    assert "teal" in said
    assert "38" in said
    assert "unseen_categories" in said


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
    """A training whose loss is not finite ends with one line and a non-zero exit."""
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


def test_process_shows_no_traceback(projects: dict[str, Project], tmp_path: Path) -> None:
    """From outside: the same line on standard error, exit code 1, no traceback, also from a loader's worker."""
    project, folder = projects["image_classification"], images(tmp_path / "late", cat=10, dog=10)
    ended = project.process("fit", "--data.path", "nowhere")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("command.py: error: data.path=nowhere")
    # The header is whole, so that only reading the pixels fails, in the midst of training.
    whole = tmp_path / "late" / "dog" / "3.jpg"
    Image.effect_noise((64, 64), 50).save(whole)
    whole.write_bytes(whole.read_bytes()[:400])
    ended = project.process("fit", "--data.path", str(folder), "--model.backbone=test_resnet", "--data.num_workers=1")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "3.jpg is no readable image" in ended.stderr.splitlines()[-1]
