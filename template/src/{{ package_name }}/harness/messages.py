# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Messages to the person who runs a command."""

import os
import sys
from pathlib import Path

# SLURM_PROCID is also set in a shell inside a job, where no ranks were started; there it is 0.
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_rank_zero() -> bool:
    """True on global rank 0, the process that prints messages; known before torch is imported."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)


def note(text: str) -> None:
    """Print on stderr, from rank 0 only, something worth knowing that is not an error."""
    if is_rank_zero():
        print(f"note  {text}", file=sys.stderr)


def program_name() -> str:
    """The name the command was started by."""
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return f"python -m {path.parent.name}"
    return path.name
