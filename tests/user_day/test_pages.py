"""What the pages say is true: their commands parse, and their names and figures are right."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.files import list_files
from tests.support.projects import Project
from tests.support.template import ANSWERABLE, ROOT, TASKS, choices
from tools.density import Density, measure_files

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = [README, CONTRIBUTING, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
ASKED = ("task", "accelerator", "strategy", "precision", "logger", "ci")
UNLISTED_ANSWERS = ("line_length",)  # set by the template, by the release a project comes from
EXPERIMENT_HEADINGS = ("What:", "Command:", "Cost:", "Expect:", "Source:")
EXPERIMENT_SECTIONS = {
    "model",
    "data",
    "trainer",
    "checkpoint",
    "early_stopping",
    "seed_everything",
}
PROJECT_COMMANDS = "fit|validate|test|predict"
MIN_COMMANDS = 5
ROWS_OF_SCOREBOARD = 3
# Exit codes of a command that only prints its configuration.
PRINTED = ("0", "None")


# How far a rounded figure may be from what is counted.
ROUNDING = 0.05


def figure(pattern: str) -> str:
    """The number that README.md states, without its thousands separator."""
    found = re.search(pattern, README, re.DOTALL)
    assert found, f"README.md does not state {pattern}"
    return found[1].replace(",", "")


def package_density(project: Path) -> Density:
    return measure_files(sorted((project / "src").rglob("*.py")))


# ---- The template's pages ------------------------------------------------------------------------


def test_questions_are_in_the_readme() -> None:
    """Each question is in README.md, with all of its choices and no others."""
    for name in ANSWERABLE:
        if name not in UNLISTED_ANSWERS:
            assert f"`{name}`" in README, name
    for name in ASKED:
        [row] = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
        listed = re.findall("`([^`]+)`", row.split("|")[2])
        assert set(listed) == set(choices(name))


def test_make_targets_exist() -> None:
    """Each `make` target that a page names exists, and CI runs the one that runs everything."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall("^([a-z]+):", makefile, re.MULTILINE))
    named = set()
    for page in PAGES:
        named.update(re.findall("`make ([a-z]+)`", page))
        named.update(re.findall("^make ([a-z]+)", page, re.MULTILINE))
    assert {"check", "test", "demo", "gpu", "scoreboard"} <= named
    assert named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_first_commands_come_first() -> None:
    """Directly under the first paragraph: clone, `make demo`, `make test`; then `copier copy`."""
    first, second = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)[:2]
    assert README.index("```") < README.index("\n## ")
    programs = [line.split("#")[0].strip() for line in first.splitlines()]
    assert programs == [
        "git clone URL copier-lightning",
        "cd copier-lightning",
        "make demo",
        "make test",
    ]
    assert second.startswith("uvx copier copy ")


def tree_paths() -> Iterator[str]:
    """The files and folders in the tree that README.md shows, relative to the project."""
    tree = re.search(r"```\n(configs/trainer.*?)```", README, re.DOTALL)
    assert tree
    package = ""
    for line in tree[1].splitlines():
        first = line.split()[0]
        if first.startswith("src/"):
            package = first
        if line.startswith("pyproject"):
            yield from line.split()
        elif line.startswith("  "):
            yield package + first
        else:
            yield first


def test_tree_is_what_is_rendered(render: Callable[..., Path], tmp_path: Path) -> None:
    """The files of the tree are rendered, and the presets are the ones it lists."""
    project = render(tmp_path / "project")
    for path in tree_paths():
        assert (project / path).exists(), path
    listed = re.search("configs/preset/ +managed +(.*)", README)
    assert listed
    presets = {path.stem for path in (project / "configs" / "preset").glob("*.yaml")}
    assert set(listed[1].split(", ")) == presets


def test_figures_of_the_default_project(render: Callable[..., Path], tmp_path: Path) -> None:
    """The numbers of files and lines, and the density in the comparison, are nearly those counted.

    README.md rounds them, so that not every change of the harness changes it.
    """
    project = render(tmp_path / "project")
    package = package_density(project)
    owned = measure_files(sorted(project.glob("src/*/*.py")))
    counted = {
        r"about (\d+) files": len(list_files(project)),
        r"You own about ([\d,]+) lines": owned.code_lines,
        r"about\s+([\d,]+)\s+lines\s+are\s+managed": package.code_lines - owned.code_lines,
        r"\| lines of code \| ([\d,]+) \|": package.code_lines,
        r"\| AST nodes \| ([\d,]+) \|": package.nodes,
        r"\| AST nodes per line \| ([\d.]+) \|": package.nodes_per_line,
    }
    stated = {pattern: float(figure(pattern)) for pattern in counted}
    assert stated == pytest.approx(counted, rel=ROUNDING)


