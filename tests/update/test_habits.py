"""What teams do to a project between two updates does not stand in the way of the next one."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.files import list_files
from tests.support.projects import Project
from tests.support.releases import NEWEST, PREVIOUS, git
from tests.support.tasks import small_options
from tests.support.template import ROOT, TASKS
from tests.support.terminal import CTRL_C, ENTER, Terminal
from tests.update.commands import SHORT, assert_tidy, run_copier
from tests.update.edited_project import ANSWERS_FILE, EditedProject, commit_all, read_files

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["data", "runs", ".venv"])
def test_symlinks_are_ignored(name: str, source: Path, tmp_path: Path) -> None:
    """On clusters, data and runs are links to another disk; git ignores them as it does folders."""
    project = EditedProject(source, tmp_path / "project", NEWEST)
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir()

    (project.folder / name).symlink_to(elsewhere)

    assert git("status", "--short", cwd=project.folder) == ""


# ---- Conflicts -----------------------------------------------------------------------------------


def test_rejected_changes_are_announced(source: Path, tmp_path: Path) -> None:
    """With `--conflict rej`, the closing message names the files that hold what was rejected."""
    project = EditedProject(source, tmp_path / "project", PREVIOUS)
    update = ("update", "--defaults", "--conflict", "rej", "-d", "strategy=ddp")

    exit_code, output = run_copier(*update, cwd=project.folder)

    assert exit_code == 0, output
    assert "files that end in `.rej`" in output
    assert "--vcs-ref=:current:" in output


@pytest.mark.parametrize(
    ("hook", "name", "text"),
    [
        ("update-conflicts", "configs/base.yaml", "<<<<<<< before updating\n"),
        ("update-conflicts", "configs/base.yaml", ">>>>>>> after updating\n"),
        ("update-rejects", "configs/trainer.yaml.rej", "@@ -1 +1 @@\n"),
    ],
)
def test_hooks_refuse_leftovers(
    hook: str, name: str, text: str, source: Path, tmp_path: Path
) -> None:
    """pre-commit refuses conflict markers and rejected changes, and accepts a project without."""
    project = EditedProject(source, tmp_path / "project", NEWEST)
    command = [sys.executable, "-m", "pre_commit", "run", hook, "--all-files"]
    clean = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert clean.returncode == 0, clean.stdout

    (project.folder / name).write_text(text)
    git("add", "--all", cwd=project.folder)

    refused = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert refused.returncode == 1, refused.stdout
    assert name in refused.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<<<<<< before updating\na: 1\n", "base.yaml:1 has a conflict of an update"),
        ("model:\n  lr: [1\n", "base.yaml:3 is not YAML"),
    ],
)
def test_broken_configuration_is_named(
    text: str, message: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    """The error names the file and the line of a configuration that cannot be read."""
    project = Project(render(tmp_path / "project", task="tabular", project_name="Broken Config"))
    (project.folder / "configs" / "base.yaml").write_text(text)

    ended = project.fork("fit")

    assert ended.returncode == 1
    assert message in ended.stderr.splitlines()[-1]


# ---- Questions -----------------------------------------------------------------------------------


def test_questions_of_an_update(source: Path, tmp_path: Path) -> None:
    """The questions of an update show that a project keeps its task, and what would be deleted.

    The lines fit the terminal.
    """
    project = EditedProject(source, tmp_path / "project", PREVIOUS)
    session = Terminal("update", "--trust", folder=project.folder)
    session.wait_for_question("project_name")
    session.child.send(ENTER)
    session.wait_for_question("task")

    own = "image_classification"
    shown = session.wait_for(f"- time_series_forecasting (this project is for {own})")

    assert f"{own} - a label for each image: any timm backbone\n" in shown
    assert shown.count(f"(this project is for {own})") == len(TASKS) - 1
    session.child.send(ENTER)
    for name in ("accelerator", "strategy", "precision", "logger"):
        session.wait_for_question(name)
        session.child.send(ENTER)
    session.wait_for("   Another choice deletes ci.yml and 3 others, with your lines.")
    session.child.send(CTRL_C)
    assert session.wait_for_end() != 0
    assert git("status", "--short", cwd=project.folder) == ""


def test_answer_is_changed_alone(source: Path, tmp_path: Path) -> None:
    """`--vcs-ref=:current:` changes an answer and keeps the version of the template."""
    project = EditedProject(source, tmp_path, PREVIOUS, task="tabular")
    update = ("update", "--defaults", "--vcs-ref=:current:", "-d", "strategy=ddp")

    exit_code, output = run_copier(*update, cwd=project.folder)

    assert exit_code == 0, output
    assert project.answers()["strategy"] == "ddp"
    assert project.answers()["_commit"] == f"v{PREVIOUS}"
    changed = git("diff", "--name-only", cwd=project.folder).splitlines()
    assert changed == [ANSWERS_FILE, "configs/trainer.yaml"]


# ---- Where a project is --------------------------------------------------------------------------


def test_closing_message_quotes_the_folder(source: Path, tmp_path: Path) -> None:
    """The command in the closing message works for a folder with spaces and other characters."""
    folder = tmp_path / "it's here & there"

    exit_code, output = run_copier("copy", "--defaults", str(source), str(folder), cwd=tmp_path)

    assert exit_code == 0, output
    [command] = [line for line in output.splitlines() if line.startswith("    cd ")]
    moved = subprocess.run(["bash", "-c", f"{command} && pwd"], capture_output=True, text=True)
    assert moved.stdout == f"{folder}\n"


def test_two_templates_in_a_repository(source: Path, tmp_path: Path) -> None:
    """With `-a`, `drift` and the update job use the answers to this template."""
    other_answers = "_src_path: nowhere\n_commit: v1.0.0\npackage_name: other\n"
    (tmp_path / ".copier-answers.yml").write_text(other_answers)
    answers_file = ".copier-answers.lightning.yml"
    answers = ["-d", "project_name=Second Template", "-d", "task=tabular"]
    copy = ("copy", "--defaults", "-a", answers_file, *answers, str(source), ".")
    exit_code, output = run_copier(*copy, cwd=tmp_path)
    assert exit_code == 0, output

    [line] = fork_drift(Project(tmp_path, answers_file))
    assert line.startswith("0 of ")

    job = (tmp_path / ".github" / "workflows" / "copier-update.yml").read_text()
    assert f"update --defaults -a {answers_file};" in job
    assert f"{answers_file})" in job


def fork_drift(project: Project) -> list[str]:
    """The lines that `drift` prints."""
    done = project.fork("drift")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# ---- Files of the owner's ------------------------------------------------------------------------


def test_ignored_file_in_the_way_is_refused(source: Path, tmp_path: Path) -> None:
    """A file that git ignores, where a new file of the template belongs, is not overwritten."""
    project = EditedProject(source, tmp_path, "0.5.0", task="tabular")
    (project.folder / ".git" / "info" / "exclude").write_text("AGENTS.md\n")
    notes = project.folder / "AGENTS.md"
    notes.write_text("notes of mine\n")
    update = ("update", "--defaults", "--trust")

    exit_code, output = run_copier(*update, cwd=project.folder)

    assert exit_code != 0
    assert "AGENTS.md is a file of the template" in " ".join(output.split())
    assert notes.read_text() == "notes of mine\n"
    assert git("status", "--short", cwd=project.folder) == ""
    notes.rename(project.folder / "runs.md")
    git("add", "runs.md", cwd=project.folder)
    commit_all(project.folder, "Move the notes")
    exit_code, output = run_copier(*update, cwd=project.folder)
    assert exit_code == 0, output


def test_renamed_package_is_refused(source: Path, tmp_path: Path) -> None:
    """A renamed package is refused with what to do, and is updated after that was done."""
    project = EditedProject(source, tmp_path, "0.1.0", task="tabular", package_name="mine")
    folder = project.folder
    git("mv", "src/mine", "src/lungs", cwd=folder)
    for name, text in read_files(folder).items():
        if name != ANSWERS_FILE:
            (folder / name).write_text(re.sub(r"\bmine\b", "lungs", text))
    commit_all(folder, "Rename the package")
    before = read_files(folder)
    update = ("update", "--defaults", "--trust")

    exit_code, output = run_copier(*update, cwd=folder)

    assert exit_code != 0
    assert "src/mine is missing; if you renamed the package" in " ".join(output.split())
    assert read_files(folder) == before
    answers_file = folder / ANSWERS_FILE
    answers_file.write_text(re.sub(r"\bmine\b", "lungs", answers_file.read_text()))
    commit_all(folder, "Record the new name")
    exit_code, output = run_copier(*update, cwd=folder)
    assert exit_code == 0, output
    assert not (folder / "src" / "mine").exists()
    assert_tidy(folder)
    assert Project(folder).fork("fit", *small_options("tabular"), *SHORT).returncode == 0


def test_package_is_renamed_by_the_manual(source: Path, tmp_path: Path) -> None:
    """After the commands of the manual, an update finds the package under its new name."""
    folder = EditedProject(source, tmp_path, PREVIOUS, task="tabular").folder
    manual = (folder / "docs" / "manual.md").read_text()
    [commands] = re.findall(r"```bash\n(git mv src/my_project .*?)\nuv sync", manual, re.DOTALL)

    subprocess.run(["bash", "-ec", commands], cwd=folder, check=True)

    assert git("grep", "-lw", "new_name", cwd=folder)
    commit_all(folder, "Rename the package")
    exit_code, output = run_copier("update", "--defaults", cwd=folder)
    assert exit_code == 0, output
    assert not (folder / "src" / "my_project").exists()
    for name, text in read_files(folder).items():
        assert not re.search(r"\bmy_project\b", text), name
    assert Project(folder).fork("fit", *small_options("tabular"), *SHORT).returncode == 0


def test_recopy_keeps_what_is_yours(source: Path, tmp_path: Path) -> None:
    """`copier recopy` restores managed files, and keeps the owner's."""
    project = EditedProject(source, tmp_path, NEWEST, task="tabular")
    mine = ["README.md", "configs/base.yaml", "configs/experiment/large.yaml"]
    mine += ["src/my_project/model.py", "tests/test_data.py"]
    managed = "src/my_project/harness/cli.py"
    for name in [*mine, managed]:
        with (project.folder / name).open("a") as file:
            file.write("# changed\n")
    edited = read_files(project.folder)

    exit_code, output = run_copier("recopy", "--defaults", "--overwrite", cwd=project.folder)

    assert exit_code == 0, output
    assert read_files(project.folder) == edited | {managed: project.rendered[managed]}


