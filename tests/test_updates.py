"""`copier update`: from every release, over projects that their owners have edited, without a conflict."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import TASKS
from owners import Owner
from packaging.version import Version
from projects import SMALL, Project
from releases import NEWEST, clone, git, releases
from test_ownership import is_yours

# What the migration of a version changes in what is its owner's.
MIGRATED = {
    "0.3.0": {
        "from .harness.loading import": "from .harness.loaders import",
        "import UserError, loading": "import UserError, loaders",
        " loading.make_loader": " loaders.make_loader",
    }
}
SHORT = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1"]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, with a tag for each release and one for the working tree."""
    return clone(tmp_path_factory.mktemp("source") / "template")


class Update:
    """A project of one release: as it was rendered, as its owner made it, and as an update leaves it."""

    def __init__(self, source: Path, folder: Path, version: str, **answers: Any) -> None:
        self.source, self.project, self.version = source, folder / "project", version
        self.render(self.project, f"v{version}", answers)
        self.rendered = read(self.project)
        git("init", "--quiet", "--initial-branch=main", cwd=self.project)
        for name, value in (("user.name", "Owner"), ("user.email", "owner@example.org")):
            git("config", name, value, cwd=self.project)
        git("add", "--all", cwd=self.project)
        git("commit", "--quiet", "--message", "What the template rendered", cwd=self.project)

    def render(self, folder: Path, version: str, answers: dict[str, Any]) -> dict[str, str]:
        copier.run_copy(str(self.source), folder, answers, vcs_ref=version, defaults=True, quiet=True)
        return read(folder)

    def edit(self) -> None:
        Owner(self.project).edit()
        self.edited = read(self.project)

    def update(self, trust: bool = False, **answers: Any) -> None:
        """To the newest version; it is committed when it is what it should be."""
        copier.run_update(self.project, answers, defaults=True, overwrite=True, quiet=True, unsafe=trust)
        recorded = yaml.safe_load((self.project / ".copier-answers.yml").read_text())
        known = {name: value for name, value in recorded.items() if name not in ("_src_path", "_commit")}
        fresh = self.render(self.project.parent / "fresh", f"v{NEWEST}", known)
        shutil.rmtree(self.project.parent / "fresh")
        self.check(fresh, read(self.project))
        git("add", "--all", cwd=self.project)
        git("commit", "--quiet", "--allow-empty", "--message", "The newest template", cwd=self.project)

    def check(self, fresh: dict[str, str], updated: dict[str, str]) -> None:
        assert not git("ls-files", "--unmerged", cwd=self.project)
        assert not [name for name in updated if name.endswith((".rej", ".orig"))]
        for name in {*self.edited, *fresh, *updated} - {".copier-answers.yml"}:
            was, edited, now, new = (texts.get(name) for texts in (self.rendered, self.edited, updated, fresh))
            if is_yours(name) or (was is None and new is None):
                assert now == self.migrated(edited), f"{name} is its owner's, and was touched"
            elif was is not None and edited is None:
                assert now is None, f"{name} was deleted, and is back"
            elif new is None:
                assert now is None, f"{name} is no longer rendered, and is still there"
            else:  # the owner's lines and no others are between what is here and what is rendered anew
                assert now is not None, f"{name} is missing"
                mine = added(was or "", edited or ""), added(edited or "", was or "")
                assert (added(new, now), added(now, new)) == mine, f"{name} lost a line or has one too many"

    def migrated(self, text: str | None) -> str | None:
        for old, new in ((old, new) for v in crossed(self.version) for old, new in MIGRATED[v].items()):
            text = text and text.replace(old, new)
        return text

    def tree(self) -> str:
        """What tells this project from another one: all of its files."""
        return hashlib.sha256(repr(sorted(read(self.project).items())).encode()).hexdigest()


def read(folder: Path) -> dict[str, str]:
    """The text of each file, but for git's."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: path.read_text() for name, path in names.items() if not re.match(r"runs/|\..*_cache/|.*__pycache__", name)
    }


def added(old: str, new: str) -> Counter[str]:
    return Counter(new.splitlines()) - Counter(old.splitlines())


def crossed(version: str) -> list[str]:
    """The versions whose migrations an update from a release runs."""
    return [new for new in MIGRATED if Version(new) > Version(version)]


def tasks(version: str) -> list[str]:
    """The tasks that a release offers."""
    choices = yaml.safe_load(git("show", f"{releases()[version]}:copier.yml"))["task"]["choices"]
    return list(choices.values())


def lives(project: Path, task: str) -> None:
    """The project's own tests and checks pass, and it trains with its owner's experiment."""
    environment = os.environ | {"PYTHONPATH": str(project / "src"), "OMP_NUM_THREADS": "1"}
    for command in (["ruff", "check", "--quiet"], ["ruff", "format", "--check", "--quiet"], ["pytest", "-q", "-x"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    fit = Project(project).process("fit", "--run", "short", "-c", "experiment/mine", *SMALL[task], *SHORT)
    assert fit.returncode == 0, fit.stderr
    assert "mine" in fit.stdout


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_release_updates(task: str, source: Path, tmp_path: Path) -> None:
    """From each release that has the task: no conflict, no lost edit, nothing back, and a project that lives.

    Projects that are byte for byte the same after it are tried once.
    """
    trees = set()
    for version in (version for version in releases() if task in tasks(version)):
        update = Update(source, tmp_path / version, version, task=task)
        update.edit()
        update.update(trust=True)
        if (tree := update.tree()) not in trees:
            lives(update.project, task)
        trees.add(tree)
    assert trees
