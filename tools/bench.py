"""What the harness adds to a step: its random seeds and its order, against a step of 10 ms."""

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import copier
from conftest import copy_template

STEP = 10_000  # microseconds


def microseconds(call: Callable[[], object], times: int) -> float:
    """The best of five rounds, since the machine has other things to do."""
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            call()
        rounds.append((time.perf_counter() - start) / times * 1e6)
    return min(rounds)


class Data:
    def __len__(self) -> int:
        return 64_000


def main() -> None:
    os.environ["PL_GLOBAL_SEED"] = "42"
    with tempfile.TemporaryDirectory() as folder:
        copier.run_copy(str(copy_template()), Path(folder), data={"project_name": "Bench"}, defaults=True, quiet=True)
        sys.path.insert(0, str(Path(folder) / "src"))
        loaders = importlib.import_module("bench.harness.loaders")
        seed = microseconds(lambda: loaders.seed_at(42, "step", 3, 141, 0), 2000)
        sampler = loaders.AddressedSampler(Data(), None, 64)
        order = microseconds(lambda: sum(1 for _ in sampler), 1) / 1000
        print(f"seeds of a step {seed:.1f} us, order of a batch of 64 {order:.1f} us: ", end="")
        print(f"{100 * (seed + order) / STEP:.2f} % of a 10 ms step")
        print(f"a sample's own seeds, in the process that draws it: {seed:.1f} us")
        if seed + order > STEP / 100:
            sys.exit("more than 1 %")


if __name__ == "__main__":
    main()