# ---- Line endings --------------------------------------------------------------------------------


def test_crlf_is_not_committed(source: Path, tmp_path: Path) -> None:
    """Files that an editor writes with CRLF are committed with LF, and an update merges them."""
    project = EditedProject(source, tmp_path, PREVIOUS, task="tabular")
    write_crlf(project.folder)
    commit_all(project.folder, "Edited on Windows")

    assert "i/crlf" not in git("ls-files", "--eol", cwd=project.folder)
    project.edit()
    project.update()


def test_committed_crlf_is_named(source: Path, tmp_path: Path) -> None:
    """`drift` names files that were committed with CRLF, and how to store them with LF."""
    project = EditedProject(source, tmp_path, NEWEST, task="tabular")
    attributes = project.folder / ".gitattributes"
    text = attributes.read_text()
    attributes.write_text("")
    write_crlf(project.folder / "configs" / "preset")
    commit_all(project.folder, "Edited on Windows")
    attributes.write_text(text)
    git("add", ".gitattributes", cwd=project.folder)

    *lines, summary, advice = Project(project.folder).process("drift").stdout.splitlines()

    presets = sorted((project.folder / "configs" / "preset").iterdir())
    expected = [
        f"configs/preset/{path.name} is committed with CRLF line endings" for path in presets
    ]
    assert lines == expected
    assert summary.startswith(f"{len(presets)} of ")
    assert "`git add --renormalize .`" in advice
    git("add", "--renormalize", ".", cwd=project.folder)
    assert Project(project.folder).process("drift").stdout.startswith("0 of ")


def test_crlf_of_an_old_project_is_normalized(source: Path, tmp_path: Path) -> None:
    """A project from before there was a .gitattributes is updated after what CHANGELOG.md says."""
    project = EditedProject(source, tmp_path, "0.5.0", task="tabular")
    write_crlf(project.folder)
    commit_all(project.folder, "Edited on Windows")
    changes = (ROOT / "CHANGELOG.md").read_text()
    [commands] = re.findall(r"^ {6}(printf .*)$", changes, re.MULTILINE)

    subprocess.run(["bash", "-ec", commands], cwd=project.folder, check=True)

    commit_all(project.folder, "Store LF")
    project.update()


def write_crlf(folder: Path) -> None:
    for path in list_files(folder):
        content = path.read_bytes()
        if ".git" not in path.parts and b"\r" not in content:
            path.write_bytes(content.replace(b"\n", b"\r\n"))
