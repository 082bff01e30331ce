# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""A causal language model of the Hub to go on from, with its tokenizer, and LoRA."""

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from . import UserError
from .hub import fetch


class Base(nn.Module):
    """The network, with LoRA (arXiv 2106.09685) on its linear layers where a rank is given.

    Args:
        config: its configuration, as JSON.
        rank: of the changes, which are then all that is trained; 0: all weights are trained.
    """

    net: Any

    def __init__(self, config: str, rank: int) -> None:
        super().__init__()
        values = json.loads(config)
        self.name, self.end = values["_name_or_path"], values["eos_token_id"]
        self.net = AutoModelForCausalLM.from_config(AutoConfig.for_model(**values))
        if rank:
            kind = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
            with warnings.catch_warnings(action="ignore"):  # peft calls what transformers 5 deprecates
                self.net = get_peft_model(self.net, kind)

    def fetch(self) -> None:
        """Load the published weights."""
        weights = fetch(AutoModelForCausalLM, self.name, "data.base").state_dict()
        own = {k: k.removeprefix("base_model.model.").replace(".base_layer.", ".") for k in self.net.state_dict()}
        self.net.load_state_dict({k: weights[name] for k, name in own.items() if ".lora_" not in k}, strict=False)

    def save_adapter(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write what LoRA has trained, for `peft.PeftModel.from_pretrained(base, folder)`; `state` is the model's."""
        self.net.peft_config["default"].base_model_name_or_path = self.name
        own = {name.removeprefix("net.net."): value for name, value in state.items()}
        self.net.save_pretrained(folder, state_dict=own, save_embedding_layers=False)

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Logits (B, T, V). Positions start anew with each document (B, T), by which transformers tell them apart."""
        places = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        starts = 0 if documents is None else torch.searchsorted(documents, documents)
        return self.net(input_ids=tokens, position_ids=places - starts, use_cache=False).logits


def fetch_base(name: str) -> tuple[str, str]:
    """Configuration and tokenizer of a Hub model, as JSON."""
    config, tokenizer = fetch(AutoConfig, name, "data.base").to_dict(), fetch(AutoTokenizer, name, "data.base")
    if config.get("is_encoder_decoder") or not tokenizer.is_fast or not isinstance(config.get("eos_token_id"), int):
        raise UserError(f"data.base={name} is no causal model with one end token and a fast tokenizer: choose a GPT")
    values = {key: value for key, value in config.items() if key not in ("dtype", "transformers_version")}
    return json.dumps(values | {"_name_or_path": name}, sort_keys=True), tokenizer.backend_tokenizer.to_str()


@cache
def tokenizer_of(text: str) -> Tokenizer:
    return Tokenizer.from_str(text)


def decode(tokens: list[int], end: int, tokenizer: str) -> str:
    """The text of tokens up to the end of a document; without a tokenizer they are bytes."""
    tokens = tokens[: tokens.index(end)] if end in tokens else tokens
    return tokenizer_of(tokenizer).decode(tokens) if tokenizer else bytes(tokens).decode(errors="replace")


def text_size(tokens: np.ndarray, tokenizer: str) -> int:
    """Bytes of their text in UTF-8, where a part of a character, at an end, counts three: U+FFFD stands for it."""
    return len(decode(tokens.tolist(), -1, tokenizer).encode())
