"""A project with an uninterrupted run, which the interrupted ones are compared with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.resume.runs import add_callback, assert_succeeded, fit, new_project
from tests.support.projects import Project
from tests.support.tasks import small_options


@pytest.fixture(scope="package")
def project(render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A tabular project with the run `uninterrupted`."""
    folder = tmp_path_factory.mktemp("resume") / "project"
    project = new_project(render, folder, "Resume", task="tabular")
    add_callback(project, "unwritable")
    add_callback(project, "diverging")
    assert_succeeded(fit(project, "uninterrupted", *small_options("tabular")))
    return project
