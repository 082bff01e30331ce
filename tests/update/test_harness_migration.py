"""The migration to 0.6.0, on small projects in git, as an update leaves them to it."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from hooks.splitting import files, moves
from hooks.splitting.rewriting import rewrite_dotted_names, rewrite_python
from tests.support.releases import AUTHOR, git, releases
from tests.support.template import ROOT

SCRIPT = ROOT / "hooks" / "split_harness.py"
NEW_PACKAGE = ROOT / "template" / "src" / "{{ package_name }}"
MANAGED = "# Managed by copier-lightning: an update may replace this file.\n"
PROJECT = moves.Project(
    package="mine",
    legacy_folder="legacy",
    legacy_modules=frozenset({"scenes", "tables"}),
    line_length=100,
)


# ---- Rewriting one file --------------------------------------------------------------------------

CODE = {
    "one import becomes several, in order": (
        "from .harness import Faults, UserError, cut, note, note_leaks\n"
        "from .harness.loaders import make_loader\n"
        "from .helpers import read\n",
        "from .harness.errors import ErrorCollector as Faults\n"
        "from .harness.errors import UserError\n"
        "from .harness.loaders import make_loader\n"
        "from .harness.messages import note\n"
        "from .harness.splits import cut_splits as cut\n"
        "from .harness.splits import note_leaks\n"
        "from .helpers import read\n",
    ),
    "names of the other modules": (
        "from .harness.loaders import Addressed, Loader, place, ranks_of, seed_at\n"
        "from .harness.runs import load, newest_checkpoint\n",
        "from .harness.checkpoints import newest_checkpoint\n"
        "from .harness.checkpoints import read_checkpoint as load\n"
        "from .harness.lightning_internals import training_position as place\n"
        "from .harness.loaders import AddressedDataset as Addressed\n"
        "from .harness.loaders import ResumableLoader as Loader\n"
        "from .harness.loaders import world_of as ranks_of\n"
        "from .harness.seeding import seed_at\n",
    ),
    "modules stay": (
        "from .harness import UserError, loaders, optim\n",
        "from .harness import loaders, optim\nfrom .harness.errors import UserError\n",
    ),
    "an alias stays": (
        "from .harness import Faults as Found\n",
        "from .harness.errors import ErrorCollector as Found\n",
    ),
    "an absolute import stays absolute": (
        "import mine.model\nfrom mine.harness import UserError\n",
        "import mine.model\nfrom mine.harness.errors import UserError\n",
    ),
    "from a subpackage": (
        "from ..harness import UserError\n",
        "from ..harness.errors import UserError\n",
    ),
    "a reader, after its neighbors": (
        "from .harness.tables import Rows\nfrom .helpers import read\n",
        "from .helpers import read\nfrom .legacy.tables import Rows\n",
    ),
    "a reader as a module": (
        "from .harness import tables\n",
        "from .legacy import tables\n",
    ),
    "a reader in full": (
        "import mine.harness.tables as tables\n",
        "import mine.legacy.tables as tables\n",
    ),
    "an import inside a function": (
        "def read():\n    from .harness import UserError, cut\n    return cut\n",
        "def read():\n"
        "    from .harness.errors import UserError\n"
        "    from .harness.splits import cut_splits as cut\n"
        "    return cut\n",
    ),
    "comments stay beside and above": (
        "from .harness import (\n"
        "    UserError,  # beside\n"
        "    note,\n"
        "    note_leaks,  # noqa: F401\n"
        ")\n"
        "# above\n"
        "from .harness.tables import Rows\n"
        "from .model import Model\n",
        "# above\n"
        "from .harness.errors import UserError  # beside\n"
        "from .harness.messages import note\n"
        "from .harness.splits import note_leaks  # noqa: F401\n"
        "from .legacy.tables import Rows\n"
        "from .model import Model\n",
    ),
    "a constant is called": (
        'from .harness import FIRST\n\nif FIRST and "FIRST":\n    print("é", FIRST)\n',
        "from .harness.messages import is_rank_zero\n\n"
        'if is_rank_zero() and "FIRST":\n    print("é", is_rank_zero())\n',
    ),
    "a method is renamed": (
        "from .harness import Faults\n\nfaults = Faults()\nfaults.refuse()\nrefuse(faults)\n",
        "from .harness.errors import ErrorCollector as Faults\n\n"
        "faults = Faults()\nfaults.raise_if_any()\nrefuse(faults)\n",
    ),
    "an attribute of a module is renamed": (
        "from .harness import loaders as ours\n\nours.Loader(ours.make_loader)\n",
        "from .harness import loaders as ours\n\nours.ResumableLoader(ours.make_loader)\n",
    ),
    "the command's function": (
        "from mine.harness.main import main\n\nmain()\n",
        "from mine.__main__ import run as main\n\nmain()\n",
    ),
    "test helpers": (
        "from harness.test_harness import QUICK, ModelSuite, command\n",
        "from harness.model_suite import ModelSuite\nfrom harness.project import QUICK, command\n",
    ),
    "a module fetched by its name": (
        'UserError = import_module(f"{PACKAGE}.harness").UserError\n'
        'main = import_module(f"{PACKAGE}.harness.main").main\n'
        "first = import_module('mine.harness').FIRST\n"
        'read = import_module(f"{PACKAGE}.harness.tables").read\n',
        'UserError = import_module(f"{PACKAGE}.harness.errors").UserError\n'
        'main = import_module(f"{PACKAGE}.__main__").run\n'
        "first = import_module('mine.harness.messages').is_rank_zero()\n"
        'read = import_module(f"{PACKAGE}.legacy.tables").read\n',
    ),
    "a message that a test quotes": (
        'match="data.folds=5 cuts a test split, and the data have one"\n',
        'match="data.folds=5 cuts a test split, and the data has one"\n',
    ),
    "a name in a string": (
        'patch(f"{PACKAGE}.harness.loaders.seed_at")\npatch("mine.harness.tables.read")\n',
        'patch(f"{PACKAGE}.harness.seeding.seed_at")\npatch("mine.legacy.tables.read")\n',
    ),
}
UNCHANGED = {
    "other packages": "from .other.harness import cut\nfrom harness import Faults\n",
    "an attribute": "from .harness.loaders import make_loader\n\nself.harness.note(harness.cut)\n",
    "two statements in a line": "from .harness import cut; print(cut)\n",
}


@pytest.mark.parametrize("case", CODE)
def test_code(case: str) -> None:
    """Imports, and what uses them, follow the names that moved; a second time changes nothing."""
    before, after = CODE[case]
    package = "mine.sub" if "from .." in before else "mine"
    assert rewrite_python(before, PROJECT, package, package) == after
    assert rewrite_python(after, PROJECT, package, package) == after


@pytest.mark.parametrize("case", UNCHANGED)
def test_code_that_only_looks_alike(case: str) -> None:
    """Other names stay, and so does a statement that is not alone in its line."""
    code = UNCHANGED[case]
    assert rewrite_python(code, PROJECT, "mine", "mine") == code


def test_code_of_a_module_that_moves() -> None:
    """Relative imports suit the new place, those of modules that move along among them."""
    before = "from . import Faults\nfrom .loading import seed_at\nfrom .scenes import compose\n"
    after = (
        "from ..harness.errors import ErrorCollector as Faults\n"
        "from ..harness.seeding import seed_at\n"
        "from .scenes import compose\n"
    )
    assert rewrite_python(before, PROJECT, "mine.harness", "mine.legacy") == after


def test_yaml() -> None:
    """Class paths follow the names that moved."""
    before = "class_path: mine.harness.tables.Rows\nother: mine.harness.runs.AtomicCheckpointIO\n"
    after = (
        "class_path: mine.legacy.tables.Rows\nother: mine.harness.checkpoints.AtomicCheckpointIO\n"
    )
    assert rewrite_dotted_names(before, PROJECT) == after
    assert rewrite_dotted_names(after, PROJECT) == after


def test_long_imports_are_wrapped() -> None:
    """An import that exceeds the line length has a line for each name."""
    names = [f"name_{number}" for number in range(12)]
    before = f"from .harness.tables import {', '.join(names)}\n"
    lines = [f"    {name},\n" for name in names]
    after = f"from .legacy.tables import (\n{''.join(lines)})\n"
    assert rewrite_python(before, PROJECT, "mine", "mine") == after


@pytest.mark.parametrize("line_length", [80, 100, 120])
def test_released_projects_stay_tidy(line_length: int, tmp_path: Path) -> None:
    """What 0.5.0 rendered passes ruff after the migration, at any line length, if it did before."""
    settings = [
        f"line-length = {line_length}",
        "lint.select = ['I']",
        "lint.isort.known-first-party = ['mine']",
    ]
    (tmp_path / "ruff.toml").write_text("\n".join(settings))
    command = ["git", "archive", releases()["0.5.0"], "template"]
    archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tmp_path, filter="data")
    for folder in sorted(tmp_path.rglob("harness")):
        shutil.rmtree(folder)
    run_ruff("check", "--fix", cwd=tmp_path)
    run_ruff("format", cwd=tmp_path)

    project = moves.Project("mine", "legacy", frozenset(moves.OLD_READERS), line_length)
    for path in tmp_path.rglob("*.py"):
        package = "mine" if path.parent.parent.name == "src" else "tests"
        path.write_text(rewrite_python(path.read_text(), project, package, package))
    run_ruff("check", cwd=tmp_path)
    run_ruff("format", "--check", cwd=tmp_path)


def run_ruff(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, "-m", "ruff", *arguments, "--quiet", "--no-cache", "."]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_new_place_exists() -> None:
    """Each name that moved is in the module that it is said to be in."""
    places = [place for names in moves.MOVED.values() for place in names.values()]
    for module, name in places:
        path = NEW_PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
        assert name in files.names_in(path), f"{path} has no {name}"
    for name, module in moves.TEST_HELPERS.items():
        path = ROOT.joinpath("template", "tests", *module.split(".")).with_suffix(".py")
        assert name in files.names_in(path), f"{path} has no {name}"


def test_released_versions_are_known() -> None:
    """Each version of a replaced module that a release rendered is known by its hash."""
    known = json.loads((ROOT / "hooks" / "splitting" / "released_blobs.json").read_text())
    for version in ("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0"):
        for line in git("ls-tree", "-r", releases()[version], "template").splitlines():
            entry, _, name = line.partition("\t")
            path = Path(name)
            if path.parent.name == "harness" and path.stem in known:
                assert entry.split()[2] in known[path.stem], f"{name} of {version}"


# ---- Migrating a project -------------------------------------------------------------------------


OLD_CLI = "from ..data import DataModule\nfrom ..model import Model\n"


class OldProject:
    """A project of an older release, in git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", cwd=folder)
        self.write("src/mine/harness/cli.py", OLD_CLI)
        self.write("src/mine/data.py", "class DataModule: ...\n")
        self.write("src/mine/model.py", "class Model: ...\n")

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)

    def read(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode()

    def commit(self) -> None:
        git("add", "--all", cwd=self.folder)
        git(*AUTHOR, "commit", "--quiet", "--message", "Mine", cwd=self.folder)

    def update(self) -> None:
        """Commit everything, and put the new harness in the place of the old one."""
        self.commit()
        harness = self.folder / "src" / "mine" / "harness"
        shutil.rmtree(harness)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(NEW_PACKAGE / "harness", harness, ignore=ignored)

    def migrate(self, **variables: str) -> list[str]:
        """Run the script. Its lines, without those about what every project has."""
        done = subprocess.run(
            [sys.executable, "-B", SCRIPT],
            cwd=self.folder,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **variables},
            check=True,
            capture_output=True,
            encoding="utf-8",
        )
        usual = ("src/mine/harness/cli.py had changes", "src/mine/__main__.py: written")
        lines = done.stdout.splitlines()
        return [line for line in lines if not line.removeprefix("To do: ").startswith(usual)]

    def tree(self) -> dict[str, bytes]:
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in paths if ".git" not in path.parts}


