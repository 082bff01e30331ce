"""A language model: a small decoder-only transformer. Yours: updates of the template leave it alone."""

import math
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from .harness import UserError
from .harness.base import Base, decode
from .harness.optim import adamw_warmup_cosine


class Model(LightningModule):
    """Cross-entropy on the next token.

    Args:
        vocab_size: filled in from the data, as are the next three.
        context: tokens that `predict` looks back on.
        base_config: the base model's configuration, as JSON; without it, `depth`, `dim` and `heads` make a network.
        tokenizer: its tokenizer, as JSON; none for bytes.
        depth: blocks.
        dim: width of the stream that the blocks read and add to.
        heads: attention heads; each is dim / heads wide.
        dropout: share of what a block adds that is left out; worth it where epochs repeat.
        packed: a token sees those of its own document alone, not what stands before it in the window.
        pretrained: start from the base model's weights, fetched when training starts, not from random ones.
        lora_rank: train low-rank changes of the base model's weights alone; 0: all of its weights.
        new_tokens: what `predict` adds to a prompt, at most.
        temperature: of what it adds; 0: always the likeliest token.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any
    net: Any
    trainer: Any

    def __init__(
        self,
        vocab_size: int,
        context: int = 128,
        base_config: str = "",
        tokenizer: str = "",
        depth: int = 4,
        dim: int = 128,
        heads: int = 4,
        dropout: float = 0.0,
        packed: bool = False,
        pretrained: bool = True,
        lora_rank: int = 0,
        new_tokens: int = 64,
        temperature: float = 0.8,
        lr: float = 6e-3,
        weight_decay: float = 0.1,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if heads < 1 or dim % (2 * heads):
            raise UserError(f"model.dim is a multiple of 2 * model.heads = {2 * heads}, not {dim}: change one of them")
        if lora_rank < 0 or (lora_rank and not base_config):
            raise UserError(f"model.lora_rank={lora_rank} changes a base model's weights: set data.base, or leave it 0")
        if base_config:
            self.net = Base(base_config, lora_rank)
        else:
            self.net = Transformer(vocab_size, depth, dim, heads, dropout)
        self.end, self.clock = self.net.end, 0.0

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.hparams.base_config and self.hparams.pretrained and not self.trainer.ckpt_path:
            self.net.fetch()

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, vocab_size) of what follows each of the tokens (B, T)."""
        if not self.hparams.packed:
            return self.net(tokens)
        ends = (tokens == self.end).long()
        return self.net(tokens, ends.cumsum(dim=1) - ends)  # an end is of the document that it ends

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        nats, held = self.losses(batch["tokens"]), split != "train"
        size = batch["bytes"].sum().clamp(min=1)  # a batch of ends alone has none
        bits_per_byte = nats.mean() / math.log(2) * batch["tokens"][:, 1:].numel() / size
        self.log(f"{split}/loss", nats.mean(), prog_bar=True, sync_dist=held, batch_size=len(nats))
        # A mean that weighs by bytes is all bits over all bytes; a step of training has none, nor waits for the GPU.
        self.log(f"{split}/bits_per_byte", bits_per_byte, sync_dist=held, batch_size=int(size) if held else 1)
        return nats.mean()

    def on_train_batch_end(self, outputs: Any, batch: dict, batch_idx: int) -> None:
        before, self.clock = self.clock, time.perf_counter()
        if before:  # of all ranks, from the end of one batch to that of the next
            seen = batch["tokens"][:, 1:].numel() * self.trainer.world_size
            self.log("train/tokens_per_second", seen / (self.clock - before), prog_bar=True)

    def on_validation_start(self) -> None:
        self.clock = 0.0

    def on_train_end(self) -> None:
        if self.hparams.lora_rank and not self.trainer.fast_dev_run:
            state = self.trainer.strategy.lightning_module_state_dict()  # of all ranks' shards
            if self.trainer.is_global_zero:
                self.net.save_adapter(Path(self.trainer.default_root_dir) / "adapter", state)

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        return {**{k: batch[k] for k in ("input", "prompt")}, "prediction": [*map(self.complete, batch["tokens"])]}

    def complete(self, tokens: Tensor) -> str:
        """What may follow the tokens (T,); each takes as many steps, which ranks that share a network take together."""
        hp, added = self.hparams, tokens.long()
        for _ in range(hp.new_tokens):
            logits = self(added[None, -hp.context :])[0, -1].float()
            if hp.temperature:
                new = torch.multinomial((logits / hp.temperature).softmax(dim=-1), 1)
            else:
                new = logits.argmax(dim=-1, keepdim=True)
            added = torch.cat([added, new])
        return decode(added[len(tokens) :].tolist(), self.end, hp.tokenizer)

    def losses(self, tokens: Tensor) -> Tensor:
        """Nats per token (B,) of windows (B, T + 1), of which the last T are predicted."""
        logits = self(tokens[:, :-1].long()).float().transpose(1, 2)  # (B, T, V) -> (B, V, T)
        return F.cross_entropy(logits, tokens[:, 1:].long(), reduction="none").mean(dim=1)


class Transformer(nn.Module):
    """GPT with rotary positions. B: batch, T: tokens, C: dim, nh: heads, hs: head size, V: vocabulary."""

    end = 0  # the byte after each document

    def __init__(self, vocab_size: int, depth: int, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(depth))
        self.head = nn.Sequential(nn.RMSNorm(dim), nn.Linear(dim, vocab_size, bias=False))
        nn.init.zeros_(self.head.get_parameter("1.weight"))  # all tokens start equally likely: a loss of ln(V)
        # Each pair of a head's features turns at its own speed (arXiv 2104.09864); bf16-true keeps integers exact.
        self.register_buffer("pairs", torch.arange(dim // heads // 2), persistent=False)

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        mask = None  # all that stands before
        if documents is not None:
            mask = (documents[:, None, :, None] == documents[:, None, None, :]).tril()  # (B, 1, T, T)
        speeds = 1e4 ** -(self.pairs.float() / len(self.pairs))  # (hs/2,)
        angles = torch.arange(tokens.shape[1], device=tokens.device)[:, None] * speeds  # (T, hs/2)
        x = self.embed(tokens)  # (B, T) -> (B, T, C)
        for block in self.blocks:
            x = block(x, angles.cos(), angles.sin(), mask)
        return self.head(x)  # (B, T, C) -> (B, T, V)


class Block(nn.Module):
    """Attention to the tokens so far, then an MLP; both add to what they read."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.norm, self.qkv, self.project = nn.RMSNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.RMSNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        qkv = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, nh, T, hs)
        # Queries and keys, at unit scale so that attention stays soft (arXiv 2010.04245), turned.
        a, b = F.rms_norm(qkv[:2], qkv.shape[-1:]).chunk(2, dim=-1)  # each (2, B, nh, T, hs/2)
        q, k = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).type_as(qkv)
        y = F.scaled_dot_product_attention(q, k, qkv[2], mask, is_causal=mask is None)
        x = x + self.dropout(self.project(y.transpose(1, 2).flatten(2)))  # (B, nh, T, hs) -> (B, T, C)
        return x + self.dropout(self.mlp(x))
