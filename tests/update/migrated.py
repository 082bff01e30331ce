"""What the migrations may change in an owner's files, stated independently of their code.

A file may differ from what it was in its import statements, where each name must be imported from
its new place, and in the few words of REPLACED. All other text must be byte for byte the same.
"""

import ast
import io
import tokenize
from importlib.util import resolve_name

from packaging.version import Version

from tests.support.template import COPIER_YML

Import = tuple[int, str, str]  # the indentation, the full name, the name in the file

# The new places of what moved, by the version of the migration, relative to the package.
MOVED = {
    "0.3.0": {
        "harness.loading": "harness.loaders",
    },
    "0.6.0": {
        "harness.FIRST": "harness.messages.is_rank_zero",
        "harness.UserError": "harness.errors.UserError",
        "harness.Faults": "harness.errors.ErrorCollector",
        "harness.note": "harness.messages.note",
        "harness.cut": "harness.splits.cut_splits",
        "harness.note_imbalance": "harness.splits.note_imbalance",
        "harness.note_leaks": "harness.splits.note_leaks",
        "harness.loaders.Loader": "harness.loaders.ResumableLoader",
        "harness.loaders.place": "harness.lightning_internals.training_position",
        "harness.loaders.ranks_of": "harness.loaders.world_of",
        "harness.loaders.run_seed": "harness.seeding.run_seed",
        "harness.loaders.seed_at": "harness.seeding.seed_at",
        "harness.loaders.share_of_batch": "harness.loaders.samples_per_rank",
        "harness.loaders.ignore_signals": "harness.signals.ignore_signals",
    },
}
# In the project's tests, whose names are absolute.
MOVED_TEST_HELPERS = {
    "harness.test_harness.ModelSuite": "harness.model_suite.ModelSuite",
    "harness.test_harness.ONE_PROCESS": "harness.project.ONE_PROCESS",
    "harness.test_harness.QUICK": "harness.project.QUICK",
    "harness.test_harness.command": "harness.project.command",
}
# Names that change in the file as well. All others stay, if need be by `import ... as`.
RENAMED_IN_FILE = {"loading": "loaders", "FIRST": "is_rank_zero"}
# Other text that changes.
REPLACED = {
    "0.3.0": {" loading.make_loader(": " loaders.make_loader("},
    "0.6.0": {
        '{PACKAGE}.harness").UserError': '{PACKAGE}.harness.errors").UserError',
        ".refuse()": ".raise_if_any()",
        " if FIRST else ": " if is_rank_zero() else ",
        # Messages that released tests quote.
        "and the data have one": "and the data has one",
        "of 2 is 0: cut off one or more": "of 2 samples is 0",
    },
}
# The modules of the old harness that the files of each task use. They become the owner's.
LEGACY_MODULES = {
    "image_classification": (),
    "image_segmentation": ("masks", "scenes"),
    "object_detection": ("boxes", "scenes"),
    "text_classification": ("hub", "readers", "samples", "tables"),
    "language_modeling": ("base", "hub", "streams", "texts"),
    "tabular": ("readers", "tables"),
    "time_series_forecasting": ("forecasts", "readers", "series", "tables"),
    "image_generation": ("pictures", "samples"),
    "adversarial": ("adversaries", "pictures", "samples"),
    "custom": ("objects",),
}
LEGACY_VERSION = "0.6.0"
END_OF_LEGACY_HEADER = "# fmt: off\n"


def crossed_migrations(version: str) -> list[str]:
    """The versions of the migrations that an update from a version to the newest one runs."""
    crossed = []
    for migration in COPIER_YML["_migrations"]:
        crossed_version = migration["version"].removeprefix("v")
        if Version(crossed_version) > Version(version) and crossed_version not in crossed:
            crossed.append(crossed_version)
    return crossed


def kept_modules(task: str, version: str, package: str, files: dict[str, str]) -> dict[str, str]:
    """The new path of each module of the old harness that an update makes the owner's."""
    kept = {}
    if LEGACY_VERSION in crossed_migrations(version):
        for module in LEGACY_MODULES[task]:
            old_path = f"src/{package}/harness/{module}.py"
            if old_path in files:  # earlier releases lack some
                kept[old_path] = f"src/{package}/legacy/{module}.py"
    return kept


