"""The update job of a project's CI, run in a clone as CI makes one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.support.releases import git
from tests.update.edited_project import (
    ANSWERS_FILE,
    EditedProject,
    Files,
    commit_all,
    render_newest,
)

BRANCH = "copier-update"
TEMPLATE_URL = "https://host.example/owner/template.git"
TOKEN = "secret"
# What GitHub's runner does with an output of a step, which the next one reads.
PASS_TITLE_ON = 'export title="$(sed -n s/^title=//p $GITHUB_OUTPUT)"\n'


class Bot:
    """The job of the newest version for a project, whose repository is at a host.

    The template is at a URL, which git finds in the folder that the project names. The host's tools
    are replaced: `gh` prints how it was called, and says that the pull request of the branch is
    number PULL; `uv` prints how it was called, and adds a line to `uv.lock`.

    Args:
        project: of which the host has a copy.
        ci: `github` or `gitlab`.
    """

    def __init__(self, project: EditedProject, ci: str) -> None:
        folder = project.folder.parent
        self.origin = folder / "origin"
        self.clone = folder / "clone"
        self.tools = folder / "tools"
        self.template = project.answers()["_src_path"]
        set_source(project.folder, TEMPLATE_URL)
        self.make_origin(project.folder)
        self.make_tools()
        job = render_newest({"ci": ci})
        if ci == "github":
            self.read_github_workflow(job)
        else:
            self.read_gitlab_job(job)

    def make_origin(self, folder: Path) -> None:
        git("clone", "--quiet", "--bare", str(folder), str(self.origin))
        git("config", "receive.advertisePushOptions", "true", cwd=self.origin)
        print_options = "env | grep ^GIT_PUSH_OPTION_ >&2 || true"
        write_script(self.origin / "hooks" / "pre-receive", print_options)

    def make_tools(self) -> None:
        self.tools.mkdir()
        write_script(self.tools / "uvx", f'shift; exec {sys.executable} -m copier "$@"')
        gh = 'echo "gh $*" >&2; [ "$1 $2" != "pr list" ] || echo "$PULL"'
        write_script(self.tools / "gh", gh)
        write_script(self.tools / "uv", 'echo "uv $*" >&2; echo "# locked again" >> uv.lock')

    def read_github_workflow(self, job: Files) -> None:
        workflow = yaml.safe_load(job[".github/workflows/copier-update.yml"])
        steps = workflow["jobs"]["update"]["steps"]
        self.script = PASS_TITLE_ON.join(step["run"] for step in steps if "run" in step)
        self.url = "https://host.example/owner/project"
        self.variables = {
            "GITHUB_SERVER_URL": "https://host.example",
            "GITHUB_REPOSITORY": "owner/project",
            "GITHUB_OUTPUT": str(self.tools / "output"),
        }

    def read_gitlab_job(self, job: Files) -> None:
        [self.script] = yaml.safe_load(job[".gitlab-ci.yml"])["update"]["script"]
        self.url = f"https://oauth2:{TOKEN}@host.example:8/owner/project.git"
        self.variables = {
            "CI_PROJECT_URL": "https://host.example:8/owner/project",
            "UPDATE_TOKEN": TOKEN,
        }

    def run(self, **variables: str) -> tuple[int, str]:
        """Run the job in a new clone; returns its exit code, and all that it prints."""
        shutil.rmtree(self.clone, ignore_errors=True)
        git("clone", "--quiet", "--depth=1", self.origin.as_uri(), str(self.clone))
        git("checkout", "--quiet", "--detach", cwd=self.clone)
        git("config", f"url.{self.origin}.insteadOf", self.url, cwd=self.clone)
        path = f"{self.tools}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-c", self.script],
            cwd=self.clone,
            env={**os.environ, **self.redirection(), **self.variables, **variables, "PATH": path},
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout + done.stderr

    def redirection(self) -> dict[str, str]:
        """Variables that let git, also when Copier runs it, read the folder in place of the URL."""
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{self.template}.insteadOf",
            "GIT_CONFIG_VALUE_0": TEMPLATE_URL,
        }

    def branches(self) -> list[str]:
        """The branches at the host."""
        arguments = ("for-each-ref", "--format=%(refname:short)", "refs/heads")
        return git(*arguments, cwd=self.origin).split()

    def commit_of(self, branch: str) -> str:
        return git("rev-parse", branch, cwd=self.origin)

    def push(self, folder: Path) -> None:
        """Push what is committed in a project to the host."""
        git("push", "--quiet", str(self.origin), "HEAD:main", cwd=folder)

    def move_branch(self, branch: str, commit: str) -> None:
        """Move a branch at the host."""
        git("update-ref", f"refs/heads/{branch}", commit, cwd=self.origin)


def set_source(folder: Path, source: str) -> None:
    """Commit another `_src_path` to a project, as its owner may."""
    path = folder / ANSWERS_FILE
    text = re.sub("^_src_path: .*$", f"_src_path: {source}", path.read_text(), flags=re.MULTILINE)
    path.write_text(text)
    commit_all(folder, "The place of the template")


def write_script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
