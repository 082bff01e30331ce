"""Draw a command's terminal as the README's picture: `picture.py docs/run.svg FOLDER COMMAND ...`."""

import re
import sys

import pexpect
import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 100, 44


def main(target: str, folder: str, *command: str) -> None:
    screen = pyte.HistoryScreen(COLUMNS, ROWS, history=500)
    stream = pyte.Stream(screen)
    child = pexpect.spawn(command[0], list(command[1:]), cwd=folder, dimensions=(ROWS, COLUMNS), timeout=300)
    while True:
        try:
            stream.feed(child.read_nonblocking(4096).decode(errors="replace"))
        except pexpect.EOF:
            break
    console = Console(record=True, width=COLUMNS, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.assemble(("$ ", "bold green"), " ".join(command)))
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(ROWS))]
    lines = [Text.assemble(*((row[i].data, style(row[i])) for i in range(COLUMNS))) for row in rows]
    for line in lines:
        line.rstrip()
    while lines and not lines[-1].plain:
        lines.pop()
    for line in lines:
        console.print(line, no_wrap=True, overflow="crop")
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # no fonts from elsewhere
    console.save_svg(target, title=" ".join(command), code_format=plain)


def style(cell: pyte.screens.Char) -> str:
    colour = {"default": "", "brown": "yellow"}.get(cell.fg, cell.fg)
    if len(colour) == 6 and all(c in "0123456789abcdef" for c in colour):
        colour = f"#{colour}"
    colour = colour.replace("bright", "bright_") if colour.startswith("bright") else colour
    return f"{'bold ' if cell.bold else ''}{colour}".strip()


if __name__ == "__main__":
    main(*sys.argv[1:])
