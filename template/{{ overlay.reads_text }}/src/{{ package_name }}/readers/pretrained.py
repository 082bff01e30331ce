# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Pretrained models of the Hugging Face Hub: their weights, configurations and tokenizers."""

import json
import logging
from dataclasses import dataclass
from typing import Any

from transformers import PretrainedConfig
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from ..harness.errors import UserError
from .hub import one_line

# Entries of a configuration that say how its weights were saved, not what the network is.
NOT_ARCHITECTURE = ("dtype", "transformers_version")


@dataclass(frozen=True)
class Pretrained:
    """What a checkpoint keeps of a pretrained model, so that it loads without the Hub.

    Args:
        config: the model's configuration, as JSON; "" for none.
        tokenizer: the tokenizer, as the JSON of the `tokenizers` library.
    """

    config: str
    tokenizer: str


def load_pretrained(kind: Any, name: str, option: str) -> Any:
    """Load a model, configuration or tokenizer from the cache, or else over the network.

    Args:
        kind: one of the `Auto...` classes of transformers, such as `AutoModel`.
        name: its name on the Hub, or a local folder.
        option: the option with that name, for the error message.

    Raises:
        UserError: if it cannot be loaded.
    """
    disable_progress_bar()
    set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it logs every retry
    try:
        try:
            return kind.from_pretrained(name, local_files_only=True)
        except OSError:
            return kind.from_pretrained(name)
    except Exception as error:  # of many types: offline, misspelled, private, needs its own code
        reason = one_line(error)
        raise UserError(f"{option}={name} cannot be loaded: {reason}; check its name") from error


def config_to_json(config: PretrainedConfig, name: str) -> str:
    """A configuration that names its model in `_name_or_path`, with sorted keys."""
    entries = config.to_dict()
    for key in NOT_ARCHITECTURE:
        entries.pop(key, None)
    entries["_name_or_path"] = name
    return json.dumps(entries, sort_keys=True)
