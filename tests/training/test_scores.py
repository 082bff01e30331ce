"""The scores that the pages state: reached by the commands that the projects show."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.support.projects import Project
from tests.support.tasks import task_settings
from tests.support.template import TASKS, overlay_folder
from tools.scoreboard import (
    COMPARE,
    SCOREBOARD,
    SEEDS,
    Score,
    format_scoreboard,
    read_scores,
    score_task,
)

# `make demo` trains the default task, and tests/user_day holds it to the same bounds.
TRAINED_HERE = [task for task in TASKS if task != "image_classification"]
EXAMPLE = Score("tabular", "-c experiment/x", "r2", 0.3412, 0.3504, 0.3481, ">=", 0.33, 12.4)
EXAMPLE_ROW = "| `tabular` `-c experiment/x` | r2 | 0.3412 to 0.3504 | 0.3481 | >= 0.33 | 12 s |"
EXPECTATION = re.compile(r"^\| `fit ?(.*?)` \| (.+?) \| .*\d.* \| \d+ s \| .+ \|$", re.MULTILINE)


def documented(task: str) -> list[Score]:
    """The task's rows of docs/scoreboard.md."""
    return [score for score in read_scores(SCOREBOARD.read_text()) if score.task == task]


# ---- The pages -----------------------------------------------------------------------------------


def test_rows_are_read_as_they_are_written() -> None:
    """A row states the range, the baseline, the bound and the time, and is read back."""
    assert EXAMPLE.row() == EXAMPLE_ROW
    assert [score.row() for score in read_scores(EXAMPLE_ROW)] == [EXAMPLE_ROW]
    exact = Score("tabular", "", "accuracy", 0.9823, 0.9823, 0.9646, ">=", 0.96, 11)
    assert exact.row() == "| `tabular` | accuracy | 0.9823 | 0.9646 | >= 0.96 | 11 s |"
    assert read_scores(exact.row()) == [exact]
    with pytest.raises(ValueError, match="not a row"):
        read_scores("| `tabular` | accuracy | good |")


def test_scoreboard_is_as_it_is_written() -> None:
    """docs/scoreboard.md is what `make scoreboard` writes, with every metric of every task."""
    text = SCOREBOARD.read_text()
    scores = read_scores(text)
    assert format_scoreboard(scores) == text
    expected = []
    for task in TASKS:
        for options, metrics in task_settings(task).scores.items():
            expected += [(task, options, metric, bound) for metric, bound in metrics.items()]
    assert expected == [
        (score.task, score.options, f"test/{score.metric}", f"{score.sign} {score.bound:g}")
        for score in scores
    ]


@pytest.mark.parametrize("task", TASKS)
def test_stated_scores_keep_to_their_bounds(task: str) -> None:
    """Every seed keeps to the bound, and the best of them is at least as good as the baseline."""
    for score in documented(task):
        assert score.is_within_bound(), score
        if score.higher_is_better:
            assert score.high >= score.baseline, score
        else:
            assert score.low <= score.baseline, score


@pytest.mark.parametrize("task", TASKS)
def test_readme_states_scores_of_the_scoreboard(task: str) -> None:
    """The figures in the task's README lie within the ranges of the scoreboard."""
    readme = (overlay_folder(task) / "_readme.md").read_text()
    stated = {}
    for options, result in EXPECTATION.findall(readme.partition("### What to expect")[2]):
        for metric, value in re.findall(r"test/(\w+) (-?[\d.]+)", result):
            stated[options, metric] = value
    scores = documented(task)
    assert {(score.options, score.metric) for score in scores} == stated.keys()
    for score in scores:
        value = stated[score.options, score.metric]
        rounding = 0.5 * 10 ** -len(value.partition(".")[2])
        assert score.low - rounding <= float(value) <= score.high + rounding, score


# ---- The training --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("task", TRAINED_HERE)
def test_scores(task: str, tmp_path: Path) -> None:
    """Training keeps to the bounds that the task states.

    The bounds leave room for another processor's rounding, which acts like another seed. A task
    whose training takes minutes is trained for less time here, or as a smaller network, with bounds
    of its own, which the baseline does not reach.
    """
    settings = task_settings(task)
    is_quick = hasattr(settings, "quick_scores")
    bounds = settings.quick_scores if is_quick else settings.scores
    for score in score_task(task, tmp_path / "project", bounds, seeds=SEEDS[:1]):
        print(score.row())
        assert score.is_within_bound(), score
        if is_quick:
            assert COMPARE[score.sign](score.bound, score.baseline), score


# ---- A worked example ----------------------------------------------------------------------------


@pytest.mark.slow
def test_finetuning_experiment_trains_without_its_weights(
    render: Callable[..., Path], tmp_path: Path
) -> None:
    """`experiment/finetune` trains EfficientNet-B0 from a folder, offline without its weights."""
    for name, color in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for i in range(12):
            write_noisy_image(folder / f"{i}.png", color)
    project = Project(render(tmp_path / "project", project_name="Fine"))
    options = ["-c", "experiment/finetune", "--model.pretrained=false", "--data.num_workers=0"]
    options += [f"--data.path={tmp_path / 'images'}", "--trainer.max_epochs=1"]
    ended = project.fork("fit", "--run", "fine", *options)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert project.fork("test").returncode == 0
    config = yaml.safe_load((project.run_folder("fine") / "config.yaml").read_text())
    assert config["model"]["backbone"] == "efficientnet_b0.ra_in1k"


def write_noisy_image(path: Path, color: tuple[int, int, int]) -> None:
    noise = Image.effect_noise((96, 80), 40).convert("RGB")
    Image.blend(noise, Image.new("RGB", noise.size, color), 0.5).save(path)
