# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Causal language models of the Hugging Face Hub to start from."""

from transformers import AutoConfig, AutoTokenizer

from ..harness.errors import UserError
from .pretrained import Pretrained, config_to_json, load_pretrained


def read_base_model(name: str) -> Pretrained:
    """The configuration and tokenizer of a causal language model, by its name or local folder.

    Raises:
        UserError: if they cannot be loaded, or it is another kind of model.
    """
    config = load_pretrained(AutoConfig, name, "data.base")
    tokenizer = load_pretrained(AutoTokenizer, name, "data.base")
    has_one_end = isinstance(getattr(config, "eos_token_id", None), int)
    if config.is_encoder_decoder or not tokenizer.is_fast or not has_one_end:
        raise UserError(
            f"data.base={name} must be a causal language model with one end token"
            " and a fast tokenizer; choose a GPT"
        )
    return Pretrained(config_to_json(config, name), tokenizer.backend_tokenizer.to_str())
