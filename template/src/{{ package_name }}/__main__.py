"""The command line of this project. Yours: updates of the template leave this file alone.

This is the one place where the harness meets your code. If you move or rename `Model` or
`DataModule`, change the imports below.
"""

from .harness.cli import handled_without_torch, main


def run() -> None:
    """The entry point of the command, and of `python -m`."""
    if handled_without_torch():
        return

    # Not at the top of the file: both import torch, for which `--help` does not wait.
    from .data import DataModule
    from .model import Model

    main(Model, DataModule)


if __name__ == "__main__":
    run()
