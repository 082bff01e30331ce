# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Datasets of the Hugging Face Hub."""

from typing import Any

from ..harness.errors import UserError

MAX_REASON_CHARACTERS = 200


def load_hub_splits(name: str) -> dict[str, Any]:
    """Load a dataset by its name on the Hub, or from a local folder.

    It needs the extra `hub`, and the network unless the dataset is cached or a local folder.

    Returns:
        A `datasets.Dataset` for each split. The split `validation` is called `val`.

    Raises:
        UserError: if the dataset cannot be loaded.
    """
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise UserError(
            "data.hub needs the package `datasets`; run `uv sync --extra hub`"
        ) from error
    try:
        loaded = load_dataset(name)
    except Exception as error:  # of many types: offline, misspelled, private, damaged
        reason = one_line(error)
        raise UserError(f"data.hub={name} cannot be loaded: {reason}; check its name") from error
    return {str(split).replace("validation", "val"): rows for split, rows in loaded.items()}


def one_line(error: Exception) -> str:
    """The beginning of a library's message, without line breaks."""
    return " ".join(str(error).split())[:MAX_REASON_CHARACTERS]
