# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What is fetched by name from the Hugging Face Hub: it needs the network, unless it is cached or a local folder."""

import json
import logging
from typing import Any

from . import UserError


def fetch(kind: Any, name: str, option: str = "data.encoder") -> Any:
    """A model, configuration or tokenizer (`AutoModel`, ...); from the cache if it is there, else over the network.

    Raises:
        UserError: when it cannot be had; it names the option that asked for it.
    """
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it says each time that it tries again
    try:
        try:
            return kind.from_pretrained(name, local_files_only=True)
        except OSError:
            return kind.from_pretrained(name)
    except Exception as error:  # offline, misspelt, private, with code of its own
        reason = " ".join(str(error).split())
        raise UserError(f"{option}={name} cannot be used: {reason:.200}") from error


def fetch_encoder(name: str, max_length: int) -> tuple[str, str]:
    """Tokenizer and configuration of an encoder, as JSON."""
    from transformers import AutoConfig, AutoTokenizer

    values, tokenizer = fetch(AutoConfig, name).to_dict(), fetch(AutoTokenizer, name)
    if values.get("is_encoder_decoder") or not tokenizer.is_fast:
        raise UserError(f"data.encoder={name} has a decoder, or a tokenizer in Python: choose a BERT, or the like")
    longest = min(tokenizer.model_max_length, values.get("max_position_embeddings") or max_length)
    if max_length > longest:
        raise UserError(f"data.max_length={max_length}: data.encoder={name} reads {longest} tokens at most")
    values = {key: value for key, value in values.items() if key not in ("dtype", "transformers_version")}
    tokens = tokenizer.backend_tokenizer
    tokens.enable_truncation(max_length)
    tokens.no_padding()
    return tokens.to_str(), json.dumps(values | {"_name_or_path": name}, sort_keys=True)


def fetch_rows(name: str) -> dict[str, Any]:
    """The splits of a dataset, which needs the extra `hub`; what is called `validation` is `val`."""
    try:
        from datasets import load_dataset

        return {str(split).replace("validation", "val"): rows for split, rows in load_dataset(name).items()}
    except Exception as error:  # not installed, offline, misspelt, private
        raise UserError(f"data.hub={name} cannot be used: {' '.join(str(error).split()):.200}") from error
