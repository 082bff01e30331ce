"""What the READMEs say is so: their commands parse, their figures and names are the ones in the files."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, TASKS
from projects import Project
from test_size import code_lines

README = (ROOT / "README.md").read_text()


def test_questions_are_those_of_the_template(questions: dict[str, Any]) -> None:
    """Each question is in the README, with its choices and no others; so are those that are not asked."""
    for name, question in questions.items():
        if "help" not in question:  # it is worked out
            continue
        assert f"`{name}`" in README, name
        if name in ("task", "accelerator", "strategy", "precision", "logger", "ci"):
            values = [
                v["value"] if isinstance(v, dict) else v for v in question["choices"].values()
            ]
            row = next(line for line in README.splitlines() if line.startswith(f"| `{name}`"))
            assert set(re.findall(r"`([^`]+)`", row.split("|")[2])) == set(values)


def test_targets_are_those_of_the_makefile() -> None:
    """Each `make` target that a page names exists, and CI runs the one that runs everything."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)`", README + (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"check", "test", "demo", "gpu"} <= named
    assert named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_tree_is_what_is_rendered(render: Any, tmp_path: Path) -> None:
    """The files and folders of the tree are rendered, and the number of files is the one that it says."""
    folder = render(tmp_path / "project")
    tree = re.search(r"```\n(configs/trainer.*?)```", README, flags=re.DOTALL)
    assert tree
    parent = ""
    for line in tree[1].splitlines():
        for name in line.split() if line.startswith("pyproject") else line.split()[:1]:
            parent = name if name.startswith("src/") else parent
            assert (folder / name).exists() or (folder / parent / name).exists(), name
    count = int(re.search(r"give (\d+) files", README)[1])  # type: ignore[index]
    assert count == sum(path.is_file() for path in folder.rglob("*"))
    lines, own = re.search(r"files, (\d+) lines of code, (\d+) of them", README).groups()  # type: ignore[union-attr]
    assert int(lines) == sum(
        code_lines(path.read_text()) for path in (folder / "src").rglob("*.py")
    )
    assert int(own) == sum(code_lines(path.read_text()) for path in (folder / "src").glob("*/*.py"))
    presets = re.search(r"configs/preset/ +managed +(.*)", README)[1]  # type: ignore[index]
    assert set(presets.split(", ")) == {
        path.stem for path in (folder / "configs" / "preset").glob("*.yaml")
    }


def test_links_lead_somewhere() -> None:
    """Each link to a file of the repository has its file."""
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / name).exists(), name


def commands(text: str, name: str) -> list[list[str]]:
    """The project's commands in a page or in an experiment's comment: with a program, or `fit ...` in a table."""
    found = re.findall(
        rf"(?:^|[`\s])(?:uv run )?{name} ((?:fit|validate|test|predict)[^`\n]*)", text
    )
    found += re.findall(r"`((?:fit|validate|test|predict) -[^`]*)`", text)
    found += [
        f"fit {option}"
        for option in re.findall(r"`(-c \S+|--(?:data|model|trainer)\.\S+ \S+)`", text)
    ]
    return [shlex.split(command.strip()) for command in found if "..." not in command]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_commands_of_a_project_parse(task: str, render: Any, tmp_path: Path) -> None:
    """Each `fit` command, option and key in the project's pages and experiments is one that the project takes."""
    project = Project(render(tmp_path / "project", task=task, project_name=f"Readme {task}"))
    name = f"readme-{task.replace('_', '-')}"
    pages = [
        project.folder / "README.md",
        *(project.folder / "configs" / "experiment").glob("*.yaml"),
    ]
    pages += (
        [project.folder / "docs/manual.md"] if task == TASKS[0] else []
    )  # which says the same of all tasks
    found = {
        tuple(args)
        for page in pages
        for args in commands(page.read_text().replace("my-project", name), name)
    }
    assert len(found) > 5
    for command, *args in sorted(found):
        if command == "fit":
            named = [] if "--run" in args else ["--run", "readme"]
            said = project.run("fit", *named, *args, "--print_config")
            assert said in ("0", "None"), (args, said)
    assert not (project.folder / "runs").exists()


@pytest.mark.parametrize("task", TASKS)
def test_names_in_a_project_are_there(task: str, render: Any, tmp_path: Path) -> None:
    """Each method that the project's README names is one that its model or datamodule has."""
    folder = render(tmp_path / "project", task=task)
    found = re.findall(r"`(Model|DataModule)\.(\w+)`", (folder / "README.md").read_text())
    assert {kind for kind, _ in found} == {"Model", "DataModule"}
    for kind, name in found:
        [source] = folder.glob(f"src/*/{'model' if kind == 'Model' else 'data'}.py")
        assert f"def {name}(" in source.read_text(), name


def test_experiments_say_what_they_are(template: Path) -> None:
    """Each experiment opens with what it is, its command, cost, expected result and source, and changes known keys."""
    experiments = list(template.glob("template/*/configs/experiment/*.yaml"))
    assert len(experiments) >= len(TASKS)
    for path in experiments:
        text = path.read_text()
        for word in ("What:", "Command:", "Cost:", "Expect:", "Source:"):
            assert f"# {word}" in text, (path, word)
        assert set(yaml.safe_load(text)) <= {
            "model",
            "data",
            "trainer",
            "checkpoint",
            "early_stopping",
            "seed_everything",
        }
        assert f"-c experiment/{path.stem}" in text
