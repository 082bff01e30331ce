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
import forks
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
SHORT = [
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=2",
    "--trainer.limit_val_batches=1",
]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template, with a tag for each release and one for the working tree."""
    return clone(tmp_path_factory.mktemp("source") / "template")


class Update:
    """A project of one release: as it was rendered, as its owner made it, and as an update leaves it.

    `check` is what every update is held to: no conflict; what is the owner's as it was, but for
    migrations; what was deleted still gone; and a managed file is what is rendered anew, with the
    owner's lines and no others put in.
    """

    def __init__(self, source: Path, folder: Path, version: str, **answers: Any) -> None:
        self.source, self.project, self.version = source, folder / "project", version
        self.render(self.project, version if version == "HEAD" else f"v{version}", answers)
        self.rendered = read(self.project)
        git("init", "--quiet", "--initial-branch=main", cwd=self.project)
        for name, value in (("user.name", "Owner"), ("user.email", "owner@example.org")):
            git("config", name, value, cwd=self.project)
        git("add", "--all", cwd=self.project)
        git("commit", "--quiet", "--message", "What the template rendered", cwd=self.project)

    def render(self, folder: Path, version: str, answers: dict[str, Any]) -> dict[str, str]:
        copier.run_copy(
            str(self.source), folder, answers, vcs_ref=version, defaults=True, quiet=True
        )
        return read(folder)

    def edit(self) -> None:
        Owner(self.project).edit()
        self.edited = read(self.project)

    def update(self, trust: bool = False, **answers: Any) -> None:
        """To the newest version; it is committed when it is what it should be."""
        copier.run_update(
            self.project, answers, defaults=True, overwrite=True, quiet=True, unsafe=trust
        )
        recorded = yaml.safe_load((self.project / ".copier-answers.yml").read_text())
        known = {
            name: value for name, value in recorded.items() if name not in ("_src_path", "_commit")
        }
        fresh = self.render(self.project.parent / "fresh", f"v{NEWEST}", known)
        shutil.rmtree(self.project.parent / "fresh")
        self.check(fresh, read(self.project))
        git("add", "--all", cwd=self.project)
        git(
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "The newest template",
            cwd=self.project,
        )

    def check(self, fresh: dict[str, str], updated: dict[str, str]) -> None:
        assert not git("ls-files", "--unmerged", cwd=self.project)
        assert not [name for name in updated if name.endswith((".rej", ".orig"))]
        for name in {*self.edited, *fresh, *updated} - {".copier-answers.yml"}:
            was, edited, now, new = (
                texts.get(name) for texts in (self.rendered, self.edited, updated, fresh)
            )
            if is_yours(name) or (was is None and new is None):
                assert now == self.migrated(edited), f"{name} is its owner's, and was touched"
            elif was is not None and edited is None:
                assert now is None, f"{name} was deleted, and is back"
            elif new is None:
                assert now is None, f"{name} is no longer rendered, and is still there"
            else:  # the owner's lines and no others are between what is here and what is rendered anew
                assert now is not None, f"{name} is missing"
                mine = added(was or "", edited or ""), added(edited or "", was or "")
                assert (added(new, now), added(now, new)) == mine, (
                    f"{name} lost a line or has one too many"
                )
                lines = iter(now.splitlines())
                kept = all(line in lines for line in new.splitlines() if line not in mine[1])
                assert kept, f"{name} has its lines in another order"

    def migrated(self, text: str | None) -> str | None:
        for old, new in (
            (old, new) for v in crossed(self.version) for old, new in MIGRATED[v].items()
        ):
            text = text and text.replace(old, new)
        return text

    def tree(self) -> str:
        """Equal for projects that run alike: a hash of all files but prose."""
        files = {
            name: text for name, text in read(self.project).items() if not name.endswith(".md")
        }
        return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()


def read(folder: Path) -> dict[str, str]:
    """The text of each file, but for git's."""
    files = (
        path
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    )
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: path.read_text()
        for name, path in names.items()
        if not re.match(r"runs/|\..*_cache/|.*__pycache__", name)
    }


