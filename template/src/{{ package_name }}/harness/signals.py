# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Signals that ask a run to stop, and the loaders' workers, which ignore them."""

import atexit
import multiprocessing.util
import os
import signal
from functools import cache
from threading import current_thread, main_thread
from types import FrameType

SIGNAL_NAMES = ("SIGTERM", "SIGINT", "SIGUSR1")  # clusters send SIGUSR1 first; Windows lacks it


def stop_signals() -> list[signal.Signals]:
    """The signals that stop a run on this platform."""
    return [getattr(signal, name) for name in SIGNAL_NAMES if hasattr(signal, name)]


class StopRequest:
    """Remembers that a signal arrived; training looks at `received` between two steps."""

    def __init__(self) -> None:
        self.received = False

    def listen(self) -> None:
        """Install the handlers. Python allows that in the main thread only."""
        if current_thread() is not main_thread():
            return
        for number in stop_signals():
            signal.signal(number, self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.received = True


def ignore_signals(worker_id: int) -> None:
    """Keep a loader's worker alive when a signal reaches the whole process group.

    The main process answers the signal, and still needs its workers until the step ends.
    """
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


def kill_workers_at_exit() -> None:
    """Have this process kill the workers that it still has when it exits.

    Python ends such children with SIGTERM, which these ignore, and would wait for them forever: for
    instance if an exception refers to a loader that is not exhausted. torch waits for them as well.
    So call this after they have started, since what is registered last runs first.
    """
    atexit.unregister(kill_daemonic_children)
    atexit.register(kill_daemonic_children)
    kill_workers_when_multiprocessing_ends(os.getpid())


@cache
def kill_workers_when_multiprocessing_ends(pid: int) -> None:
    """The same for a process that multiprocessing has started, which leaves out atexit's functions.

    Once for each process: one that is forked has none of its parent's.
    """
    multiprocessing.util.Finalize(None, kill_daemonic_children, exitpriority=0)


def kill_daemonic_children() -> None:
    if hasattr(signal, "SIGCHLD"):
        # torch's handler reports a worker that was killed as an error.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