@pytest.fixture
def project(tmp_path: Path) -> OldProject:
    return OldProject(tmp_path / "project")


def test_readers_in_use_are_kept(project: OldProject) -> None:
    """Old readers that the owner's files use, directly or not, become the owner's as they were."""
    project.write("src/mine/harness/tables.py", MANAGED + "from .readers import some\nROWS = 1\n")
    project.write("src/mine/harness/readers.py", MANAGED + "from . import UserError\n# edited\n")
    project.write("src/mine/harness/scenes.py", MANAGED + "SCENE = 1\n")
    project.write("src/mine/harness/masks.py", MANAGED + "MASK = 1\n")
    project.write("configs/experiment/own.yaml", "class_path: mine.harness.scenes.Scene\n")
    project.write("src/mine/data.py", "from .harness.tables import ROWS\n\nclass DataModule: ...\n")
    project.update()
    assert project.migrate() == [
        "src/mine/legacy/readers.py: kept from harness/readers.py, since your files use it",
        "src/mine/legacy/scenes.py: kept from harness/scenes.py, since your files use it",
        "src/mine/legacy/tables.py: kept from harness/tables.py, since your files use it",
        "configs/experiment/own.yaml: uses the new modules of the harness",
        "src/mine/data.py: uses the new modules of the harness",
        "To do: src/mine/harness/masks.py had changes of yours, which were not carried over;"
        " `git show HEAD:./src/mine/harness/masks.py` shows them",
    ]
    legacy = project.folder / "src" / "mine" / "legacy"
    names = sorted(path.name for path in legacy.iterdir())
    assert names == ["__init__.py", "readers.py", "scenes.py", "tables.py"]
    header, _, code = project.read("src/mine/legacy/readers.py").partition("# fmt: off\n")
    assert header.startswith("# Yours since 0.6.0")
    assert header.endswith("# ruff: noqa\n")
    assert code == "from ..harness.errors import UserError\n# edited\n"
    assert project.read("src/mine/legacy/tables.py").endswith(
        "from .readers import some\nROWS = 1\n"
    )
    assert project.read("src/mine/data.py").startswith("from .legacy.tables import ROWS\n")
    assert "mine.legacy.scenes.Scene" in project.read("configs/experiment/own.yaml")


