"""What moved in 0.6.0: the modules and names of the harness before and after."""

from dataclasses import dataclass

from .imports import Place

# For each old module, relative to the package: the new module and the new name of each name.
LOADERS_NAMES = {
    "make_loader": ("harness.loaders", "make_loader"),
    "Loader": ("harness.loaders", "ResumableLoader"),
    "Addressed": ("harness.loaders", "AddressedDataset"),
    "AddressedSampler": ("harness.loaders", "AddressedSampler"),
    "ranks_of": ("harness.loaders", "world_of"),
    "share_of_batch": ("harness.loaders", "samples_per_rank"),
    "place": ("harness.lightning_internals", "training_position"),
    "run_seed": ("harness.seeding", "run_seed"),
    "seed_at": ("harness.seeding", "seed_at"),
    "ignore_signals": ("harness.signals", "ignore_signals"),
}
MOVED = {
    "harness": {
        "UserError": ("harness.errors", "UserError"),
        "Preempted": ("harness.errors", "Preempted"),
        "Faults": ("harness.errors", "ErrorCollector"),
        "FIRST": ("harness.messages", "is_rank_zero"),
        "note": ("harness.messages", "note"),
        "cut": ("harness.splits", "cut_splits"),
        "note_imbalance": ("harness.splits", "note_imbalance"),
        "note_leaks": ("harness.splits", "note_leaks"),
    },
    "harness.loaders": LOADERS_NAMES,
    "harness.loading": LOADERS_NAMES,  # what it was called until 0.2.0
    "harness.runs": {
        "load": ("harness.checkpoints", "read_checkpoint"),
        "best_checkpoint": ("harness.checkpoints", "best_checkpoint"),
        "newest_checkpoint": ("harness.checkpoints", "newest_checkpoint"),
        "AtomicCheckpointIO": ("harness.checkpoints", "AtomicCheckpointIO"),
    },
    "harness.main": {
        "FIRST": ("harness.messages", "is_rank_zero"),
        "main": ("__main__", "run"),
    },
}
# A constant that is a function now: each use becomes a call.
FIRST = "FIRST"

# In the project's tests, `harness.test_harness` was split as well.
OLD_TEST_MODULE = "harness.test_harness"
TEST_HELPERS = {
    "ModelSuite": "harness.model_suite",
    "ONE_PROCESS": "harness.project",
    "PACKAGE": "harness.project",
    "PROJECT": "harness.project",
    "QUICK": "harness.project",
    "ROOT": "harness.project",
    "command": "harness.project",
}

# Messages of the harness are worded differently. Tests that releases rendered quote these two.
QUOTED_MESSAGES = {
    "and the data have one": "and the data has one",
    "of 2 is 0: cut off one or more": "of 2 samples is 0",
}

# Modules of the harness that were removed or rewritten: the readers of the tasks' data, and others.
OLD_READERS = (
    "adversaries",
    "base",
    "boxes",
    "forecasts",
    "hub",
    "masks",
    "objects",
    "pictures",
    "readers",
    "samples",
    "scenes",
    "series",
    "streams",
    "tables",
    "texts",
)
REPLACED_MODULES = ("__init__", "cli", "loaders", "main", "optim", "runs")


@dataclass(frozen=True)
class Project:
    """What is needed to rewrite a file.

    Args:
        package: name of the package whose harness was updated.
        legacy_folder: the folder in it that has the old readers.
        legacy_modules: their names.
        line_length: of the owner's code.
    """

    package: str
    legacy_folder: str
    legacy_modules: frozenset[str]
    line_length: int

    def new_place(self, module: str, name: str) -> Place | None:
        """Where `from module import name` leads now; None if that did not change."""
        if module == OLD_TEST_MODULE and name in TEST_HELPERS:
            return Place(TEST_HELPERS[name], name)
        if not module.startswith(f"{self.package}.harness"):
            return None
        old_module = module.removeprefix(f"{self.package}.")
        if old_module == "harness" and name in self.legacy_modules:
            return self.place(self.legacy_folder, name)
        reader = old_module.removeprefix("harness.")
        if reader in self.legacy_modules:
            return self.place(f"{self.legacy_folder}.{reader}", name)
        if name in MOVED.get(old_module, {}):
            return self.place(*MOVED[old_module][name], keep_old_name=name != FIRST)
        return None

    def place(self, module: str, name: str, keep_old_name: bool = True) -> Place:
        return Place(f"{self.package}.{module}", name, keep_old_name)
