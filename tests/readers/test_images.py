"""Every image task reads the same files in the same way."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.expectations import TASK_OVERLAYS
from tests.support.image_files import (
    FILES_WITH_TWO_FRAMES,
    READABLE,
    SIDE,
    SKIPPED,
    UNREADABLE,
    write_readable_images,
    write_skipped_files,
    write_unreadable_images,
)
from tests.support.projects import Project

pytestmark = pytest.mark.slow

GENERATION_TASKS = [task for task, names in TASK_OVERLAYS.items() if "generates_images" in names]
IMAGE_TASKS = [task for task, names in TASK_OVERLAYS.items() if "reads_images" in names]
IMAGE_SIZE = SIDE // 2
TOLERANCE = 4  # in values from 0 to 255: JPEG is not exact


@pytest.fixture(scope="module", params=IMAGE_TASKS)
def project(request: Any, render: Callable[..., Path], tmp_path_factory: Any) -> Project:
    """A project of each image task."""
    folder = tmp_path_factory.mktemp("reader") / request.param
    return Project(render(folder, task=request.param, project_name=f"Reads {request.param}"))


def read_folder(project: Project, folder: Path) -> dict[str, Tensor]:
    """Each image (3, H, W) that the loaders read from a folder, by file name, from 0 to 255."""
    if project.answers["task"] in GENERATION_TASKS:
        return read_to_train(project, folder)
    data = make_data(project, predict_path=str(folder))
    data.setup("predict")
    images = {}
    for batch in data.predict_dataloader():
        for name, image in zip(batch["name"], batch["image"]):
            images[Path(name).name] = image * 255
    return images


def read_to_train(project: Project, folder: Path) -> dict[str, Tensor]:
    """The same for tasks that predict without images."""
    data = make_data(project, path=str(folder))
    loaders = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    images = {}
    for loader in loaders:
        for batch in loader:
            for name, image in zip(batch["name"], batch["image"]):
                images[Path(name).name] = (image + 1) / 2 * 255
    return images


def make_data(project: Project, **options: Any) -> Any:
    data_module = project.load("data").DataModule
    data = data_module(image_size=IMAGE_SIZE, batch_size=1, num_workers=0, **options)
    data.prepare_data()
    return data


def test_every_task_reads_the_same_pixels(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Formats, transparency, 16 bits, frames and orientation; what else is there is noted."""
    write_readable_images(tmp_path / "images")
    write_skipped_files(tmp_path / "images")
    images = read_folder(project, tmp_path / "images")
    assert images.keys() == {file.name for file in READABLE}
    for file in READABLE:
        pixels = images[file.name]
        top_left = torch.tensor(file.top_left, dtype=pixels.dtype)
        bottom_right = torch.tensor(file.bottom_right, dtype=pixels.dtype)
        assert (pixels[:, 0, 0] - top_left).abs().max() <= TOLERANCE, file.name
        assert (pixels[:, -1, -1] - bottom_right).abs().max() <= TOLERANCE, file.name

    notes = capsys.readouterr().err
    assert notes.count(f"skipped {len(SKIPPED)} files ({', '.join(SKIPPED)})") == 1
    assert notes.count(f"first frame is used of {FILES_WITH_TWO_FRAMES} files") == 1


def test_every_task_reports_the_same_errors(project: Project, tmp_path: Path) -> None:
    """Each file that cannot be read has a line with its reason."""
    write_unreadable_images(tmp_path / "images")
    user_error = project.load("harness.errors").UserError
    with pytest.raises(user_error) as raised:
        read_folder(project, tmp_path / "images")
    for name, reason in UNREADABLE.items():
        pattern = re.compile(rf"{re.escape(name)} cannot be read \(.*{re.escape(reason)}")
        matches = [line for line in raised.value.args if pattern.search(line)]
        assert len(matches) == 1, (name, raised.value.args)
