"""The scheduled job that opens a pull request or merge request with an update."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.owner_edits import Owner
from tests.support.releases import NEWEST, PREVIOUS, clone_template, commit_version, git
from tests.update.bots import BRANCH, TEMPLATE_URL, Bot, set_source, write_script
from tests.update.edited_project import ANSWERS_FILE, EditedProject, commit_all, render_newest

PULL_NUMBER = "7"
TITLE = f"Update to v{NEWEST} of the template"


# ---- Pushing an update ---------------------------------------------------------------------------


@dataclass
class Pushed:
    """The job after its first run, with the exit code and the output of that run."""

    ci: str
    bot: Bot
    exit_code: int
    output: str


@pytest.fixture(scope="module", params=["github", "gitlab"])
def first_run(
    request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory
) -> Pushed:
    """The job for a project that its owner has edited, and that can be updated without trust."""
    ci = request.param
    project = EditedProject(source, tmp_path_factory.mktemp(ci), PREVIOUS, ci=ci)
    project.edit()
    (project.folder / "uv.lock").write_text("# locked\n")
    commit_all(project.folder, "The versions")
    bot = Bot(project, ci)
    exit_code, output = bot.run(PULL="")
    return Pushed(ci, bot, exit_code, output)


@pytest.fixture
def pushed(first_run: Pushed) -> Iterator[Pushed]:
    """The same, for a test that may move the branches."""
    bot = first_run.bot
    commits = {branch: bot.commit_of(branch) for branch in bot.branches()}
    yield first_run
    for branch, commit in commits.items():
        bot.move_branch(branch, commit)


@pytest.mark.slow
def test_update_is_pushed(pushed: Pushed) -> None:
    """The job pushes an update to a branch and opens a request, whose title is the commit's."""
    bot = pushed.bot
    output = pushed.output

    assert pushed.exit_code == 0, output
    assert bot.branches() == [BRANCH, "main"]
    answers = git("show", f"{BRANCH}:{ANSWERS_FILE}", cwd=bot.origin)
    assert f"_commit: v{NEWEST}" in answers
    assert git("log", "-1", "--format=%s", BRANCH, cwd=bot.origin) == TITLE
    # A committed uv.lock is locked for the new pyproject.toml, in the same commit.
    assert "uv lock\n" in output
    assert git("show", f"{BRANCH}:uv.lock", cwd=bot.origin) == "# locked\n# locked again"
    if pushed.ci == "github":
        login = output.index("gh auth setup-git")
        assert login < output.index(f"gh pr create --head {BRANCH} --title {TITLE}")
    else:
        assert "OPTION_0=merge_request.create" in output
        assert f"OPTION_1=merge_request.title={TITLE}" in output


@pytest.mark.slow
def test_update_is_pushed_once(pushed: Pushed) -> None:
    """While the branch has the newest version, the job pushes nothing; after a merge, it has none.

    A branch with an older update is replaced, and its request gets the new title.
    """
    bot = pushed.bot
    commit = bot.commit_of(BRANCH)
    _, output = bot.run(PULL=PULL_NUMBER)
    assert f"The branch {BRANCH} already has this version." in output
    assert bot.commit_of(BRANCH) == commit

    bot.move_branch(BRANCH, "main")  # as an older update would have left it
    exit_code, output = bot.run(PULL=PULL_NUMBER)
    assert exit_code == 0, output
    assert bot.commit_of(BRANCH) != bot.commit_of("main")
    if pushed.ci == "github":
        pull = f"repos/owner/project/pulls/{PULL_NUMBER}"
        assert f"gh api --silent --method PATCH {pull} --field title={TITLE}" in output

    bot.move_branch("main", BRANCH)  # as a merge does
    exit_code, output = bot.run(PULL="")
    assert exit_code == 0, output
    assert "The project is up to date." in output


# ---- Permissions ---------------------------------------------------------------------------------


def test_github_workflow_is_least_privileged() -> None:
    """The workflow runs on schedule or by hand, and may write what it writes.

    Only the step that pushes has the token.
    """
    files = render_newest({"ci": "github"})
    workflow = yaml.safe_load(files[".github/workflows/copier-update.yml"])
    triggers = workflow[True]  # in YAML 1.1, `on` means true
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    assert workflow["permissions"] == {}
    job = workflow["jobs"]["update"]
    assert job["permissions"] == {"contents": "write", "pull-requests": "write"}
    with_token = []
    for step in job["steps"]:
        if "TOKEN" in str(step) or "github.token" in str(step):
            with_token.append(step)
    [push] = with_token
    assert push["name"] == "Push it, and open the pull request"
    assert push["env"]["GH_TOKEN"] == "${{ secrets.UPDATE_TOKEN || github.token }}"