def test_second_run_changes_nothing(project: OldProject) -> None:
    """The script may run again, before the update is committed and after."""
    project.write("src/mine/harness/tables.py", MANAGED + "from . import FIRST\nROWS = FIRST\n")
    project.write("src/mine/data.py", "from .harness.tables import ROWS\n\nclass DataModule: ...\n")
    project.update()
    project.migrate()
    tree = project.tree()
    assert project.migrate() == []
    assert project.tree() == tree
    project.commit()
    assert project.migrate() == []
    assert project.tree() == tree


def test_project_in_a_subfolder(tmp_path: Path) -> None:
    """The project may be a folder of a larger repository."""
    git("init", "--quiet", cwd=tmp_path)
    (tmp_path / "outside.py").write_text("from mine.harness import UserError\n")
    project = OldProject(tmp_path / "projects" / "one")
    shutil.rmtree(project.folder / ".git")
    project.write("src/mine/harness/tables.py", MANAGED + "ROWS = 1\n")
    project.write("src/mine/data.py", "from .harness.tables import ROWS\n\nclass DataModule: ...\n")
    project.update()
    project.migrate()
    assert project.read("src/mine/legacy/tables.py").endswith("ROWS = 1\n")
    assert project.read("src/mine/data.py").startswith("from .legacy.tables import ROWS\n")


