"""Rewrites the import statements of a Python file in the order and layout of ruff.

Used by migrations. A migration gives a function that says where a name is now.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Place:
    """Where a name is now: `from module import name`, by absolute names.

    A name that changed is imported `as` the old one, unless `keep_old_name` is False.
    """

    module: str
    name: str
    keep_old_name: bool = True


# Where `from module import name` leads now, or None if that did not change.
NewPlace = Callable[[str, str], Place | None]


def rewrite_imports(
    text: str, new_place: NewPlace, old_package: str, new_package: str, line_length: int
) -> str:
    """A Python file whose imports name the new places.

    Args:
        text: the file.
        new_place: says what moved, by absolute names.
        old_package: the package that the file was in, where its relative imports start.
        new_package: the package that it is in now.
        line_length: at which ruff wraps a statement.

    Raises:
        SyntaxError: if it is not Python. ValueError and RecursionError likewise.
    """
    rewriter = ImportRewriter(text, new_place, old_package, new_package, line_length)
    return rewriter.rewritten()


def absolute_module(node: ast.ImportFrom, package: str) -> str:
    """The dotted name of the module that an import statement of a package names."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    if node.module:
        parts.append(node.module)
    return ".".join(parts)


def written_module(module: str, package: str, level: int) -> str:
    """How a file of a package names a module: with `level` dots or more, or in full if it is 0."""
    if level == 0:
        return module
    parts = package.split(".")
    for dots in range(level, len(parts) + 1):
        start = ".".join(parts[: len(parts) - dots + 1]) + "."
        if module.startswith(start):
            return "." * dots + module.removeprefix(start)
    return module


@dataclass(frozen=True)
class Member:
    """One imported name, and the module as it is written in the statement."""

    module: str
    name: str
    alias: str | None
    comment: str

    @property
    def text(self) -> str:
        if self.alias is None:
            return self.name
        return f"{self.name} as {self.alias}"


@dataclass
class Statement:
    """The lines of an import statement, with the comments above it, and its place among others."""

    key: tuple
    lines: list[str]