def test_gitlab_job_runs_on_schedule_only() -> None:
    """The update job runs only in a schedule that asks for it, and then instead of the checks."""
    files = render_newest({"ci": "gitlab"})
    jobs = yaml.safe_load(files[".gitlab-ci.yml"])
    is_asked_for = '$CI_PIPELINE_SOURCE == "schedule" && $COPIER_UPDATE'
    assert jobs["update"]["rules"] == [{"if": is_asked_for}]
    assert jobs["check"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE != "schedule"'}]


# ---- When there is nothing to do -----------------------------------------------------------------

LOCAL_SOURCES = ["/home/me/template", "~/template", "../template", "template", '"C:\\template"']
LOCAL_SOURCES += ["'C:/template'", "file:///home/me/template"]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_local_template_is_skipped(ci: str, source: Path, tmp_path: Path) -> None:
    """While the project names a template on its owner's machine, the job says so and succeeds."""
    project = EditedProject(source, tmp_path, PREVIOUS, ci=ci)
    bot = Bot(project, ci)
    for place in LOCAL_SOURCES:
        set_source(project.folder, place)
        bot.push(project.folder)

        exit_code, output = bot.run()

        assert exit_code == 0, output
        [line] = output.splitlines()
        assert line.startswith("CI cannot reach the template's local path ")
        assert line.endswith(f": put its URL into _src_path in {ANSWERS_FILE}.")
        assert bot.branches() == ["main"]


@pytest.mark.parametrize("place", [TEMPLATE_URL, "git@host.example:me/it.git", "gh:me/it"])
def test_remote_template_is_tried(place: str, source: Path, tmp_path: Path) -> None:
    """A URL, an address of SSH and a shortcut of Copier are not local paths: Copier gets them."""
    project = EditedProject(source, tmp_path, PREVIOUS)
    bot = Bot(project, "github")
    set_source(project.folder, place)
    bot.push(project.folder)
    write_script(bot.tools / "uvx", "echo called")

    _, output = bot.run()

    assert "called" in output


def test_lock_is_not_added(source: Path, tmp_path: Path) -> None:
    """A project without a committed uv.lock gets none from an update."""
    project = EditedProject(source, tmp_path, PREVIOUS)
    bot = Bot(project, "github")

    exit_code, output = bot.run(PULL="")

    assert exit_code == 0, output
    assert "uv lock" not in output
    assert "uv.lock" not in git("ls-tree", "--name-only", BRANCH, cwd=bot.origin).split()


# ---- What needs a person -------------------------------------------------------------------------


def test_missing_token_is_named(source: Path, tmp_path: Path) -> None:
    """On GitLab, where the owner creates the token, the job names the variable that is not set."""
    bot = Bot(EditedProject(source, tmp_path, PREVIOUS, ci="gitlab"), "gitlab")

    exit_code, output = bot.run(UPDATE_TOKEN="")

    assert exit_code != 0
    assert "UPDATE_TOKEN: must be set, see docs/manual.md" in output
    assert bot.branches() == ["main"]


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_conflict_is_not_pushed(ci: str, source: Path, tmp_path: Path) -> None:
    """If the owner changed a line that the update changes, the job names the file and fails.

    It pushes nothing.
    """
    project = EditedProject(source, tmp_path, PREVIOUS, ci=ci)
    own_line = 'requires-python = ">=3.11.4"'
    Owner(project.folder).change("pyproject.toml", (r'^requires-python = ".*"$', own_line))
    other_source = clone_template(tmp_path / "other_source")
    path = other_source / "template" / "pyproject.toml.jinja"
    replace(path, 'requires-python = ">={{', 'requires-python = ">3,>={{')
    commit_version(other_source, NEWEST)
    replace(project.folder / ANSWERS_FILE, str(source), str(other_source))
    commit_all(project.folder, "Mine")
    bot = Bot(project, ci)

    exit_code, output = bot.run()

    assert exit_code == 1
    assert "pyproject.toml" in output
    assert "You and the template changed the same lines" in output
    assert bot.branches() == ["main"]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_migrations_are_left_to_people(source: Path, tmp_path: Path) -> None:
    """If an update needs trust, the job fails, says how to run it by hand, and pushes nothing."""
    bot = Bot(EditedProject(source, tmp_path, "0.2.0"), "github")

    exit_code, output = bot.run()

    assert exit_code == 1
    assert "uvx copier update --trust" in output
    assert bot.branches() == ["main"]