def test_own_legacy_folder(project: OldProject) -> None:
    """An owner's module called `legacy` is left alone."""
    project.write("src/mine/legacy.py", "OWN = 1\n")
    project.write("src/mine/harness/tables.py", MANAGED + "ROWS = 1\n")
    project.write("src/mine/data.py", "from .harness.tables import ROWS\n\nclass DataModule: ...\n")
    project.update()
    project.migrate()
    tree = project.tree()
    assert project.read("src/mine/legacy_readers/tables.py").endswith("ROWS = 1\n")
    assert project.read("src/mine/data.py").startswith("from .legacy_readers.tables import ROWS\n")
    assert project.migrate() == []
    assert project.tree() == tree


ODD_FILES = {
    "crlf.py": (b"from .harness import cut\r\n\r\ncut()\r\n", b"import cut_splits as cut\r\n\r\n"),
    "bom.py": (b"\xef\xbb\xbffrom .harness import cut\n", b"\xef\xbb\xbffrom .harness.splits"),
    "n\u00e9 w.py": (b"from .harness import cut\n", b"from .harness.splits"),
}
UNREADABLE = {
    "latin.py": b"# coding: latin-1\nfrom .harness import cut\nx = '\xe9'\n",
    "python2.py": b"from .harness import cut\nprint 'x'\n",
}


