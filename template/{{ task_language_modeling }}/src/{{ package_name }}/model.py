"""A language model: a small decoder-only transformer. Yours: updates of the template leave it alone."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from .harness import UserError
from .harness.optim import adamw_warmup_cosine


class Model(LightningModule):
    """Cross-entropy on the next token.

    Args:
        vocab_size: filled in from the data.
        bytes_per_token: likewise; for bits per byte, which compare across tokenizers.
        depth: blocks.
        dim: width of the stream that the blocks read and add to.
        heads: attention heads; each is dim / heads wide.
        dropout: share of what a block adds that is left out; worth it where epochs repeat.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        vocab_size: int,
        bytes_per_token: float,
        depth: int = 4,
        dim: int = 128,
        heads: int = 4,
        dropout: float = 0.0,
        lr: float = 6e-3,
        weight_decay: float = 0.1,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if heads < 1 or dim % (2 * heads):
            raise UserError(f"model.dim is a multiple of 2 * model.heads = {2 * heads}, not {dim}: change one of them")
        self.net = Transformer(vocab_size, depth, dim, heads, dropout)

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, vocab_size) of what follows each of the tokens (B, T)."""
        return self.net(tokens)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        nats, bits = self.losses(batch["tokens"])
        self.log(f"{split}/loss", nats.mean(), prog_bar=True, sync_dist=split != "train", batch_size=len(nats))
        self.log(f"{split}/bits_per_byte", bits.mean(), sync_dist=split != "train", batch_size=len(nats))
        return nats.mean()

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        return {"input": batch["input"], "bits_per_byte": self.losses(batch["tokens"])[1]}

    def losses(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Nats per token (B,) and bits per byte (B,) of windows (B, T + 1), of which the last T are predicted."""
        logits = self(tokens[:, :-1].long()).float().transpose(1, 2)  # (B, T, V) -> (B, V, T)
        nats = F.cross_entropy(logits, tokens[:, 1:].long(), reduction="none").mean(dim=1)
        return nats, nats / math.log(2) / self.hparams.bytes_per_token


class Transformer(nn.Module):
    """GPT with rotary positions. B: batch, T: tokens, C: dim, nh: heads, hs: head size, V: vocabulary."""

    def __init__(self, vocab_size: int, depth: int, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(depth))
        self.head = nn.Sequential(nn.RMSNorm(dim), nn.Linear(dim, vocab_size, bias=False))
        nn.init.zeros_(self.head.get_parameter("1.weight"))  # all tokens start equally likely: a loss of ln(V)
        # Each pair of a head's features turns at its own speed (arXiv 2104.09864); bf16-true keeps integers exact.
        self.register_buffer("pairs", torch.arange(dim // heads // 2), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        speeds = 1e4 ** -(self.pairs.float() / len(self.pairs))  # (hs/2,)
        angles = torch.arange(tokens.shape[1], device=tokens.device)[:, None] * speeds  # (T, hs/2)
        x = self.embed(tokens)  # (B, T) -> (B, T, C)
        for block in self.blocks:
            x = block(x, angles.cos(), angles.sin())
        return self.head(x)  # (B, T, C) -> (B, T, V)


class Block(nn.Module):
    """Attention to the tokens so far, then an MLP; both add to what they read."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.norm, self.qkv, self.project = nn.RMSNorm(dim), nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.RMSNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, nh, T, hs)
        # Queries and keys, at unit scale so that attention stays soft (arXiv 2010.04245), turned.
        a, b = F.rms_norm(qkv[:2], qkv.shape[-1:]).chunk(2, dim=-1)  # each (2, B, nh, T, hs/2)
        q, k = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).type_as(qkv)
        y = F.scaled_dot_product_attention(q, k, qkv[2], is_causal=True)
        x = x + self.dropout(self.project(y.transpose(1, 2).flatten(2)))  # (B, nh, T, hs) -> (B, T, C)
        return x + self.dropout(self.mlp(x))
