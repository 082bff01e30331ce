"""What owners do to their projects, so that updates can be tried on projects that have been lived in."""

import os
import re
import subprocess
import sys
from pathlib import Path

from releases import git

CALLBACK = '''"""The owner's."""

from lightning.pytorch import Callback


class Mine(Callback):
    def on_fit_start(self, trainer, pl_module) -> None:
        print("mine")
'''
# What owners add at the end of a list.
ENDS = {
    ".gitignore": "/mine/\n",
    ".pre-commit-config.yaml": "  - repo: https://example.org/mine\n    hooks: [{id: mine}]\n",
    ".github/workflows/ci.yml": "  mine:\n    runs-on: ubuntu-24.04\n    steps: [{run: echo mine}]\n",
    ".gitlab-ci.yml": "mine:\n  script: [echo mine]\n",
}


class Owner:
    """Edits a project where owners do, by their tools where they have some."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.package = next(path for path in (project / "src").iterdir() if path.is_dir())

    def edit(self) -> None:
        """All of it, in one commit."""
        for step in (self.settings, self.code, self.experiments, self.prose, self.lists, self.delete, self.reformat):
            step()
        git("add", "--all", cwd=self.project)
        git("commit", "--quiet", "--message", "What the owner did", cwd=self.project)

    def change(self, name: str, *changes: tuple[str, str]) -> None:
        path = self.project / name
        for pattern, new in changes:
            text, count = re.subn(pattern, new, path.read_text(), count=1, flags=re.MULTILINE)
            assert count == 1, f"{name} has no {pattern!r} to edit"
            path.write_text(text)

    def settings(self) -> None:
        """A package in each place that `uv add` has for one; a command, a version, settings of tools."""
        for options in ("tomli-w>=1", "--dev codespell", "--optional=plots matplotlib", "--group=docs mkdocs"):
            command = ["uv", "add", "--quiet", "--frozen", *options.split()]  # which nothing but the file is changed by
            environment = {name: value for name, value in os.environ.items() if name != "UV_NO_SOURCES"}
            subprocess.run(command, cwd=self.project, env=environment, check=True)
        self.change(
            "pyproject.toml",
            (r'^version = ".*"$', 'version = "0.7.1"'),
            (r"^(# Yours: keywords.*)$", r'\1\nkeywords = ["mine"]'),
            (r"^(# Yours: other commands\.)$", rf'\1\nmy-report = "{self.package.name}.report:main"'),
            (r"^line-length = 120$", "line-length = 96"),
            (r"^(  # Yours: other rules\.)$", r'\1\n  "PLE",'),
            (r"^(  # Yours: what to pass over\.)$", r'\1\n  "E501",'),
            (r"^(  # Yours: other warnings\.)$", r'\1\n  "ignore:.*mine",'),
            (r"^(# Yours: the tables of other tools\.)$", r'\1\n\n[tool.codespell]\nskip = "data"'),
        )

    def code(self) -> None:
        """The network, the data; a callback, a module and a test of one's own."""
        for name, method in (("model", "forward"), ("data", "train_dataloader")):
            mine = (rf"^(    def {method}\()", r"    mine = 1  # the owner's\n\n\1")
            self.change(f"src/{self.package.name}/{name}.py", mine)
        (self.package / "callbacks.py").write_text(CALLBACK)
        (self.package / "report.py").write_text('def main() -> None:\n    print("mine")\n')
        (self.project / "tests" / "test_mine.py").write_text("def test_mine() -> None:\n    assert True\n")

    def experiments(self) -> None:
        """Another base, and an experiment on it with a callback."""
        self.change("configs/base.yaml", (r"^seed_everything: 42$", "seed_everything: 7 # the owner's"))
        (self.project / "configs" / "experiment" / "mine.yaml").write_text(
            f"trainer:\n  callbacks+:\n    - class_path: {self.package.name}.callbacks.Mine\n"
        )

    def prose(self) -> None:
        """Another first paragraph, and a section of one's own in the place of one that was there."""
        other = (r"^## When something is wrong$", "## My results")
        self.change("README.md", (r"^# .*$", r"# Mine\n\nWhat I do."), other)

    def lists(self) -> None:
        """A job in CI, a hook, a file that git leaves alone, a package in the image."""
        for name, text in ENDS.items():
            if (self.project / name).exists():
                self.change(name, (r"\Z", text))
        if (self.project / "Dockerfile").exists():
            self.change("Dockerfile", (r"--no-install-recommends g\+\+ ", "--no-install-recommends g++ git "))

    def delete(self) -> None:
        """The examples, and a preset that nobody used."""
        for path in self.project.glob("configs/experiment/*.yaml"):
            if path.name != "mine.yaml":
                path.unlink()
        (self.project / "configs/preset/profile.yaml").unlink()

    def reformat(self) -> None:
        """All code, to the narrower line."""
        subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet"], cwd=self.project, check=True)
