"""A project of one release that its owner has edited, and what an update must make of it."""

import hashlib
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import copier
import yaml

from tests.support.in_memory_copier import InMemoryCopier
from tests.support.owner_edits import Owner
from tests.support.ownership import is_yours
from tests.support.releases import git
from tests.support.template import copy_template
from tests.update.migrated import Migration, crossed_migrations, kept_modules

Files = dict[str, str]  # the text of each file by its path

ANSWERS_FILE = ".copier-answers.yml"
# What is recorded beside the answers.
RECORDED_BY_COPIER = ("_src_path", "_commit")
NOT_READ = re.compile(r"\.git/|runs/|\..*_cache/|.*__pycache__/")


class EditedProject:
    """A project of a release: as it was rendered, as its owner edited it, and as it is.

    Args:
        source: the template, with tags.
        folder: where to put the project.
        version: of the template, without `v`.
        answers: to the questions of that version.
    """

    def __init__(self, source: Path, folder: Path, version: str, **answers: Any) -> None:
        self.source = source
        self.folder = folder / "project"
        self.version = version
        self.rendered = render_version(source, self.folder, version, answers)
        self.edited = self.rendered
        make_repository(self.folder)

    def edit(self) -> None:
        """Make the owner's edits, and commit them."""
        Owner(self.folder).edit()
        self.edited = read_files(self.folder)

    def answers(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / ANSWERS_FILE).read_text())

    def needs_trust(self) -> bool:
        """Whether an update of the project as it is crosses a migration."""
        return bool(crossed_migrations(self.answers()["_commit"].removeprefix("v")))

    def update(self, **answers: Any) -> None:
        """Update to the newest version, check the result, and commit it.

        Without trust, Copier refuses an update that crosses a migration.
        """
        copier.run_update(
            self.folder,
            answers,
            defaults=True,
            overwrite=True,
            quiet=True,
            unsafe=self.needs_trust(),
        )
        self.check_update()
        commit_all(self.folder, "The newest template")

    # ---- Checking an update ----------------------------------------------------------------------

    def check_update(self) -> None:
        """The update made no conflict and lost no edit.

        Files of the owner are as they were, but for migrations. What the owner deleted is still
        deleted. Managed files are as the newest version renders them, with the owner's lines.
        Nothing else was added.
        """
        assert not git("ls-files", "--unmerged", cwd=self.folder)
        updated = read_files(self.folder)
        assert not [name for name in updated if name.endswith((".rej", ".orig"))]

        fresh = self.render_anew()
        added = self.check_added_files(fresh, updated)
        names = {*self.rendered, *self.edited, *fresh, *updated}
        for name in names - {ANSWERS_FILE} - added:
            is_rendered = name in self.rendered or name in fresh
            if is_yours(name) or not is_rendered:
                self.check_owners_file(name, updated)
            elif name in self.rendered and name not in self.edited:
                assert name not in updated, f"{name} was deleted, and is back"
            elif name not in fresh:
                assert name not in updated, f"{name} is not rendered any more, and is still there"
            else:
                self.check_managed_file(name, fresh, updated)

    def render_anew(self) -> Files:
        """The newest version, with the answers that the project has now."""
        answers = self.answers()
        for name in RECORDED_BY_COPIER:
            del answers[name]
        return render_newest(answers)

    def check_added_files(self, fresh: Files, updated: Files) -> set[str]:
        """The migration has added exactly the owner's files that it should. Returns their paths."""
        added = set()
        package = self.answers()["package_name"]
        kept = self.kept_modules()
        for old_path, new_path in kept.items():
            self.migration().check_legacy(new_path, self.edited[old_path], updated[new_path])
            added.add(new_path)
        if kept:
            initial = f"src/{package}/legacy/__init__.py"
            assert "Yours: updates leave them alone." in updated[initial]
            assert len(updated[initial].splitlines()) == 1
            added.add(initial)

        entry_point = f"src/{package}/__main__.py"
        if entry_point not in self.edited:
            assert updated[entry_point] == fresh[entry_point]
            added.add(entry_point)
        return added

    def check_owners_file(self, name: str, updated: Files) -> None:
        if name not in self.edited:
            assert name not in updated, f"{name} is the owner's, and was added"
            return
        assert name in updated, f"{name} is the owner's, and was deleted"
        self.migration().check(name, self.edited[name], updated[name])

    def check_managed_file(self, name: str, fresh: Files, updated: Files) -> None:
        """A managed file has the lines of the newest version, in order, and the owner's edits."""
        assert name in updated, f"{name} is missing"
        before = self.rendered.get(name, "")
        edited = self.edited.get(name, "")
        inserted = added_lines(before, edited)
        removed = added_lines(edited, before)
        assert added_lines(fresh[name], updated[name]) == inserted, f"{name} has other new lines"
        assert added_lines(updated[name], fresh[name]) == removed, f"{name} lacks other lines"

        remaining = iter(updated[name].splitlines())
        for line in fresh[name].splitlines():
            if line not in removed:
                assert line in remaining, f"{name} has its lines in another order"

    def migration(self) -> Migration:
        legacy_modules = [Path(path).stem for path in self.kept_modules()]
        return Migration(self.version, self.answers()["package_name"], legacy_modules)

    def kept_modules(self) -> dict[str, str]:
        answers = self.answers()
        return kept_modules(answers["task"], self.version, answers["package_name"], self.rendered)

    # ---- Comparing projects ----------------------------------------------------------------------

    def hash_code(self) -> str:
        """A hash of all files but prose: equal for projects that behave the same."""
        files = read_files(self.folder)
        code = [name for name in sorted(files) if not name.endswith(".md")]
        text = repr([(name, files[name]) for name in code])
        return hashlib.sha256(text.encode()).hexdigest()


def render_version(source: Path, folder: Path, version: str, answers: dict[str, Any]) -> Files:
    """Render a version of the template into a folder, and read its files."""
    copier.run_copy(
        str(source),
        folder,
        answers,
        vcs_ref=f"v{version}",
        defaults=True,
        quiet=True,
    )
    return read_files(folder)


def render_newest(answers: dict[str, Any]) -> Files:
    """What `render_version` gives for the newest version, which is the working tree."""
    files = newest_version().render(**answers)
    return {name: content.decode() for name, content in files.items()}


@cache
def newest_version() -> InMemoryCopier:
    return InMemoryCopier(copy_template())


def make_repository(folder: Path) -> None:
    """Commit all files of a project to a new repository."""
    git("init", "--quiet", "--initial-branch=main", cwd=folder)
    git("config", "user.name", "Owner", cwd=folder)
    git("config", "user.email", "owner@example.org", cwd=folder)
    commit_all(folder, "What the template rendered")


def commit_all(folder: Path, message: str) -> None:
    git("add", "--all", cwd=folder)
    git("commit", "--quiet", "--allow-empty", "--message", message, cwd=folder)


def read_files(folder: Path) -> Files:
    """The text of each file of a project, without git's files, caches and runs."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not NOT_READ.match(name):
            found[name] = path.read_text()
    return found


def added_lines(old: str, new: str) -> Counter[str]:
    return Counter(new.splitlines()) - Counter(old.splitlines())
