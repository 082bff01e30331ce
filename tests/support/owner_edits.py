"""What owners do to their projects, so that updates are tested on projects that have been used."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.releases import git

CALLBACK = '''"""A callback of the owner."""

from lightning.pytorch import Callback


class Mine(Callback):
    def on_fit_start(self, trainer, pl_module) -> None:
        print("mine")
'''
REPORT = """def main() -> None:
    print("mine")
"""
TEST = """def test_mine() -> None:
    assert True
"""
EXPERIMENT = """trainer:
  callbacks+:
    - class_path: {package}.callbacks.Mine
"""
# What owners append to a file.
APPENDED = {
    ".gitignore": "/mine/\n",
    ".pre-commit-config.yaml": "  - repo: https://example.org/mine\n    hooks: [{id: mine}]\n",
    ".github/workflows/ci.yml": (
        "  mine:\n    runs-on: ubuntu-24.04\n    steps: [{run: echo mine}]\n"
    ),
    ".gitlab-ci.yml": "mine:\n  script: [echo mine]\n",
}
# The options of `uv add` for each place where it can put a package.
PACKAGES = ("tomli-w>=1", "--dev codespell", "--optional=plots matplotlib", "--group=docs mkdocs")


class Owner:
    """Edits a project where owners do, with the tools that they use."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.package = next(path for path in (project / "src").iterdir() if path.is_dir())

    def edit(self) -> None:
        """Make all edits, in one commit."""
        self.add_packages()
        self.change_settings()
        self.change_code()
        self.change_experiments()
        self.change_prose()
        self.append_to_lists()
        self.delete_files()
        self.reformat()
        git("add", "--all", cwd=self.project)
        git("commit", "--quiet", "--message", "The owner's edits", cwd=self.project)

    def change(self, name: str, *replacements: tuple[str, str]) -> None:
        """Replace the first match of each pattern in a file."""
        path = self.project / name
        for pattern, new in replacements:
            text, count = re.subn(pattern, new, path.read_text(), count=1, flags=re.MULTILINE)
            assert count == 1, f"{name} has no {pattern!r} to edit"
            path.write_text(text)

    def add_packages(self) -> None:
        variables = {name: value for name, value in os.environ.items() if name != "UV_NO_SOURCES"}
        for options in PACKAGES:
            # With --frozen, uv changes pyproject.toml only.
            command = ["uv", "add", "--quiet", "--frozen", *options.split()]
            subprocess.run(command, cwd=self.project, env=variables, check=True)

    def change_settings(self) -> None:
        """A version, keywords, a command, and settings of tools in pyproject.toml."""
        command = f'my-report = "{self.package.name}.report:main"'
        self.change(
            "pyproject.toml",
            (r'^version = ".*"$', 'version = "0.7.1"'),
            (r"^(# Yours: keywords.*)$", r'\1\nkeywords = ["mine"]'),
            (r"^(# Yours: other commands\.)$", rf"\1\n{command}"),
            (r"^line-length = \d+$", "line-length = 96"),
            (r"^(  # Yours: other rules\.)$", r'\1\n  "PLE",'),
            (r"^(  # Yours: what to pass over\.)$", r'\1\n  "E501",'),
            (r"^(  # Yours: other warnings\.)$", r'\1\n  "ignore:.*mine",'),
            (r"^(# Yours: the tables of other tools\.)$", r'\1\n\n[tool.codespell]\nskip = "data"'),
        )

    def change_code(self) -> None:
        """The model and the data; a callback, a module and a test."""
        attribute = r"    mine = 1  # the owner's\n\n\1"
        package = f"src/{self.package.name}"
        self.change(f"{package}/model.py", (r"^(    def forward\()", attribute))
        self.change(f"{package}/data.py", (r"^(    def train_dataloader\()", attribute))
        (self.package / "callbacks.py").write_text(CALLBACK)
        (self.package / "report.py").write_text(REPORT)
        (self.project / "tests" / "test_mine.py").write_text(TEST)

    def change_experiments(self) -> None:
        """Another seed, and an experiment with a callback."""
        seed = "seed_everything: 7 # the owner's"
        self.change("configs/base.yaml", (r"^seed_everything: 42$", seed))
        experiment = self.project / "configs" / "experiment" / "mine.yaml"
        experiment.write_text(EXPERIMENT.format(package=self.package.name))

    def change_prose(self) -> None:
        """Another first paragraph of README.md, and another section."""
        self.change(
            "README.md",
            (r"^# .*$", r"# Mine\n\nWhat I do."),
            (r"^## When something is wrong$", "## My results"),
        )

    def append_to_lists(self) -> None:
        """A job in CI, a hook, an ignored file, a package in the container."""
        for name, text in APPENDED.items():
            if (self.project / name).exists():
                self.change(name, (r"\Z", text))
        if (self.project / "Dockerfile").exists():
            option = r"--no-install-recommends g\+\+ "
            self.change("Dockerfile", (option, "--no-install-recommends g++ git "))

    def delete_files(self) -> None:
        """The examples, and a preset."""
        for path in self.project.glob("configs/experiment/*.yaml"):
            if path.name != "mine.yaml":
                path.unlink()
        (self.project / "configs/preset/profile.yaml").unlink()

    def reformat(self) -> None:
        """All code, to the owner's shorter lines."""
        command = [sys.executable, "-m", "ruff", "format", "--quiet"]
        subprocess.run(command, cwd=self.project, check=True)
