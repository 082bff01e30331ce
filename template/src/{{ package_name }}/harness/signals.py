# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Signals that ask a run to stop."""

import signal
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