def test_readme_shows_rows_of_the_scoreboard() -> None:
    """README.md has three rows of docs/scoreboard.md, word for word."""
    scoreboard = (ROOT / "docs" / "scoreboard.md").read_text().splitlines()
    rows = [line for line in scoreboard if line.startswith("| `")]
    shown = [line for line in README.splitlines() if line in rows]
    assert len(shown) == ROWS_OF_SCOREBOARD


def test_links_lead_somewhere() -> None:
    """Each link from a page to a file of the repository has its file."""
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text()):
            assert (path.parent / link).exists(), (path.name, link)


# ---- The pages of a project ----------------------------------------------------------------------


def find_commands(text: str, program: str) -> set[tuple[str, ...]]:
    """The project's commands in a page, or in the comment at the top of an experiment.

    A command is written after the program's name, alone in a table as `fit ...`, or as the options
    of `fit` alone.
    """
    found = re.findall(rf"(?:^|[`\s])(?:uv run )?{program} ((?:{PROJECT_COMMANDS})[^`\n]*)", text)
    found += re.findall(rf"`((?:{PROJECT_COMMANDS}) -[^`]*)`", text)
    for options in re.findall(r"`(-c \S+|--(?:data|model|trainer)\.\S+ \S+)`", text):
        found.append(f"fit {options}")
    commands = set()
    for command in found:
        if "..." not in command:
            commands.add(tuple(shlex.split(command.strip())))
    return commands


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_commands_of_a_project_parse(
    task: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    """Each `fit` command, option and key on the project's pages is one that the project takes."""
    name = f"pages-{task.replace('_', '-')}"
    project = Project(render(tmp_path / "project", task=task, project_name=f"Pages {task}"))
    pages = [project.folder / "README.md", project.folder / "AGENTS.md"]
    pages += (project.folder / "configs" / "experiment").glob("*.yaml")
    if task == TASKS[0]:  # the manual says the same of all tasks
        pages.append(project.folder / "docs" / "manual.md")
    commands: set[tuple[str, ...]] = set()
    for page in pages:
        commands |= find_commands(page.read_text().replace("my-project", name), name)
    assert len(commands) > MIN_COMMANDS
    for command, *options in sorted(commands):
        if command != "fit":
            continue
        if "--run" not in options:
            options = ["--run", "pages", *options]
        assert project.run("fit", *options, "--print_config") in PRINTED, options
    assert not (project.folder / "runs").exists()


@pytest.mark.parametrize("task", TASKS)
def test_names_in_a_project_exist(task: str, render: Callable[..., Path], tmp_path: Path) -> None:
    """Each method that the project's README.md names is one that its model or data has."""
    project = render(tmp_path / "project", task=task)
    named = re.findall(r"`(Model|DataModule)\.(\w+)`", (project / "README.md").read_text())
    assert {kind for kind, _ in named} == {"Model", "DataModule"}
    files = {"Model": "model.py", "DataModule": "data.py"}
    for kind, name in named:
        [source] = project.glob(f"src/*/{files[kind]}")
        assert f"def {name}(" in source.read_text(), name


def test_experiments_say_what_they_are(template: Path) -> None:
    """Each experiment opens with what it is, its command, cost, expected result and source."""
    experiments = list(template.glob("template/*/configs/experiment/*.yaml"))
    assert len(experiments) >= len(TASKS)
    for path in experiments:
        text = path.read_text()
        for heading in EXPERIMENT_HEADINGS:
            assert f"# {heading}" in text, (path, heading)
        assert set(yaml.safe_load(text)) <= EXPERIMENT_SECTIONS
        assert f"-c experiment/{path.stem}" in text


def test_agents_page_is_short(render: Callable[..., Path], tmp_path: Path) -> None:
    """AGENTS.md of a project has less than 60 lines, and names paths that exist."""
    project = render(tmp_path / "project")
    lines = (project / "AGENTS.md").read_text().splitlines()
    assert len(lines) < 60
    for path in ("configs/trainer.yaml", "configs/base.yaml", "src/my_project/readers"):
        assert (project / path).exists()