class ImportRewriter:
    """The work of `rewrite_imports`.

    A block is a run of import statements without a blank line in it. In a block, the statements
    that change are taken out, and the new ones are inserted where they belong in ruff's order.
    """

    def __init__(
        self, text: str, new_place: NewPlace, old_package: str, new_package: str, line_length: int
    ) -> None:
        self.tree = ast.parse(text)
        self.lines = text.split("\n")
        self.comments = read_comments(text)
        self.new_place = new_place
        self.old_package = old_package
        self.new_package = new_package
        self.line_length = line_length

    def rewritten(self) -> str:
        replacements = []
        for body in statement_lists(self.tree):
            for block in self.blocks(body):
                new_lines = self.rewritten_block(block)
                if new_lines is not None:
                    replacements.append((block[0].lineno - 1, last_line(block[-1]), new_lines))
        lines = list(self.lines)
        for start, end, new_lines in sorted(replacements, reverse=True):
            lines[start:end] = new_lines
        return "\n".join(lines)

    def blocks(self, body: list[ast.stmt]) -> Iterator[list[Import]]:
        block: list[Import] = []
        for statement in body:
            is_import = isinstance(statement, Import) and self.has_lines_of_its_own(statement)
            if block and not (is_import and self.follows(block[-1], statement)):
                yield block
                block = []
            if is_import:
                block.append(statement)
        if block:
            yield block

    def has_lines_of_its_own(self, statement: ast.stmt) -> bool:
        """False if there is another one in its lines, after a semicolon; then it is left alone."""
        first = self.lines[statement.lineno - 1].encode()
        last = self.lines[last_line(statement) - 1].encode()
        after = last[statement.end_col_offset :].strip()
        return not first[: statement.col_offset].strip() and after[:1] in (b"", b"#")

    def follows(self, previous: ast.stmt, statement: ast.stmt) -> bool:
        """Whether nothing but comments is between two statements."""
        between = self.lines[last_line(previous) : statement.lineno - 1]
        return all(line.strip().startswith("#") for line in between)

    def rewritten_block(self, block: list[Import]) -> list[str] | None:
        """The new lines of a block; None if nothing in it changes."""
        statements: list[Statement] = []
        new_members: list[Member] = []
        comments_above: list[str] = []
        end_of_previous = block[0].lineno - 1
        for node in block:
            above = self.lines[end_of_previous : node.lineno - 1]
            end_of_previous = last_line(node)
            members = self.new_members(node)
            if members is None:
                own_lines = self.lines[node.lineno - 1 : last_line(node)]
                statements.append(Statement(key_of(node), [*above, *own_lines]))
            else:
                new_members += members
                comments_above += above
        if not new_members:
            return None
        new_statements = self.render(new_members, indent=" " * block[0].col_offset)
        new_statements[0].lines[:0] = comments_above
        for statement in new_statements:
            insert_sorted(statements, statement)
        new_lines = []
        for statement in statements:
            new_lines += statement.lines
        return self.with_line_ends(new_lines)

    def new_members(self, node: Import) -> list[Member] | None:
        """The names that a statement imports, from their new places; None if it does not change."""
        if isinstance(node, ast.Import):
            return None
        members = [self.new_member(node, alias) for alias in node.names]
        written_before = module_as_written(node)
        for member, alias in zip(members, node.names):
            if (member.module, member.name) != (written_before, alias.name):
                return members
        return None

    def new_member(self, node: ast.ImportFrom, alias: ast.alias) -> Member:
        old_module = absolute_module(node, self.old_package)
        place = self.new_place(old_module, alias.name) or Place(old_module, alias.name)
        local_name = alias.asname
        if local_name is None and place.name != alias.name and place.keep_old_name:
            local_name = alias.name
        return Member(
            module=written_module(place.module, self.new_package, node.level),
            name=place.name,
            alias=local_name,
            comment=self.comment_of(node, alias),
        )

    def comment_of(self, node: ast.ImportFrom, alias: ast.alias) -> str:
        """The comment beside an imported name; the first name also has those of other lines."""
        lines = [alias.lineno]
        if alias is node.names[0]:
            lines_of_names = {name.lineno for name in node.names}
            statement_lines = range(node.lineno, last_line(node) + 1)
            lines += [line for line in statement_lines if line not in lines_of_names]
        return "  ".join(self.comments[line] for line in sorted(lines) if line in self.comments)

    def render(self, members: list[Member], indent: str) -> list[Statement]:
        """Statements in ruff's order: one for each module, and one for each name with an alias."""
        groups: dict[tuple[str, str | None], list[Member]] = {}
        for member in members:
            own_statement = member.text if member.alias else None
            groups.setdefault((member.module, own_statement), []).append(member)
        statements = []
        for (module, _), group in groups.items():
            group.sort(key=lambda member: member_key(member.name))
            lines = self.render_statement(module, group, indent)
            statements.append(Statement(import_key(module, group[0].name), lines))
        return sorted(statements, key=lambda statement: statement.key)

    def render_statement(self, module: str, members: list[Member], indent: str) -> list[str]:
        start = f"{indent}from {module} import "
        line = start + ", ".join(member.text for member in members)
        comments = [member.comment for member in members if member.comment]
        if len(members) == 1 and comments:
            return [f"{line}  {comments[0]}"]
        if len(line) <= self.line_length and not comments:
            return [line]
        lines = [f"{start}("]
        for member in members:
            member_line = f"{indent}    {member.text},"
            if member.comment:
                member_line += f"  {member.comment}"
            lines.append(member_line)
        return [*lines, f"{indent})"]

    def with_line_ends(self, lines: list[str]) -> list[str]:
        """Lines that end as those of the file do, which was split at `\\n`."""
        if not self.lines[0].endswith("\r"):
            return lines
        return [line.removesuffix("\r") + "\r" for line in lines]


def last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def read_comments(text: str) -> dict[int, str]:
    """The comment of each line that has one."""
    comments = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments[token.start[0]] = token.string.strip()
    return comments


def statement_lists(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Every run of statements in a file: its own, and those of functions, branches and the like."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                yield statements


def insert_sorted(statements: list[Statement], new: Statement) -> None:
    for index, statement in enumerate(statements):
        if statement.key > new.key:
            statements.insert(index, new)
            return
    statements.append(new)


def module_as_written(node: ast.ImportFrom) -> str:
    return "." * node.level + (node.module or "")


def key_of(node: Import) -> tuple:
    if isinstance(node, ast.Import):
        name = node.names[0].name
        return (0, False, 0, *natural_key(name))
    return import_key(module_as_written(node), node.names[0].name)


def import_key(module: str, first_name: str) -> tuple:
    """Ruff's order of `from` imports: absolute modules, then relative ones with more dots first."""
    name = module.lstrip(".")
    dots = len(module) - len(name)
    return (1, dots > 0, -dots, *natural_key(name), member_key(first_name))


def member_key(name: str) -> tuple:
    """Ruff's order of imported names: constants, classes, others."""
    if name.isupper() and len(name) > 1:
        kind = 0
    elif name[:1].isupper():
        kind = 1
    else:
        kind = 2
    return (kind, *natural_key(name))


def natural_key(name: str) -> tuple:
    """By letters, whatever their case, and by the value of numbers: `name2` before `name10`."""
    parts: list[str | int] = []
    for part in re.split(r"(\d+)", name.lower()):
        parts.append(int(part) if part.isdigit() else part)
    return (parts, name)
