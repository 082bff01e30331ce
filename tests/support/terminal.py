"""Copier's questions in a terminal, as a person sees and answers them."""

import os
import sys
import time
import warnings
from pathlib import Path

import pexpect
import pyte

COLUMNS = 80
# Enough for the questions and for the list of files below them, so that nothing scrolls away.
ROWS = 200
DOWN = "\x1b[B"
ENTER = "\r"
SPACE = " "
CTRL_C = "\x03"
# Seconds until `copier copy` is taken to hang; it takes one or two.
TIMEOUT = 300
CLEAR = "\x7f" * 20
# How each question that is asked starts.
STARTS = {
    "project_name": "What is the project called?",
    "task": "What will the model do?",
    "accelerator": "Where will it run?",
    "strategy": "How do several devices",
    "precision": "Which number format",
    "logger": "Where do metrics go?",
    "ci": "Where will the tests run",
}


class Terminal:
    """Copier's command in a terminal of 80 columns; `screen` is what a person sees.

    Args:
        arguments: of the command.
        folder: in which it runs.
    """

    def __init__(self, *arguments: str, folder: Path) -> None:
        self.display = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.Stream(self.display)
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork in a process with threads, and torch has some.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.child = pexpect.spawn(
                sys.executable,
                ["-m", "copier", *arguments],
                cwd=str(folder),
                env=os.environ | {"TERM": "xterm-256color"},
                dimensions=(ROWS, COLUMNS),
                encoding="utf-8",
            )
        # The prompt asks the terminal where the cursor is.
        self.display.write_process_input = self.child.send

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self.display.display).rstrip()

    def feed(self, seconds: float) -> bool:
        """Read what arrives within this time; False if nothing does."""
        try:
            self.stream.feed(self.child.read_nonblocking(65536, timeout=seconds))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        return True

    def wait_for(self, text: str) -> str:
        """Wait until a text is on the screen and nothing more arrives; return the screen."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.screen and self.child.isalive() and time.monotonic() < deadline:
            self.feed(0.1)
        while self.feed(0.3):
            pass
        assert text in self.screen, self.screen
        return self.screen

    def wait_for_question(self, name: str) -> None:
        self.wait_for(STARTS[name])

    def wait_for_end(self) -> int:
        """Wait until the program ends; return its exit code."""
        while self.child.isalive():
            self.feed(0.1)
        self.child.close()
        return self.child.exitstatus