def test_odd_files(project: OldProject) -> None:
    """Line ends and byte order marks stay. What cannot be read, and what git ignores, is left."""
    for name, (content, _) in ODD_FILES.items():
        project.write(f"src/mine/{name}", content)
    for name, content in UNREADABLE.items():
        project.write(f"src/mine/{name}", content)
    project.write("src/mine/generated.py", MANAGED + "from .harness import cut\n")
    project.update()
    project.write("src/mine/unknown.py", "from .harness import cut\n")
    lines = project.migrate()
    for name, (_, expected) in ODD_FILES.items():
        assert expected in (project.folder / "src/mine" / name).read_bytes()
        assert f"src/mine/{name}: uses the new modules of the harness" in lines
    for name, content in UNREADABLE.items():
        assert (project.folder / "src/mine" / name).read_bytes() == content
        assert [line for line in lines if line.startswith(f"To do: src/mine/{name} cannot be read")]
    for name in ("generated", "unknown"):
        assert project.read(f"src/mine/{name}.py").endswith("from .harness import cut\n")


def test_terminal_that_cannot_print_a_name(project: OldProject) -> None:
    """What the terminal's encoding lacks is printed escaped."""
    project.write("notes.md", "Siehe harness/runs.py für mehr.\n")
    project.update()
    [line] = project.migrate(PYTHONIOENCODING="ascii")
    assert line.endswith("Siehe harness/runs.py f\\xfcr mehr.")


def test_package_that_was_not_updated(project: OldProject) -> None:
    """A package whose harness is still the old one is named, and left alone."""
    project.commit()
    tree = project.tree()
    assert project.migrate() == [
        "To do: src/mine/harness was not updated:"
        " mine is not the package_name in .copier-answers.yml"
    ]
    assert project.tree() == tree


# ---- The entry point -----------------------------------------------------------------------------


def test_entry_point(project: OldProject) -> None:
    """`__main__.py` is written as a new project has it."""
    project.update()
    project.migrate()
    expected = (NEW_PACKAGE / "__main__.py").read_text()
    assert project.read("src/mine/__main__.py") == expected


MOVED_CLASSES = {
    "moved": (
        {"nets/vision.py": "class Model(Base): ...\n"},
        "    from .data import DataModule\n    from .nets.vision import Model\n",
    ),
    "moved into a package": (
        {"nets/__init__.py": "class Model: ...\n"},
        "    from .data import DataModule\n    from .nets import Model\n",
    ),
    "renamed": (
        {"vision.py": "import lightning as L\n\n\nclass Net(L.LightningModule): ...\n"},
        "    from .data import DataModule\n    from .vision import Net as Model\n",
    ),
    "imported by an edited harness": (
        {
            "a.py": "class Model: ...\n",
            "b.py": "class Model: ...\n",
            "harness/cli.py": "from ..b import Model\n",
        },
        "    from .b import Model\n    from .data import DataModule\n",
    ),
    "bound by another name": (
        {"model.py": "from .vision import Net as Model\n", "vision.py": "class Net: ...\n"},
        "    from .data import DataModule\n    from .model import Model\n",
    ),
}


