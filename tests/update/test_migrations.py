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


SAME = ["loading = a.loading.b", "harness.loadings", "from .a import loading", "x = 'loading.gif'"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from .harness.loading import make_loader", "from .harness.loaders import make_loader"),
        (
            "from a.harness.loading import (\n    seed_at,\n)",
            "from a.harness.loaders import (\n    seed_at,\n)",
        ),
        ("import a.harness.loading as l", "import a.harness.loaders as l"),
        (
            "from .harness import A, loading\nloading.f(a.loading.g)",
            "from .harness import A, loaders\nloaders.f(a.loading.g)",
        ),
        (
            "from ..harness import (\n  loading,  # (why)\n  b,\n)",
            "from ..harness import (\n  loaders,  # (why)\n  b,\n)",
        ),
        *[
            (
                f"from .harness import loading\n{other}",
                f"from .harness import loaders as loading\n{other}",
            )
            for other in (
                "loaders = 1",
                "def f(loading): return loading",
                "import loaders",
                "for loading in a: pass",
            )
        ],
        ("\ufefffrom .harness import loading", "\ufefffrom .harness import loaders"),
        ("from .harness import loading as l, optim", "from .harness import loaders as l, optim"),
        (
            "from .harness import loading\né = 'loading.gif', loading",
            "from .harness import loaders\né = 'loading.gif', loaders",
        ),
        ("class_path: a.harness.loading.Loader", "class_path: a.harness.loaders.Loader"),
        ("see `harness/loading.py`", "see `harness/loaders.py`"),
        *[(text, text) for text in SAME],
    ],
)
def test_renaming_a_module(before: str, after: str) -> None:
    """Imports, what uses them, class paths and prose name the new module; what only looks like it is left alone."""
    name = "a.yaml" if "class_path" in before or "`" in before else "a.py"
    assert load(RENAME).renamed(name, before.encode(), "loading", "loaders").decode() == after
    assert load(RENAME).renamed(name, after.encode(), "loading", "loaders").decode() == after


def test_renaming_in_odd_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are no UTF-8 stay as they are; an import that cannot be changed is named."""
    rename = load(RENAME).renamed
    assert (
        rename("a.md", b"caf\xe9 harness.loading", "loading", "loaders")
        == b"caf\xe9 harness.loaders"
    )
    assert not capsys.readouterr().out
    for name, text in (
        ("a.py", b"print 'x'\nfrom .harness import loading"),
        ("a.py", b"# coding: latin-1\nfrom .harness import loading\nx = '\xe9', loading"),
        ("a.ipynb", b'"from a.harness import loading\\n"'),
    ):
        assert rename(name, text, "loading", "loaders") == text
        assert (
            f"{name} imports harness.loading, which is harness.loaders now"
            in capsys.readouterr().out
        )


def test_renaming_in_a_project(tmp_path: Path) -> None:
    """Files that git knows are changed, with their line ends, and named; others, and those deleted, are not.

    Changes to the module itself, which is rendered under its new name, are named as well.
    """
    text = b"from .harness.loading import make_loader\r\n"
    module = "src/mine/harness/loading.py"
    (tmp_path / module).parent.mkdir(parents=True)
    for name in ("data.py", "gone.py", "note.bin", "mine.py", "né w.py", "outside.py", module):
        (tmp_path / name).write_bytes(text + b"\0" * name.endswith(".bin"))
    git("init", "--quiet", cwd=tmp_path)
    (tmp_path / "link.py").symlink_to("outside.py")
    git("add", "data.py", "gone.py", "note.bin", "né w.py", "link.py", module, cwd=tmp_path)
    blob = git("rev-parse", f":{module}", cwd=tmp_path)
    for name in ("gone.py", module):
        (tmp_path / name).unlink()

    def run(known: str) -> str:
        command = [sys.executable, RENAME, "loading", "loaders", known]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    assert run(blob) == "".join(
        f"{name}: harness.loading is harness.loaders now\n" for name in ("data.py", "né w.py")
    )
    assert (tmp_path / "outside.py").read_bytes() == text
    assert (tmp_path / "data.py").read_bytes() == text.replace(b"loading", b"loaders")
    assert run(blob) == ""
    assert run("another").startswith(
        f"{module} had changes of yours, which loaders.py has not: `git show HEAD:./{module}`"
    )
    assert (tmp_path / "mine.py").read_bytes() == text
    assert (tmp_path / "note.bin").read_bytes() == text + b"\0"
