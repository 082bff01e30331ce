"""The migration to 0.3.0 renames a module: it changes what refers to it, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from hooks.rename_module import renamed
from tests.support.releases import git
from tests.support.template import COPIER_YML, ROOT

SCRIPT = ROOT / "hooks" / "rename_module.py"


def test_each_migration_is_explained() -> None:
    """Each migration in copier.yml is a script that exists, and has a row in hooks/README.md."""
    readme = (ROOT / "hooks" / "README.md").read_text()
    for migration in COPIER_YML["_migrations"]:
        script = Path(migration["command"][1]).name
        version = migration["version"].removeprefix("v")
        assert (ROOT / "hooks" / script).is_file()
        assert f"| {version} | `{script}" in readme


# ---- In one file ---------------------------------------------------------------------------------

RENAMED_CODE = {
    "import from the module": (
        "from .harness.loading import make_loader",
        "from .harness.loaders import make_loader",
    ),
    "import in several lines": (
        "from a.harness.loading import (\n    seed_at,\n)",
        "from a.harness.loaders import (\n    seed_at,\n)",
    ),
    "import of the module with an alias": (
        "import a.harness.loading as l",
        "import a.harness.loaders as l",
    ),
    "use of the module": (
        "from .harness import A, loading\nloading.f(a.loading.g)",
        "from .harness import A, loaders\nloaders.f(a.loading.g)",
    ),
    "comments": (
        "from ..harness import (\n  loading,  # (why)\n  b,\n)",
        "from ..harness import (\n  loaders,  # (why)\n  b,\n)",
    ),
    "new name is a variable": (
        "from .harness import loading\nloaders = 1",
        "from .harness import loaders as loading\nloaders = 1",
    ),
    "old name is a parameter": (
        "from .harness import loading\ndef f(loading): return loading",
        "from .harness import loaders as loading\ndef f(loading): return loading",
    ),
    "new name is another module": (
        "from .harness import loading\nimport loaders",
        "from .harness import loaders as loading\nimport loaders",
    ),
    "old name is a loop variable": (
        "from .harness import loading\nfor loading in a: pass",
        "from .harness import loaders as loading\nfor loading in a: pass",
    ),
    "byte order mark": (
        "\ufefffrom .harness import loading",
        "\ufefffrom .harness import loaders",
    ),
    "alias": (
        "from .harness import loading as l, optim",
        "from .harness import loaders as l, optim",
    ),
    "letters of two bytes": (
        "from .harness import loading\né = 'loading.gif', loading",
        "from .harness import loaders\né = 'loading.gif', loaders",
    ),
}
RENAMED_TEXT = {
    "class path": (
        "class_path: a.harness.loading.Loader",
        "class_path: a.harness.loaders.Loader",
    ),
    "prose": (
        "see `harness/loading.py`",
        "see `harness/loaders.py`",
    ),
}
UNCHANGED_CODE = (
    "loading = a.loading.b",
    "harness.loadings",
    "from .a import loading",
    "x = 'loading.gif'",
)


def rename(name: str, text: str) -> str:
    return renamed(name, text.encode(), "loading", "loaders").decode()


@pytest.mark.parametrize("case", RENAMED_CODE)
def test_code_uses_the_new_name(case: str) -> None:
    """Imports, and what uses them, have the new name; a second time changes nothing."""
    before, after = RENAMED_CODE[case]
    assert rename("a.py", before) == after
    assert rename("a.py", after) == after


@pytest.mark.parametrize("case", RENAMED_TEXT)
def test_text_uses_the_new_name(case: str) -> None:
    """Class paths and prose have the new name; a second time changes nothing."""
    before, after = RENAMED_TEXT[case]
    assert rename("a.yaml", before) == after
    assert rename("a.yaml", after) == after


@pytest.mark.parametrize("code", UNCHANGED_CODE)
def test_other_names_stay(code: str) -> None:
    """What only looks like the name of the module is left alone."""
    assert rename("a.py", code) == code


def test_text_that_is_not_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are not UTF-8 stay as they are."""
    after = renamed("a.md", b"caf\xe9 harness.loading", "loading", "loaders")
    assert after == b"caf\xe9 harness.loaders"
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", b"print 'x'\nfrom .harness import loading"),
        ("a.py", b"# coding: latin-1\nfrom .harness import loading\nx = '\xe9', loading"),
        ("a.ipynb", b'"from a.harness import loading\\n"'),
    ],
    ids=["python 2", "latin-1", "notebook"],
)
def test_imports_that_cannot_be_changed(
    name: str,
    content: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An import in a file that cannot be read as Python stays, and is named."""
    assert renamed(name, content, "loading", "loaders") == content
    expected = f"{name} imports harness.loading, which is harness.loaders now"
    assert expected in capsys.readouterr().out


# ---- In a project --------------------------------------------------------------------------------

OLD_MODULE = "src/mine/harness/loading.py"
USES_MODULE = b"from .harness.loading import make_loader\r\n"
BINARY = USES_MODULE + b"\0"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository in which git knows some files that use the module, and the module itself.

    An update has deleted the module, and the owner another file.
    """
    known = ("data.py", "deleted.py", "né w.py", OLD_MODULE)
    (tmp_path / OLD_MODULE).parent.mkdir(parents=True)
    for name in (*known, "unknown.py"):
        (tmp_path / name).write_bytes(USES_MODULE)
    (tmp_path / "note.bin").write_bytes(BINARY)
    (tmp_path / "link.py").symlink_to("unknown.py")
    git("init", "--quiet", cwd=tmp_path)
    git("add", *known, "note.bin", "link.py", cwd=tmp_path)
    for name in ("deleted.py", OLD_MODULE):
        (tmp_path / name).unlink()
    return tmp_path


def run_script(project: Path, rendered_blob: str) -> str:
    """What the migration prints, if the template rendered the module with that hash."""
    command = [sys.executable, SCRIPT, "loading", "loaders", rendered_blob]
    done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    return done.stdout


def test_files_that_git_knows_are_changed(project: Path) -> None:
    """Text files that git knows are changed, with their line ends, and named; no other file is.

    A second time changes nothing.
    """
    rendered_blob = git("rev-parse", f":{OLD_MODULE}", cwd=project)

    output = run_script(project, rendered_blob)

    changed = ("data.py", "né w.py")
    lines = [f"{name}: harness.loading is harness.loaders now\n" for name in changed]
    assert output == "".join(lines)
    for name in changed:
        expected = b"from .harness.loaders import make_loader\r\n"
        assert (project / name).read_bytes() == expected
    assert (project / "unknown.py").read_bytes() == USES_MODULE
    assert (project / "note.bin").read_bytes() == BINARY
    assert (project / "link.py").is_symlink()
    assert not (project / "deleted.py").exists()
    assert run_script(project, rendered_blob) == ""


def test_changes_to_the_module_are_reported(project: Path) -> None:
    """If the owner had changed the module itself, the migration says where the changes are."""
    output = run_script(project, "hash of what the template rendered")

    assert (
        f"{OLD_MODULE} had changes of yours, which loaders.py has not:"
        f" `git show HEAD:./{OLD_MODULE}` shows them\n"
    ) in output