@pytest.mark.parametrize("case", MOVED_CLASSES)
def test_entry_point_of_a_moved_model(case: str, project: OldProject) -> None:
    """`__main__.py` imports the model from where the owner moved it."""
    sources, expected = MOVED_CLASSES[case]
    (project.folder / "src/mine/model.py").unlink()
    for name, content in sources.items():
        project.write(f"src/mine/{name}", content)
    project.update()
    assert project.migrate() == []
    assert expected in project.read("src/mine/__main__.py")


def test_entry_point_of_an_unknown_model(project: OldProject) -> None:
    """If several classes may be the model, the owner is told to edit the import."""
    (project.folder / "src/mine/model.py").unlink()
    for name in ("a", "b"):
        project.write(f"src/mine/{name}.py", "class Model: ...\n")
    project.update()
    assert project.migrate() == [
        "To do: src/mine/__main__.py: your Model was not found, or several were;"
        " edit the imports in this file"
    ]
    assert "    from .model import Model\n" in project.read("src/mine/__main__.py")


def test_own_entry_point(project: OldProject) -> None:
    """A `__main__.py` of the owner's is left alone, and must have what the command starts."""
    project.write("src/mine/__main__.py", "print('mine')\n")
    project.update()
    [line] = project.migrate()
    assert line.startswith("To do: src/mine/__main__.py: add the function `run`")
    assert project.read("src/mine/__main__.py") == "print('mine')\n"


# ---- What is left to the owner -------------------------------------------------------------------

USES_WHAT_IS_GONE = """\
from .harness import check_range, loaders
from .harness.runs import Run

loaders.place(None)
loaders.make_loader(Run, check_range)
command = "python -c 'import mine.harness.main'"
"""


def test_what_is_gone_is_reported(project: OldProject) -> None:
    """Names without a counterpart stay, and are named with their lines and with what to do."""
    project.write("src/mine/tool.py", USES_WHAT_IS_GONE)
    project.write("notes.md", "See harness/runs.py.\n")
    project.update()
    assert project.migrate() == [
        "To do: src/mine/tool.py:1: harness.check_range has no counterpart;"
        " `git show HEAD:./src/mine/harness/__init__.py` shows what it was",
        "To do: src/mine/tool.py:2: harness.runs.Run has no counterpart;"
        " `git show HEAD:./src/mine/harness/runs.py` shows what it was",
        "To do: src/mine/tool.py:4: harness.loaders.place is"
        " harness.lightning_internals.training_position now",
        "To do: notes.md:1: it refers to a module of the harness that is gone:"
        " See harness/runs.py.",
        "To do: src/mine/tool.py:6: it refers to a module of the harness that is gone:"
        " command = \"python -c 'import mine.harness.main'\"",
    ]
    assert project.read("src/mine/tool.py") == USES_WHAT_IS_GONE


@pytest.mark.parametrize("is_edited", [False, True])
def test_lost_changes_are_reported(is_edited: bool, project: OldProject) -> None:
    """Modules that are gone are named if they were not as a release rendered them."""
    path = "template/src/{{ package_name }}/harness/runs.py"
    content = git("show", f"{releases()['0.5.0']}:{path}") + "\n"
    expected = []
    if is_edited:
        content += "# mine\n"
        expected = [
            "To do: src/mine/harness/runs.py had changes of yours, which were not carried over;"
            " `git show HEAD:./src/mine/harness/runs.py` shows them"
        ]
    project.write("src/mine/harness/runs.py", content.replace("\n", "\r\n"))
    project.update()
    assert project.migrate() == expected


def test_conflicts_with_rewritten_files_are_reported(project: OldProject) -> None:
    """If an edited file was rewritten, its new version is what resolves Copier's conflict."""
    project.write("src/mine/harness/optim.py", MANAGED + "LR = 1\n")
    project.update()
    project.write("src/mine/harness/optim.py", "<<<<<<< before updating\nLR = 1\n")
    assert project.migrate() == [
        "To do: src/mine/harness/optim.py was rewritten, so resolve its conflict with"
        " `git checkout --theirs src/mine/harness/optim.py`",
        "To do: src/mine/harness/optim.py had changes of yours, which were not carried over;"
        " `git show HEAD:./src/mine/harness/optim.py` shows them",
    ]
