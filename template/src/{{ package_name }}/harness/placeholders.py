# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Fills in placeholders of a configuration, such as `{run_dir}`; trainer.yaml explains them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace


def fill_placeholders(value: Any, names: Mapping[str, str]) -> Any:
    """Replace placeholders in all strings and paths of a configuration.

    Args:
        value: a configuration, or a part of it; namespaces and dicts are changed in place.
        names: what to put in the place of each placeholder, such as `{run}`.

    Returns:
        The value with the placeholders replaced.
    """
    if isinstance(value, str | Path):
        text = str(value)
        for placeholder, replacement in names.items():
            text = text.replace(placeholder, replacement)
        return type(value)(text)
    if isinstance(value, list | tuple | set):
        return type(value)(fill_placeholders(item, names) for item in value)
    if isinstance(value, argparse.Namespace | Namespace):
        fill_mapping(vars(value), names)
    elif isinstance(value, dict):
        fill_mapping(value, names)
    return value


def fill_mapping(mapping: dict[str, Any], names: Mapping[str, str]) -> None:
    for key, item in mapping.items():
        mapping[key] = fill_placeholders(item, names)
