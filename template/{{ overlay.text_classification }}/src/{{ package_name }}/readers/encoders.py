# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Text encoders of the Hugging Face Hub to start from."""

from transformers import AutoConfig, AutoTokenizer

from ..harness.errors import UserError
from .pretrained import Pretrained, config_to_json, load_pretrained


def read_encoder(name: str, max_length: int) -> Pretrained:
    """The configuration of an encoder, by its name or local folder, and its tokenizer.

    Args:
        name: the value of `data.encoder`.
        max_length: number of tokens after which the tokenizer truncates a text.

    Raises:
        UserError: if they cannot be loaded, it is another kind of model, or it reads fewer tokens.
    """
    config = load_pretrained(AutoConfig, name, "data.encoder")
    tokenizer = load_pretrained(AutoTokenizer, name, "data.encoder")
    if config.is_encoder_decoder or not tokenizer.is_fast:
        raise UserError(
            f"data.encoder={name} must be an encoder with a fast tokenizer; choose one like BERT"
        )
    positions = getattr(config, "max_position_embeddings", None) or max_length
    longest = min(tokenizer.model_max_length, positions)
    if max_length > longest:
        raise UserError(
            f"data.max_length={max_length} must be at most {longest}, which is what"
            f" data.encoder={name} reads; lower it"
        )
    fast_tokenizer = tokenizer.backend_tokenizer
    fast_tokenizer.enable_truncation(max_length)
    fast_tokenizer.no_padding()
    return Pretrained(config_to_json(config, name), fast_tokenizer.to_str())
