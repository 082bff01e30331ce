"""Draw the README's pictures from real runs: `python -m tools.pictures FOLDER`.

Runs of the scoreboard's first seed, which is the default, are used where they are in
build/scoreboard.

- docs/images/run.svg: a terminal in which the default project trains; run.txt has the same text.
- docs/images/predictions.png: predictions of three tasks, trained as their README says.
- docs/images/sources.json: a digest of what the pictures depend on, which a test compares with the
  template as it stands; it fails when a picture is stale.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import copier
import pexpect
import pyte
import yaml
from PIL import Image, ImageDraw, ImageFont
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SOURCES = IMAGES / "sources.json"
SCOREBOARD_RUNS = ROOT / "build" / "scoreboard"
SCORED_RUN = "score-0-42"
TEMPLATE_PARTS = ("copier.yml", "includes", "template")

TERMINAL_TASK = "image_classification"
COLUMNS = 80
ROWS = 60
FIT_TIMEOUT = 900  # seconds

MARGIN = 16
TITLE_SIZE = 20
PANEL_WIDTH = 1000


@dataclass(frozen=True)
class Panel:
    """A row of the picture of predictions.

    Args:
        task: the task that is trained.
        title: what the row shows.
        count: how many predictions.
    """

    task: str
    title: str
    count: int


PANELS = (
    Panel("image_segmentation", "image_segmentation: a class for each pixel", 6),
    Panel("object_detection", "object_detection: boxes with confidences", 4),
    Panel("time_series_forecasting", "time_series_forecasting: median and quantiles", 2),
)
TASKS = (TERMINAL_TASK, *(panel.task for panel in PANELS))


# ---- Projects ----------------------------------------------------------------------------------


def render(task: str, folder: Path) -> Path:
    """Render a task's project from the template as it stands."""
    source = folder / "template"
    if not source.exists():
        for name in TEMPLATE_PARTS:
            path = ROOT / name
            if path.is_dir():
                shutil.copytree(path, source / name)
            else:
                source.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, source / name)
    project = folder / task
    shutil.rmtree(project, ignore_errors=True)
    copier.run_copy(str(source), project, {"task": task}, defaults=True, quiet=True)
    return project


def project_command(project: Path) -> Path:
    """A script named like the project's command, as an installation would put on the path."""
    script = project / "my-project"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(project / 'src')!r})\n"
        "from my_project.__main__ import run\nrun()\n"
    )
    script.chmod(0o755)
    return script


# ---- What a picture depends on -----------------------------------------------------------------


def digest(project: Path) -> str:
    """A digest of a project's settings and drawing code, which comments and prose do not change.

    Settings are the values of configs/base.yaml and the defaults in the signatures of model.py and
    data.py; drawing code is what is in figures/.
    """
    package = project / "src" / "my_project"
    parts = [json.dumps(yaml.safe_load((project / "configs" / "base.yaml").read_text()))]
    for name in ("model.py", "data.py"):
        parts += signatures(ast.parse((package / name).read_text()))
    for path in sorted((package / "figures").glob("*.py")):
        parts.append(ast.dump(without_docstrings(ast.parse(path.read_text()))))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def signatures(tree: ast.Module) -> list[str]:
    """The parameters, with defaults, of every constructor."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            found.append(ast.unparse(node.args))
    return found


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        can_have_docstring = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if can_have_docstring and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


# ---- The terminal ------------------------------------------------------------------------------


def record_terminal(command: Path, arguments: list[str], folder: Path) -> list[Text]:
    """The lines that a terminal shows when the command has ended."""
    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=500)
    stream = pyte.Stream(screen)
    environment = {**os.environ, "TERM": "xterm-256color"}
    child = pexpect.spawn(
        str(command),
        arguments,
        cwd=str(folder),
        dimensions=(ROWS, COLUMNS),
        timeout=FIT_TIMEOUT,
        env=environment,
    )
    while True:
        try:
            stream.feed(child.read_nonblocking(4096).decode(errors="replace"))
        except pexpect.EOF:
            break
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(ROWS))]
    lines = [line_of(row) for row in rows]
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def line_of(row: dict[int, pyte.screens.Char]) -> Text:
    line = Text.assemble(*((row[i].data, style_of(row[i])) for i in range(COLUMNS)))
    line.rstrip()
    return line


def style_of(cell: pyte.screens.Char) -> str:
    """The style of a character in rich's words."""
    color = cell.fg
    if color == "default":
        color = ""
    elif color == "brown":  # pyte's name for the terminal's yellow
        color = "yellow"
    elif re.fullmatch("[0-9a-f]{6}", color):
        color = f"#{color}"
    elif color.startswith("bright"):
        color = color.replace("bright", "bright_")
    if cell.bold:
        return f"bold {color}".strip()
    return color


