"""Migrations: they change what refers to a renamed thing, and nothing else."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import QUESTIONS, ROOT
from releases import git

RENAME = ROOT / "hooks" / "rename_module.py"


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_migration_is_a_script_that_the_readme_explains() -> None:
    """What copier.yml names is there, for a version, and hooks/README.md has a row for it."""
    readme = (ROOT / "hooks" / "README.md").read_text()
    for migration in QUESTIONS["_migrations"]:
        script = Path(migration["command"][1]).name
        assert (ROOT / "hooks" / script).is_file()
        assert f"| {migration['version'].removeprefix('v')} | `{script}" in readme


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from .harness.loading import make_loader", "from .harness.loaders import make_loader"),
        ("from a.harness.loading import (\n    seed_at,\n)", "from a.harness.loaders import (\n    seed_at,\n)"),
        ("import a.harness.loading as l", "import a.harness.loaders as l"),
        (
            "from .harness import A, loading\nloading.f(my.loading.g)",
            "from .harness import A, loaders\nloaders.f(my.loading.g)",
        ),
        ("from ..harness import (\n  loading,\n  b,\n)", "from ..harness import (\n  loaders,\n  b,\n)"),
        (
            "from .harness import loading\nloaders = loading.a",
            "from .harness import loaders as loading\nloaders = loading.a",
        ),
        ("from .harness import loading as l, optim", "from .harness import loaders as l, optim"),
        ("class_path: a.harness.loading.Loader", "class_path: a.harness.loaders.Loader"),
        ("see `harness/loading.py`", "see `harness/loaders.py`"),
        *[(text, text) for text in ("loading = a.loading.b", "harness.loadings", "from .a import loading")],
    ],
)
def test_renaming_a_module(before: str, after: str) -> None:
    """Imports, class paths and prose name the new module; a name in the code stays; what is like it is left alone."""
    rename = load(RENAME).renamed
    assert rename(before, "loading", "loaders") == after
    assert rename(after, "loading", "loaders") == after


def test_renaming_in_a_project(tmp_path: Path) -> None:
    """Files that git knows are changed, with their line ends, and named; others, and those deleted, are not.

    Changes to the module itself, which is rendered under its new name, are named as well.
    """
    text = b"from .harness.loading import make_loader\r\n"
    module = "src/mine/harness/loading.py"
    (tmp_path / module).parent.mkdir(parents=True)
    for name in ("data.py", "gone.py", "note.txt", "mine.py", module):
        (tmp_path / name).write_bytes(text)
    git("init", "--quiet", cwd=tmp_path)
    git("add", "data.py", "gone.py", "note.txt", module, cwd=tmp_path)
    blob = git("rev-parse", f":{module}", cwd=tmp_path)
    for name in ("gone.py", module):
        (tmp_path / name).unlink()

    def run(known: str) -> str:
        command = [sys.executable, RENAME, "loading", "loaders", known]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert run(blob) == "data.py: harness.loading is harness.loaders now\n"
    assert (tmp_path / "data.py").read_bytes() == text.replace(b"loading", b"loaders")
    assert run(blob) == ""
    assert run("another").startswith(
        f"{module} had changes of yours, which loaders.py has not: `git show HEAD:{module}`"
    )
    assert {path.read_bytes() for path in tmp_path.glob("[mn]*")} == {text}
