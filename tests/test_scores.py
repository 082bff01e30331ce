"""The scores that the README states, reached by the commands that the projects show."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TASKS
from PIL import Image
from projects import Project
from scoreboard import scores

pytestmark = pytest.mark.slow


# A language model needs both cores to stay within three minutes; the others do with one, beside another test.
ALONE = ("language_modeling",)


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=pytest.mark.serial if task in ALONE else pytest.mark.long) for task in TASKS]
)
def test_scores(task: str, tmp_path: Path) -> None:
    """Within three minutes each run of a task is as good as it states and no worse than its baseline.

    The README's scoreboard has the same figures, but for what another processor rounds otherwise.
    """
    readme, expected = (ROOT / "README.md").read_text(), expectations(task)
    for score in scores(task, tmp_path / "project"):
        print(score.row())
        assert score.reached(), score
        row = rf"^{re.escape(score.row().rsplit('|', 4)[0])}\| ([\d.]+) \| ([\d.]+) \| \d+ s \|$"
        stated = re.search(row, readme, flags=re.MULTILINE)
        assert stated, f"README.md has no row for {score.row()}"
        within = min(0.02, score.value / 5)
        assert [float(number) for number in stated.groups()] == pytest.approx([score.value, score.baseline], abs=within)
        assert expected[score.options][score.metric] == pytest.approx(score.value, abs=within), score


def expectations(task: str) -> dict[str, dict[str, float]]:
    """What the task's page says to expect of each metric, by the options of `fit`."""
    page = (ROOT / f"template/{{{{ overlay.{task} }}}}/_readme.md").read_text().partition("### What to expect")[2]
    rows = re.findall(r"^\| `fit ?(.*?)` \| (.+?) \| .*\d.* \| \d+ s \| .+ \|$", page, flags=re.MULTILINE)
    found = {options: re.findall(r"(test/\S+) (-?[\d.]+)", result) for options, result in rows}
    return {options: {metric: float(value) for metric, value in results} for options, results in found.items()}


def test_experiment_finetunes_without_its_weights(render: Any, tmp_path: Path) -> None:
    """The worked example for images trains EfficientNet-B0 from a folder, offline, weights left out."""
    for name, colour in (("red", (220, 30, 30)), ("blue", (30, 30, 220))):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(12):
            image = Image.blend(
                Image.effect_noise((96, 80), 40).convert("RGB"), Image.new("RGB", (96, 80), colour), 0.5
            )
            image.save(tmp_path / "images" / name / f"{i}.png")
    project = Project(render(tmp_path / "project", project_name="Fine"))
    args = ["-c", "experiment/finetune", "--data.path", str(tmp_path / "images"), "--model.pretrained=false"]
    args += ["--trainer.max_epochs=1", "--data.num_workers=0"]
    ended = project.fork("fit", "--run", "fine", *args)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert project.fork("test").returncode == 0
    config = (project.folder / "runs" / "fine" / "config.yaml").read_text()
    assert re.search(r"backbone: efficientnet_b0", config)