class Migration:
    """Compares the owner's files before and after an update.

    Args:
        version: the release that the project was at.
        package: of the project.
        legacy_modules: the names of the modules that became the owner's.
    """

    def __init__(self, version: str, package: str, legacy_modules: list[str]) -> None:
        self.package = package
        self.moved = {}
        self.replaced = {}
        for migration in crossed_migrations(version):
            self.replaced |= REPLACED[migration]
            for old, new in MOVED[migration].items():
                self.moved[f"{package}.{old}"] = f"{package}.{new}"
        if LEGACY_VERSION in crossed_migrations(version):
            self.moved |= MOVED_TEST_HELPERS
        for module in legacy_modules:
            self.moved[f"{package}.harness.{module}"] = f"{package}.legacy.{module}"
            self.replaced[f"{{PACKAGE}}.harness.{module}"] = f"{{PACKAGE}}.legacy.{module}"

    def check(self, path: str, before: str, after: str) -> None:
        """An owner's file is as it was, but for what the migrations change."""
        if not path.endswith(".py"):
            assert after == before, f"{path} is the owner's, and was changed"
            return
        package = package_of(path)
        self.check_python(path, before, package, after, package)

    def check_legacy(self, path: str, before: str, after: str) -> None:
        """A module of the old harness is as it was, but for its first lines and its imports."""
        _, _, old_code = before.partition("\n")
        header, end, new_code = after.partition(END_OF_LEGACY_HEADER)
        assert header.startswith("# Yours since 0.6.0"), f"{path} does not say that it is yours"
        assert end
        old_package = f"{self.package}.harness"
        self.check_python(path, old_code, old_package, new_code, package_of(path))

    def check_python(
        self,
        path: str,
        before: str,
        package_before: str,
        after: str,
        package_after: str,
    ) -> None:
        expected_text = without_imports(before)
        for old, new in self.replaced.items():
            expected_text = expected_text.replace(old, new)
        assert without_imports(after) == expected_text, f"{path} is the owner's, and was changed"

        expected = [self.moved_import(found) for found in imports_of(before, package_before)]
        assert imports_of(after, package_after) == sorted(expected), f"{path} imports other names"
        assert comments_of(after) == comments_of(before), f"{path} has other comments"

    def moved_import(self, found: Import) -> Import:
        """What an import statement must be after the migrations."""
        indentation, name, local_name = found
        for old, new in self.moved.items():
            if f"{name}.".startswith(f"{old}."):
                name = new + name.removeprefix(old)
        return indentation, name, RENAMED_IN_FILE.get(local_name, local_name)


def package_of(path: str) -> str:
    """The package that a file is in, where its relative imports start."""
    folder, _, _ = path.rpartition("/")
    return folder.removeprefix("src/").replace("/", ".")


def import_statements(code: str) -> list[ast.Import | ast.ImportFrom]:
    nodes = ast.walk(ast.parse(code))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def without_imports(code: str) -> str:
    """The lines of a file that are not part of an import statement."""
    lines = code.splitlines(keepends=True)
    for statement in import_statements(code):
        for number in range(statement.lineno, (statement.end_lineno or 0) + 1):
            lines[number - 1] = ""
    return "".join(lines)


def imports_of(code: str, package: str) -> list[Import]:
    """What a file imports, sorted."""
    found = []
    for statement in import_statements(code):
        prefix = ""
        if isinstance(statement, ast.ImportFrom):
            dots = "." * statement.level
            prefix = resolve_name(dots + (statement.module or ""), package) + "."
        for alias in statement.names:
            local_name = alias.asname or alias.name
            found.append((statement.col_offset, prefix + alias.name, local_name))
    return sorted(found)


def comments_of(code: str) -> list[str]:
    """The comments of a file, sorted."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return sorted(token.string for token in tokens if token.type == tokenize.COMMENT)