def draw_terminal(folder: Path) -> None:
    project = render(TERMINAL_TASK, folder)
    script = project_command(project)
    lines = record_terminal(script, ["fit", "--run", "demo"], project)
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.assemble(("$ ", "bold green"), "my-project fit --run demo"))
        for line in lines:
            console.print(line, no_wrap=True, overflow="crop")
        # The default format fetches fonts from the network.
        plain_format = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        console.save_svg(str(IMAGES / "run.svg"), title="my-project", code_format=plain_format)
    text = "\n".join(line.plain for line in lines)
    (IMAGES / "run.txt").write_text(f"$ my-project fit --run demo\n{text}\n")


# ---- Predictions -------------------------------------------------------------------------------


def predict(task: str, folder: Path) -> list[Path]:
    """The images that `predict` writes for a task that was trained with its defaults."""
    project = render(task, folder)
    script = project_command(project)
    scored = SCOREBOARD_RUNS / task / "runs" / SCORED_RUN
    if (scored / "fit.json").exists():
        shutil.copytree(scored, project / "runs" / "picture")
    else:
        run_quietly(script, project, "fit")
    run_quietly(script, project, "predict")
    return sorted((project / "runs" / "picture" / "predictions").glob("*.png"))


def run_quietly(script: Path, project: Path, command: str) -> None:
    arguments = [script, command, "--run", "picture"]
    subprocess.run(arguments, cwd=project, check=True, stdout=subprocess.DEVNULL)


def draw_panel(panel: Panel, paths: list[Path]) -> Image.Image:
    """A title, and below it as many images side by side as the panel asks for."""
    width = (PANEL_WIDTH - (panel.count + 1) * MARGIN) // panel.count
    images = []
    for path in paths[: panel.count]:
        image = Image.open(path).convert("RGB")
        height = round(image.height * width / image.width)
        images.append(image.resize((width, height), Image.Resampling.LANCZOS))
    height = max(image.height for image in images)
    canvas = Image.new("RGB", (PANEL_WIDTH, height + TITLE_SIZE + 2 * MARGIN), "white")
    font = ImageFont.load_default(TITLE_SIZE)
    ImageDraw.Draw(canvas).text((MARGIN, MARGIN // 2), panel.title, "#1d2733", font)
    for i, image in enumerate(images):
        canvas.paste(image, (MARGIN + i * (width + MARGIN), TITLE_SIZE + MARGIN + MARGIN // 2))
    return canvas


def draw_predictions(folder: Path) -> None:
    panels = [draw_panel(panel, predict(panel.task, folder)) for panel in PANELS]
    height = sum(panel.height for panel in panels)
    canvas = Image.new("RGB", (PANEL_WIDTH, height), "white")
    top = 0
    for panel in panels:
        canvas.paste(panel, (0, top))
        top += panel.height
    canvas.save(IMAGES / "predictions.png", optimize=True)


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    IMAGES.mkdir(exist_ok=True)
    draw_terminal(folder)
    draw_predictions(folder)
    digests = {task: digest(folder / task) for task in TASKS}
    SOURCES.write_text(json.dumps(digests, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
