"""A project's command in processes of their own, forked from one that has imported the libraries.

They are real processes that can be killed, and start in milliseconds instead of ten seconds.
"""

import gc
import importlib
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any

PRELOADED = (
    "lightning.pytorch.cli",
    "torch.distributed.fsdp",
    "torch.utils.tensorboard",
    "torchmetrics.classification",
    "torchmetrics.detection",
    "torchvision.models.detection",
    "torchvision.transforms.v2",
    "segmentation_models_pytorch",
    "timm",
    "transformers.modeling_utils",
    "peft",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "sklearn.datasets",
    "rich.progress",
    "pytest",
)
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(list(PRELOADED))
LOCALHOST = "127.0.0.1"
# After so many seconds a process is taken to hang. No test comes near it, even on a busy machine.
TIMEOUT = 500


@dataclass
class Job:
    """What one forked process does, and where."""

    folder: Path
    call: Callable[[], Any]
    environment: dict[str, str]
    output: str  # the files of stdout and stderr, without their suffix
    prepare: Callable[[], None] | None = None
    process_group: int = 0  # 0: a group of its own

    def run(self) -> None:
        """Become the process that a terminal would have started."""
        gc.freeze()  # spares the collector from looking at the libraries
        redirect(sys.stdout, 1, f"{self.output}.out")
        redirect(sys.stderr, 2, f"{self.output}.err")
        join_group(self.process_group)
        # Loader workers are forked, as in a process that was started normally.
        multiprocessing.set_start_method("fork", force=True)
        if self.prepare:
            self.prepare()
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        sys.path.insert(0, str(self.folder / "src"))
        sys.exit(self.call())


def fork(
    folder: Path,
    call: Callable[[], Any],
    environment: dict[str, str],
    ranks: int = 1,
    timeout: int = TIMEOUT,
    prepare: Callable[[], None] | None = None,
) -> CompletedProcess[str]:
    """Call a function in a project's folder on several ranks, as torchrun would start them.

    Returns the exit code and the errors of rank 0, and the output of all ranks.
    """
    with TemporaryDirectory() as outputs:
        processes: list[BaseProcess] = []
        launcher = launcher_variables(ranks)
        for rank in range(ranks):
            variables = environment | launcher
            if ranks > 1:
                variables |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            job = Job(folder, call, variables, f"{outputs}/{rank}", prepare)
            if processes:
                job.process_group = processes[0].pid or 0
            process = CONTEXT.Process(target=job.run)
            process.start()
            processes.append(process)
        hanging = wait(processes, timeout)
        stdout = "".join(Path(f"{outputs}/{rank}.out").read_text() for rank in range(ranks))
        stderr = Path(f"{outputs}/0.err").read_text()
    assert not hanging, f"still running after {timeout} s:\n{stdout}\n{stderr}"
    return CompletedProcess([], processes[0].exitcode or 0, stdout, stderr)


def launcher_variables(ranks: int) -> dict[str, str]:
    """What torchrun sets for all ranks; nothing for a single process."""
    if ranks == 1:
        return {}
    return {
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "GROUP_RANK": "0",
        "MASTER_ADDR": LOCALHOST,
        "MASTER_PORT": str(free_port()),
        "TORCHELASTIC_RUN_ID": "tests",
    }


def wait(processes: list[BaseProcess], timeout: int) -> list[BaseProcess]:
    """Wait for the processes to end; kill and return those that do not."""
    deadline = time.monotonic() + timeout
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    hanging = [process for process in processes if process.is_alive()]
    for process in hanging:
        process.kill()
        process.join()
    return hanging


def redirect(stream: Any, descriptor: int, path: str) -> None:
    os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
    stream.reconfigure(line_buffering=True)


def join_group(group: int) -> None:
    """Join the process group of rank 0, so that one signal reaches all ranks.

    If rank 0 has ended, make another one: a rank in the group of the tests could kill these.
    """
    while True:
        try:
            os.setpgid(0, group)
        except PermissionError:  # rank 0 has not made its group yet, or has ended
            if not is_process(group):
                group = 0
            time.sleep(0.01)
        else:
            return


def is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as found:
        found.bind((LOCALHOST, 0))
        return found.getsockname()[1]


def run_command(package: str, arguments: list[str]) -> None:
    """Run a project's command in this process, as its console script does."""
    sys.argv = [package, *arguments]
    importlib.import_module(f"{package}.__main__").run()


def run_own_tests(*options: str) -> int:
    """Run the tests of the project in the current folder, with these options of pytest."""
    pytest = importlib.import_module("pytest")
    quiet = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore:Module already imported"]
    return int(pytest.main([*quiet, *options]))
