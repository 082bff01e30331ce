"""A pretrained language model, with LoRA. Yours: updates of the template leave this file alone."""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from .readers.pretrained import load_pretrained

# peft's own names of the parts of a state_dict.
PEFT_PREFIX = "base_model.model."
PEFT_WRAPPED = ".base_layer."
PEFT_ADDED = ".lora_"


class BaseModel(nn.Module):
    """The network of a pretrained model, with LoRA (arXiv 2106.09685) on its linear layers.

    Args:
        config: its configuration, as JSON, with its name on the Hub in `_name_or_path`.
        lora_rank: rank of the changes, which alone are trained; 0 trains all weights.
    """

    net: Any

    def __init__(self, config: str, lora_rank: int) -> None:
        super().__init__()
        values = json.loads(config)
        self.name = values["_name_or_path"]
        self.end = values["eos_token_id"]
        self.net = AutoModelForCausalLM.from_config(AutoConfig.for_model(**values))
        if lora_rank:
            lora = LoraConfig(
                r=lora_rank,
                lora_alpha=2 * lora_rank,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            )
            # peft calls what transformers 5 deprecates.
            with warnings.catch_warnings(action="ignore"):
                self.net = get_peft_model(self.net, lora)

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Logits of the next token at each position.

        Args:
            tokens: (B, T) int64, from 0 to V - 1.
            documents: (B, T) int64, increasing: the number of each token's document. Positions
                restart in each document, which is how transformers keeps documents apart.

        Returns:
            (B, T, V) floats.
        """
        positions = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        if documents is not None:
            first_positions = torch.searchsorted(documents, documents)  # (B, T)
            positions = positions - first_positions
        return self.net(input_ids=tokens, position_ids=positions, use_cache=False).logits

    def load_published_weights(self) -> None:
        """Replace the random weights by those of the Hub or of the local folder.

        Raises:
            UserError: if they cannot be loaded.
        """
        published = load_pretrained(AutoModelForCausalLM, self.name, "data.base").state_dict()
        weights = {}
        for name in self.net.state_dict():
            if PEFT_ADDED not in name:
                published_name = name.removeprefix(PEFT_PREFIX).replace(PEFT_WRAPPED, ".")
                weights[name] = published[published_name]
        self.net.load_state_dict(weights, strict=False)

    def save_adapter(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write the weights that LoRA trained, for `peft.PeftModel.from_pretrained(base, folder)`.

        Args:
            folder: where to write them.
            state: the `state_dict` of the LightningModule that has this as `net`.
        """
        self.net.peft_config["default"].base_model_name_or_path = self.name
        weights = {name.removeprefix("net.net."): weight for name, weight in state.items()}
        self.net.save_pretrained(folder, state_dict=weights, save_embedding_layers=False)