def added(old: str, new: str) -> Counter[str]:
    return Counter(new.splitlines()) - Counter(old.splitlines())


def crossed(version: str) -> list[str]:
    """The versions whose migrations an update from a release runs."""
    return [new for new in MIGRATED if version != "HEAD" and Version(new) > Version(version)]


def tasks(version: str) -> list[str]:
    """The tasks that a release offers."""
    choices = yaml.safe_load(git("show", f"{releases()[version]}:copier.yml"))["task"]["choices"]
    return list(choices.values())


def assert_tidy(project: Path) -> None:
    """The project passes its own linter and formatter."""
    for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def lives(project: Path, task: str) -> None:
    """The project's own tests pass, and it trains with its owner's experiment."""
    environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(project / "src")}
    done = forks.fork(project, forks.own_tests, environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    fit = Project(project).fork(
        "fit", "--run", "short", "-c", "experiment/mine", *small(project, task), *SHORT
    )
    assert fit.returncode == 0, fit.stderr
    assert "mine" in fit.stdout


def small(project: Path, task: str) -> list[str]:
    """The dials that the project's own model and data have: a later release may have more."""
    [package] = {path.parent for path in project.glob("src/*/model.py")}
    own = (package / "model.py").read_text() + (package / "data.py").read_text()
    return [dial for dial in SMALL[task] if re.search(rf"\b{re.split('[.=]', dial)[1]}\b", own)]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_every_release_updates(task: str, source: Path, tmp_path: Path) -> None:
    """From each release that has the task: no conflict, no lost edit, nothing back, and a project that lives.

    Projects that are byte for byte the same after it, but for prose, are tried once. A task that no
    release has is updated from what it is now.
    """
    trees = set()
    for version in [version for version in releases() if task in tasks(version)] or ["HEAD"]:
        update = Update(source, tmp_path / version, version, task=task)
        update.edit()
        update.update(trust=True)
        assert_tidy(update.project)
        if (tree := update.tree()) not in trees:
            lives(update.project, task)
        trees.add(tree)
    assert trees


# ---- Changed answers ------------------------------------------------------------------------------

CHANGED: dict[str, dict[str, Any]] = {
    "accelerator": {"accelerator": "cpu"},
    "ddp": {"strategy": "ddp"},
    "fsdp2": {"strategy": "fsdp2"},
    "precision": {"precision": "bf16-mixed"},
    "gpu": {"accelerator": "gpu", "strategy": "deepspeed_stage_2", "precision": "16-mixed"},
    "logger": {"logger": ["csv", "wandb", "mlflow"]},
    "gitlab": {"ci": "gitlab"},
    "no-ci": {"ci": "none"},
    "container": {"container": "none"},
    "license": {"license": "Apache-2.0"},
    "author": {"author_name": "Ada Lovelace", "author_email": "ada@example.org"},
    "project_name": {"project_name": "Another Name"},
    "description": {"description": "What it does now"},
    "python": {"python_version": "3.12"},
    "devices": {"devices": "1"},
    "nodes": {"num_nodes": 2},
}
NEEDS_MORE = ("gpu", "nodes")  # than this machine has
TOGETHER = (
    "accelerator",
    "fsdp2",
    "precision",
    "logger",
    "gitlab",
    "container",
    "license",
    "author",
    "python",
)


def test_every_answer_is_changed(questions: dict[str, Any]) -> None:
    """Each question has an answer that the tests below change, but for those that stay for good."""
    changed = {name for answers in CHANGED.values() for name in answers}
    assert changed == {name for name, q in questions.items() if "help" in q} - {
        "task",
        "package_name",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_changed_answers(name: str, source: Path, tmp_path: Path) -> None:
    """An answer that an update changes changes managed files alone, and leaves a project that trains.

    Releases and tasks take turns.
    """
    turn = list(CHANGED).index(name)
    version = list(releases())[turn % len(releases())]
    task = tasks(version)[turn % len(tasks(version))]
    update = Update(
        source, tmp_path, version, task=task, package_name=f"changed_{name.replace('-', '_')}"
    )
    update.edit()
    update.update(trust=True, **CHANGED[name])
    answers = yaml.safe_load((update.project / ".copier-answers.yml").read_text())
    assert {key: answers[key] for key in CHANGED[name]} == CHANGED[name]
    if name not in NEEDS_MORE:
        dials = [*small(update.project, task), *SHORT, "--trainer.devices=1"]
        assert (
            Project(update.project).run("fit", "--run", "short", "-c", "experiment/mine", *dials)
            is None
        )
        assert (update.project / "runs" / "short" / "fit.json").exists()


@pytest.mark.slow
def test_many_answers_are_changed(source: Path, tmp_path: Path) -> None:
    """All that this machine can run at once: the project's own tests pass as well."""
    update = Update(source, tmp_path, list(releases())[-1], task="tabular")
    update.edit()
    update.update(**{key: value for name in TOGETHER for key, value in CHANGED[name].items()})
    assert_tidy(update.project)
    lives(update.project, "tabular")


@pytest.mark.slow
def test_what_should_follow_is_named(source: Path, tmp_path: Path) -> None:
    """The message after an update names what of the owner's should follow a changed answer, and nothing else."""
    update = Update(source, tmp_path, list(releases())[-1])
    said = copier_says("update", "--defaults", "-d", "precision=bf16-mixed", cwd=update.project)[1]
    assert f"My Project is at v{NEWEST} of the template." in said
    assert "release tags" not in said
    assert "README.md" not in said
    assert "deleted" not in said
    git("add", "--all", cwd=update.project)
    git("commit", "--quiet", "--message", "Update", cwd=update.project)
    said = copier_says(
        "update", "--defaults", "-d", "project_name=Another", "-d", "ci=none", cwd=update.project
    )[1]
    assert "README.md is yours, and still has the name" in said
    assert "it is deleted, with your lines in it" in said


# ---- Twice, and what is refused -------------------------------------------------------------------


def copier_says(*args: str, cwd: Path) -> tuple[int, str]:
    """Copier's exit code, and what it prints, from the command line."""
    done = subprocess.run(
        [sys.executable, "-m", "copier", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_twice_is_once(source: Path, tmp_path: Path) -> None:
    """A second update changes nothing, with an answer changed or without."""
    update = Update(source, tmp_path, list(releases())[-1])
    update.edit()
    for answers in ({}, {"strategy": "ddp"}):
        update.update(**answers)
        once = read(update.project)
        update.update(**answers)
        assert read(update.project) == once


@pytest.mark.slow
def test_trust_is_for_migrations_alone(source: Path, tmp_path: Path) -> None:
    """An update asks for trust where it crosses a migration, naming it, and nowhere else; nothing has changed then."""
    for version in releases():
        update = Update(source, tmp_path / version, version)
        code, said = copier_says("update", "--defaults", cwd=update.project)
        if crossed(version):
            assert code == 4, said
            assert "migrations" in said
            assert "--trust" in said
            assert read(update.project) == update.rendered
            code, said = copier_says("update", "--defaults", "--trust", cwd=update.project)
            assert "harness.loading is harness.loaders now" in said
            assert "had changes of yours" not in said
        assert code == 0, said
    assert crossed("0.1.0")
    assert not crossed(list(releases())[-1])


REFUSED = {
    "unknown": (["-d", "stategy=ddp"], "there is no question stategy: answer any of"),
    "value": (["-d", "strategy=dpd"], "strategy"),
    "rule": (
        ["-d", "accelerator=mps", "-d", "strategy=ddp"],
        "does not run on mps: answer strategy=auto",
    ),
    "task": (["-d", "task=tabular"], "this project is image_classification in my_project"),
    "package": (
        ["-d", "package_name=other"],
        "for image_classification in other make another project",
    ),
    "downgrade": (["--vcs-ref", "v0.1.0"], "Downgrades are not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_updates(name: str, source: Path, tmp_path: Path) -> None:
    """An update that cannot be is refused by its reason, and leaves the project as it was."""
    update = Update(source, tmp_path, list(releases())[-1])
    options, reason = REFUSED[name]
    code, said = copier_says("update", "--defaults", *options, cwd=update.project)
    assert code != 0
    assert reason in " ".join(
        said.splitlines()[-1].split() if name != "downgrade" else said.split()
    )
    assert read(update.project) == update.rendered
    assert not git("status", "--porcelain", cwd=update.project)


def test_dirty_and_untracked_projects_are_refused(source: Path, tmp_path: Path) -> None:
    """An update wants a project that git has whole: it says so, of one that has changes and of one without git."""
    update = Update(source, tmp_path, list(releases())[-1])
    (update.project / "README.md").write_text("Mine")
    code, said = copier_says("update", "--defaults", cwd=update.project)
    assert (code, "Destination repository is dirty" in said) == (1, True)
    shutil.rmtree(update.project / ".git")
    code, said = copier_says("update", "--defaults", cwd=update.project)
    assert (code, "only supported in git-tracked subprojects" in said) == (1, True)


@pytest.mark.slow
def test_check_update(source: Path, tmp_path: Path) -> None:
    """`copier check-update` says that there is a newer version, until there is none."""
    update = Update(source, tmp_path, list(releases())[-1])
    assert NEWEST in copier_says("check-update", cwd=update.project)[1]
    assert copier_says("check-update", "--quiet", cwd=update.project)[0] == 2
    copier.run_update(update.project, defaults=True, overwrite=True, quiet=True)
    assert copier_says("check-update", "--quiet", cwd=update.project)[0] == 0


@pytest.mark.slow
def test_a_template_without_tags_says_so(source: Path, tmp_path: Path) -> None:
    """From a copy of the template without its tags no migration is known: the update says so, and what to do."""
    untagged = tmp_path / "untagged"
    git("clone", "--quiet", str(source), str(untagged))
    git("tag", "--delete", *git("tag", cwd=untagged).split(), cwd=untagged)
    git("checkout", "--quiet", releases()["0.2.0"], cwd=untagged)
    update = Update(untagged, tmp_path, "HEAD")
    git("checkout", "--quiet", git("rev-parse", f"v{NEWEST}", cwd=source), cwd=untagged)
    said = copier_says("update", "--defaults", "--vcs-ref=HEAD", cwd=update.project)[1]
    assert "no release tags" in said
    assert "run `make tags` in the copy, and update again" in said


# ---- Drift, and the update bot ----------------------------------------------------------------------


def test_drift_lists_what_was_changed(source: Path, tmp_path: Path) -> None:
    """`drift` lists managed files that the owner changed or deleted, not what is yours, nor lines in their place."""
    update = Update(source, tmp_path, NEWEST)
    project = Project(update.project)

    def drift() -> tuple[int, list[str]]:
        said = project.process("drift")
        *listed, last = said.stdout.splitlines()
        assert re.fullmatch(
            rf"{len(listed)} of \d+ managed files differ from v{NEWEST} of the template", last
        )
        return said.returncode, listed

    assert drift() == (0, [])
    update.edit()
    (update.project / f"src/{project.package}/__init__.py").write_text('"""Mine."""\n')
    assert drift() == (3, ["Dockerfile +1 -1", "configs/preset/profile.yaml is gone"])
    owner = Owner(update.project)
    owner.change("configs/trainer.yaml", (r"^  logger:$", "  # mine\n  logger:"))
    owner.change(
        "pyproject.toml", (r'^  "copier.*$', r'  "mine",\n\g<0>')
    )  # above the template's last line
    changed = ["configs/trainer.yaml +1 -0", "pyproject.toml +1 -0"]
    assert drift() == (3, ["Dockerfile +1 -1", "configs/preset/profile.yaml is gone", *changed])
    owner.change("pyproject.toml", (r"^force-exclude.*\n", ""))
    assert drift()[1][-1] == "pyproject.toml +1 -1"


def test_drift_outside_of_a_project(source: Path, tmp_path: Path) -> None:
    """Where there are no answers, `drift` says in one line what it looked for."""
    project = Project(Update(source, tmp_path, NEWEST).project)
    (project.folder / ".copier-answers.yml").unlink()
    said = project.process("drift")
    assert said.returncode == 1
    assert len(said.stderr.splitlines()) == 1
    assert ".copier-answers.yml" in said.stderr


class Bot:
    """A project's repository at a host, and the newest template's update job for it, in a clone as CI makes one."""

    def __init__(self, update: Update, ci: str) -> None:
        self.origin, self.clone, self.tools = (
            update.project.parent / name for name in ("origin", "clone", "tools")
        )
        job = update.render(update.project.parent / "job", f"v{NEWEST}", {"ci": ci})
        git("clone", "--quiet", "--bare", str(update.project), str(self.origin))
        git("config", "receive.advertisePushOptions", "true", cwd=self.origin)
        hook = self.origin / "hooks" / "pre-receive"
        self.tools.mkdir()
        for tool, text in (
            (self.tools / "uvx", f'shift; exec {sys.executable} -m copier "$@"'),
            (self.tools / "gh", 'echo "gh $*" >&2; [ "$1 $2" != "pr list" ] || echo "$PULL"'),
            (hook, "env | grep ^GIT_PUSH_OPTION_ >&2 || true"),
        ):
            tool.write_text(f"#!/bin/sh\n{text}\n")
            tool.chmod(0o755)
        if ci == "github":
            steps = yaml.safe_load(job[".github/workflows/copier-update.yml"])["jobs"]["update"][
                "steps"
            ]
            output = 'export title="$(sed -n s/^title=//p $GITHUB_OUTPUT)"\n'  # of one step, for the next
            self.script = output.join(step["run"] for step in steps if "run" in step)
            self.variables = {
                "GITHUB_SERVER_URL": "https://host.example",
                "GITHUB_REPOSITORY": "owner/project",
            }
            self.variables["GITHUB_OUTPUT"] = str(self.tools / "output")
            self.host = "https://host.example/owner/project"
        else:
            [self.script] = yaml.safe_load(job[".gitlab-ci.yml"])["update"]["script"]
            self.variables = {
                "UPDATE_TOKEN": "secret",
                "CI_PROJECT_URL": "https://host.example:8/owner/project",
            }
            self.host = "https://oauth2:secret@host.example:8/owner/project.git"

    def run(self, **variables: str) -> tuple[int, str]:
        shutil.rmtree(self.clone, ignore_errors=True)
        git("clone", "--quiet", "--depth=1", self.origin.as_uri(), str(self.clone))
        git("checkout", "--quiet", "--detach", cwd=self.clone)
        git("config", f"url.{self.origin}.insteadOf", self.host, cwd=self.clone)
        done = subprocess.run(
            ["bash", "-e", "-c", self.script],
            cwd=self.clone,
            env=os.environ
            | self.variables
            | variables
            | {"PATH": f"{self.tools}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout + done.stderr

    def branches(self) -> list[str]:
        return git(
            "for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=self.origin
        ).split()


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_bot(ci: str, source: Path, tmp_path: Path) -> None:
    """The scheduled job pushes an update to a branch and opens a request, once; without an update it says so."""
    update = Update(source, tmp_path, list(releases())[-1], ci=ci)
    update.edit()
    bot = Bot(update, ci)
    code, said = bot.run(PULL="")
    assert code == 0, said
    assert bot.branches() == ["copier-update", "main"]
    assert f"_commit: v{NEWEST}" in git("show", "copier-update:.copier-answers.yml", cwd=bot.origin)
    title = f"Update to v{NEWEST} of the template"
    assert git("log", "-1", "--format=%s", "copier-update", cwd=bot.origin) == title
    if ci == "github":
        assert said.index("gh auth setup-git") < said.index(
            f"gh pr create --head copier-update --title {title}"
        )
    else:
        assert "OPTION_0=merge_request.create" in said
        assert f"OPTION_1=merge_request.title={title}" in said
    pushed = git("rev-parse", "copier-update", cwd=bot.origin)
    assert "The branch copier-update has this version already." in bot.run(PULL="7")[1]
    assert git("rev-parse", "copier-update", cwd=bot.origin) == pushed
    git(
        "update-ref", "refs/heads/copier-update", "main", cwd=bot.origin
    )  # as an older update would have left it
    code, said = bot.run(PULL="7")
    assert code == 0
    assert ci == "gitlab" or "gh api --silent --method PATCH repos/owner/project/pulls/7" in said
    git("update-ref", "refs/heads/main", "copier-update", cwd=bot.origin)  # it is merged
    code, said = bot.run(PULL="")
    assert (code, "This is the newest version." in said) == (0, True)


def test_bot_is_least_privileged(source: Path, tmp_path: Path) -> None:
    """It runs on a schedule or by hand alone, may write what it writes, and has its token where it pushes alone."""
    for ci in ("github", "gitlab"):
        copier.run_copy(
            str(source), tmp_path / ci, {"ci": ci}, vcs_ref=f"v{NEWEST}", defaults=True, quiet=True
        )
    workflow = yaml.safe_load((tmp_path / "github/.github/workflows/copier-update.yml").read_text())
    assert set(workflow[True]) == {"schedule", "workflow_dispatch"}  # YAML 1.1 reads `on` so
    assert workflow["permissions"] == {}
    job = workflow["jobs"]["update"]
    assert job["permissions"] == {"contents": "write", "pull-requests": "write"}
    holders = [step for step in job["steps"] if "TOKEN" in str(step) or "github.token" in str(step)]
    assert [step["name"] for step in holders] == ["Push it, and open the pull request"]
    assert holders[0]["env"]["GH_TOKEN"] == "${{ secrets.UPDATE_TOKEN || github.token }}"
    gitlab = yaml.safe_load((tmp_path / "gitlab/.gitlab-ci.yml").read_text())
    assert gitlab["update"]["rules"] == [
        {"if": '$CI_PIPELINE_SOURCE == "schedule" && $COPIER_UPDATE'}
    ]
    assert gitlab["check"]["rules"] == [{"if": "$COPIER_UPDATE == null"}]


def test_bot_without_its_token(source: Path, tmp_path: Path) -> None:
    """On GitLab, where the token is a variable of the owner's, the job says that it lacks it."""
    bot = Bot(Update(source, tmp_path, list(releases())[-1], ci="gitlab"), "gitlab")
    code, said = bot.run(UPDATE_TOKEN="")
    assert code != 0
    assert "UPDATE_TOKEN: is the variable that docs/manual.md asks for" in said


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_bot_fails_on_a_conflict(ci: str, source: Path, tmp_path: Path) -> None:
    """Where the owner changed a line that the update changes, the job names it, fails, and pushes nothing."""
    update = Update(source, tmp_path, list(releases())[-1], ci=ci)
    Owner(update.project).change(
        "pyproject.toml", (r'^requires-python = ".*"$', 'requires-python = ">=3.11.4"')
    )
    git("commit", "--quiet", "--all", "--message", "Mine", cwd=update.project)
    later = clone(tmp_path / "later")
    path = later / "template" / "pyproject.toml.jinja"
    path.write_text(
        path.read_text().replace('requires-python = ">={{', 'requires-python = ">3,>={{')
    )
    git(
        "-c",
        "user.name=N",
        "-c",
        "user.email=n@e",
        "commit",
        "--quiet",
        "--all",
        "--message",
        "Later",
        cwd=later,
    )
    git("tag", "--force", f"v{NEWEST}", cwd=later)
    path = update.project / ".copier-answers.yml"
    path.write_text(path.read_text().replace(str(source), str(later)))
    git("commit", "--quiet", "--all", "--message", "Another source", cwd=update.project)
    bot = Bot(update, ci)
    code, said = bot.run()
    assert code == 1
    assert "pyproject.toml" in said
    assert "The template and you changed the same lines" in said
    assert bot.branches() == ["main"]


def test_bot_leaves_migrations_to_people(source: Path, tmp_path: Path) -> None:
    """Where an update wants trust, the job fails, says how to run it by hand, and pushes nothing."""
    bot = Bot(Update(source, tmp_path, "0.2.0"), "github")
    code, said = bot.run()
    assert code == 1
    assert "uvx copier update --trust" in said
    assert bot.branches() == ["main"]
