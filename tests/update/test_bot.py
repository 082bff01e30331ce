"""The scheduled job that opens a pull request or merge request with an update."""

from pathlib import Path

import pytest
import yaml

from tests.support.owner_edits import Owner
from tests.support.releases import NEWEST, PREVIOUS, clone_template, commit_version, git
from tests.update.bots import BRANCH, Bot
from tests.update.edited_project import ANSWERS_FILE, EditedProject, commit_all, render_version

PULL_NUMBER = "7"
TITLE = f"Update to v{NEWEST} of the template"


# ---- Pushing an update ---------------------------------------------------------------------------


@pytest.fixture
def bot(ci: str, source: Path, tmp_path: Path) -> Bot:
    """The job for a project that its owner has edited, and that can be updated without trust."""
    project = EditedProject(source, tmp_path, PREVIOUS, ci=ci)
    project.edit()
    return Bot(project, ci)


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_update_is_pushed(ci: str, bot: Bot) -> None:
    """The job pushes an update to a branch and opens a request, whose title is the commit's."""
    exit_code, output = bot.run(PULL="")

    assert exit_code == 0, output
    assert bot.branches() == [BRANCH, "main"]
    answers = git("show", f"{BRANCH}:{ANSWERS_FILE}", cwd=bot.origin)
    assert f"_commit: v{NEWEST}" in answers
    assert git("log", "-1", "--format=%s", BRANCH, cwd=bot.origin) == TITLE
    if ci == "github":
        login = output.index("gh auth setup-git")
        assert login < output.index(f"gh pr create --head {BRANCH} --title {TITLE}")
    else:
        assert "OPTION_0=merge_request.create" in output
        assert f"OPTION_1=merge_request.title={TITLE}" in output


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_update_is_pushed_once(ci: str, bot: Bot) -> None:
    """While the branch has the newest version, the job pushes nothing; after a merge, it has none.

    A branch with an older update is replaced, and its request gets the new title.
    """
    bot.run(PULL="")
    pushed = bot.commit_of(BRANCH)
    _, output = bot.run(PULL=PULL_NUMBER)
    assert f"The branch {BRANCH} already has this version." in output
    assert bot.commit_of(BRANCH) == pushed

    bot.move_branch(BRANCH, "main")  # as an older update would have left it
    exit_code, output = bot.run(PULL=PULL_NUMBER)
    assert exit_code == 0, output
    assert bot.commit_of(BRANCH) != bot.commit_of("main")
    if ci == "github":
        pull = f"repos/owner/project/pulls/{PULL_NUMBER}"
        assert f"gh api --silent --method PATCH {pull} --field title={TITLE}" in output

    bot.move_branch("main", BRANCH)  # as a merge does
    exit_code, output = bot.run(PULL="")
    assert exit_code == 0, output
    assert "The project is up to date." in output


# ---- Permissions ---------------------------------------------------------------------------------


def test_github_workflow_is_least_privileged(source: Path, tmp_path: Path) -> None:
    """The workflow runs on schedule or by hand, and may write what it writes.

    Only the step that pushes has the token.
    """
    files = render_version(source, tmp_path / "project", NEWEST, {"ci": "github"})
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


def test_gitlab_job_runs_on_schedule_only(source: Path, tmp_path: Path) -> None:
    """The update job runs only in a schedule that asks for it, and then instead of the checks."""
    files = render_version(source, tmp_path / "project", NEWEST, {"ci": "gitlab"})
    jobs = yaml.safe_load(files[".gitlab-ci.yml"])
    is_asked_for = '$CI_PIPELINE_SOURCE == "schedule" && $COPIER_UPDATE'
    assert jobs["update"]["rules"] == [{"if": is_asked_for}]
    assert jobs["check"]["rules"] == [{"if": "$COPIER_UPDATE == null"}]


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
