"""How dense Python code is: `density.py PATH ...` prints a row for each file and one for all.

Three figures, which tests/rendering/test_density.py bounds:

- AST nodes per code line, where a code line is neither blank nor a comment nor part of a docstring;
- comprehensions and generator expressions per 100 code lines;
- the share of all lines that have more than 100 columns.
"""

import ast
import io
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path

MAX_COLUMNS = 100
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass
class Density:
    """Counts over one or several files."""

    nodes: int = 0
    code_lines: int = 0
    comprehensions: int = 0
    lines: int = 0
    long_lines: int = 0

    def __add__(self, other: "Density") -> "Density":
        return Density(
            self.nodes + other.nodes,
            self.code_lines + other.code_lines,
            self.comprehensions + other.comprehensions,
            self.lines + other.lines,
            self.long_lines + other.long_lines,
        )

    @property
    def nodes_per_line(self) -> float:
        return self.nodes / max(self.code_lines, 1)

    @property
    def comprehensions_per_100_lines(self) -> float:
        return 100 * self.comprehensions / max(self.code_lines, 1)

    @property
    def long_share(self) -> float:
        return self.long_lines / max(self.lines, 1)

    def row(self) -> str:
        return (
            f"{self.nodes_per_line:6.1f} {self.comprehensions_per_100_lines:6.1f}"
            f" {self.long_share:6.1%} {self.code_lines:6d}"
        )


def docstrings(tree: ast.Module) -> list[ast.stmt]:
    """The statements that are docstrings."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            found.append(node.body[0])
    return found


def code_line_numbers(text: str, tree: ast.Module) -> set[int]:
    """The numbers of the lines that hold code."""
    numbers: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            numbers.update(range(token.start[0], token.end[0] + 1))
    for docstring in docstrings(tree):
        numbers.difference_update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return numbers


def measure(text: str) -> Density:
    """The density of one file's source text."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    lines = text.splitlines()
    # A docstring is two nodes: the expression statement, and the constant in it.
    return Density(
        nodes=len(nodes) - 2 * len(docstrings(tree)),
        code_lines=len(code_line_numbers(text, tree)),
        comprehensions=sum(isinstance(node, COMPREHENSIONS) for node in nodes),
        lines=len(lines),
        long_lines=sum(len(line) > MAX_COLUMNS for line in lines),
    )


def measure_files(paths: list[Path]) -> Density:
    """The density of several files together."""
    return sum((measure(path.read_text()) for path in paths), Density())


def python_files(path: Path) -> list[Path]:
    """A file itself, or the Python files in a folder."""
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def main(arguments: list[str]) -> None:
    print(" nodes  compr.   long  lines")
    every_file = []
    for argument in arguments:
        for path in python_files(Path(argument)):
            every_file.append(path)
            print(measure(path.read_text()).row(), path)
    print(measure_files(every_file).row(), "all")


if __name__ == "__main__":
    main(sys.argv[1:])
