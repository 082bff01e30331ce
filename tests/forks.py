"""A project's command in processes of its own, forked from one that has imported the libraries: real, and quick."""

import gc
import importlib
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = """
    lightning.pytorch.cli torch.distributed.fsdp torch.utils.tensorboard torchmetrics.classification
    torchmetrics.detection torchvision.models.detection torchvision.transforms.v2 segmentation_models_pytorch timm
    transformers.modeling_utils peft pandas pyarrow.parquet matplotlib.pyplot sklearn.datasets rich.progress pytest
"""
CONTEXT.set_forkserver_preload(PRELOADED.split())


def fork(
    folder: Path,
    call: Callable[[], Any],
    environment: dict[str, str],
    ranks: int = 1,
    timeout: int = 120,
    preexec: Callable[[], None] | None = None,
) -> CompletedProcess[str]:
    """Call a function in a project's folder on so many ranks, as torchrun starts them; the exit code is rank 0's."""
    with TemporaryDirectory() as outputs:
        shared = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "TORCHELASTIC_RUN_ID": "tests"}
        shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "GROUP_RANK": "0"}
        processes = []
        for rank in range(ranks):
            own = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}
            group = processes[0].pid if processes else 0
            arguments = (folder, call, {**environment, **own}, f"{outputs}/{rank}", group, preexec)
            processes.append(CONTEXT.Process(target=child, args=arguments))
            processes[-1].start()
        deadline = time.monotonic() + timeout
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        late = [process for process in processes if process.is_alive()]
        for process in late:
            process.kill()
            process.join()
        said = [(Path(f"{outputs}/{rank}.{kind}").read_text()) for rank in range(ranks) for kind in ("out", "err")]
        assert not late, f"still running after {timeout} s: {said}"
        codes = [process.exitcode for process in processes]
        return CompletedProcess([], codes[0] or 0, "".join(said[::2]), said[1])


def child(
    folder: Path,
    call: Callable[[], Any],
    environment: dict[str, str],
    output: str,
    group: int,
    preexec: Callable[[], None] | None,
) -> None:
    """What a forked process does."""
    gc.freeze()  # no collection of garbage looks at the libraries
    for stream, kind in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}.{kind}", os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    for _ in range(100):
        try:
            os.setpgid(0, group)  # one signal reaches all ranks, as one that is sent to their launcher does
            break
        except PermissionError:  # rank 0 is not there yet
            time.sleep(0.01)
    multiprocessing.set_start_method("fork", force=True)  # which loaders' workers have in a process of its own
    if preexec:
        preexec()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(folder / "src"))
    sys.exit(call())


def command(package: str, args: list[str]) -> None:
    """A project's command."""
    sys.argv = [package, *args]
    importlib.import_module(f"{package}.harness.main").main()


def own_tests() -> int:
    """The tests of the project whose folder this is."""
    return int(
        importlib.import_module("pytest").main(
            ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore:Module already imported"]
        )
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
