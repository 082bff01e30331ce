# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""list the managed files that you changed (exit code 3 if there are any)"""

import os
import subprocess
from difflib import SequenceMatcher
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import yaml

from ..arguments import Arguments
from ..errors import UserError

EXIT_DRIFT = 3
ANSWERS_FILES = ".copier-answers*.yml"  # with `copier copy -a`, a repository has several
PACKAGE = Path(__file__).parents[2].name
MANAGED_MARK = "Managed by copier-lightning"
OWNERS_MARK = "# Yours:"

Lines = list[str]


def run(arguments: Arguments) -> int:
    """Compare the managed files with the recorded version of the template, rendered again.

    Lines added beside a comment `# Yours:`, and a value changed below one, do not count. A file
    committed with CRLF line endings does, since each of its lines conflicts in an update. Copier
    itself cannot tell, since it keeps no copy of what it rendered.

    Returns:
        The exit code: 3 if a file differs.

    Raises:
        UserError: outside of a project, or if an option is given.
    """
    refuse_options(arguments)
    answers_file = find_answers_file()
    answers = read_answers(answers_file)
    version = answers["_commit"]
    managed = render_managed_files(answers_file, answers)
    with_crlf = committed_with_crlf()
    differences = []
    for path, rendered in managed.items():
        if path in with_crlf:
            difference = f"{path} is committed with CRLF line endings"
        else:
            difference = describe_difference(path, rendered)
        if difference:
            differences.append(difference)
    for difference in differences:
        print(difference)
    print(
        f"{len(differences)} of {len(managed)} managed files differ from {version} of the template"
    )
    if with_crlf & managed.keys():
        print("to store LF line endings, run `git add --renormalize .` and commit")
    return EXIT_DRIFT if differences else 0


def refuse_options(arguments: Arguments) -> None:
    unused = [*arguments.overrides, *arguments.configs]
    if arguments.run is not None:
        unused.append("--run")
    if arguments.restart:
        unused.append("--restart")
    if unused:
        raise UserError(f"drift takes no options, got {unused[0]}")


def find_answers_file() -> Path:
    """The file with the answers to this template, and its source and version."""
    for path in sorted(Path().glob(ANSWERS_FILES)):
        answers = read_answers(path)
        is_complete = {"_src_path", "_commit"} <= answers.keys()
        if is_complete and answers.get("package_name") == PACKAGE:
            return path
    raise UserError(
        f"drift runs in a project, where {ANSWERS_FILES} has _src_path and _commit of {PACKAGE}"
    )


def read_answers(path: Path) -> dict[str, Any]:
    """What a file of answers holds; nothing if it is not one."""
    answers = yaml.safe_load(path.read_text())
    return answers if isinstance(answers, dict) else {}


def render_managed_files(answers_file: Path, answers: dict[str, Any]) -> dict[Path, Lines]:
    """The lines of each managed file as the recorded version of the template renders it."""
    source = answers["_src_path"]
    version = answers["_commit"]
    given = {name: answer for name, answer in answers.items() if not name.startswith("_")}
    managed = {}
    with TemporaryDirectory() as folder:
        copier.run_copy(
            source,
            folder,
            given,
            answers_file=str(answers_file),
            vcs_ref=version,
            defaults=True,
            quiet=True,
        )
        for path in sorted(Path(folder).rglob("*")):
            if not path.is_file():
                continue
            lines = path.read_text("utf-8").splitlines()
            if lines and MANAGED_MARK in lines[0]:
                managed[path.relative_to(folder)] = lines
    return managed


def committed_with_crlf() -> set[Path]:
    """The files with CRLF line endings in git's index; none outside of a repository."""
    command = ["git", "ls-files", "--eol", "-z"]
    listed = subprocess.run(command, check=False, capture_output=True)
    found = set()
    for entry in os.fsdecode(listed.stdout).split("\0"):
        line_endings, _, name = entry.partition("\t")
        if line_endings.startswith(("i/crlf", "i/mixed")):
            found.add(Path(name))
    return found


def describe_difference(path: Path, rendered: Lines) -> str:
    """`PATH +ADDED -REMOVED`, in lines, or empty if only the owner's lines differ."""
    if not path.is_file():
        return f"{path} is deleted"
    current = path.read_text("utf-8", "replace").splitlines()
    matcher = SequenceMatcher(None, rendered, current, autojunk=False)
    added = 0
    removed = 0
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        if kind == "insert":
            is_owners = insertion_is_owners(rendered, current, old_start, new_start)
        else:
            is_owners = replacement_is_owners(rendered, old_start, old_end)
        if not is_owners:
            added += new_end - new_start
            removed += old_end - old_start
    if not added and not removed:
        return ""
    return f"{path} +{added} -{removed}"


def insertion_is_owners(rendered: Lines, current: Lines, old_start: int, new_start: int) -> bool:
    """Whether inserted lines are beside a comment `# Yours:`."""
    above = rendered[max(old_start - 1, 0) : old_start]
    # If the inserted lines start like the lines below them, the same change can also be read as an
    # insertion further down; take the lowest place.
    while old_start < len(rendered) and rendered[old_start] == current[new_start]:
        old_start += 1
        new_start += 1
    below = rendered[old_start : old_start + 1]
    return any(OWNERS_MARK in line for line in above + below)


def replacement_is_owners(rendered: Lines, old_start: int, old_end: int) -> bool:
    """Whether a changed or deleted line is the single line below a comment `# Yours:`."""
    is_single_line = old_end - old_start == 1
    above = rendered[max(old_start - 1, 0) : old_start]
    return is_single_line and any(OWNERS_MARK in line for line in above)
