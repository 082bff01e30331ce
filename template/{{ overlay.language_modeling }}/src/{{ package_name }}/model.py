"""A decoder-only transformer. Yours: updates of the template leave this file alone."""

import math
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from .base_model import BaseModel
from .harness.errors import UserError
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range
from .readers.pretrained import Pretrained
from .readers.tokens import make_tokenizer

ROTARY_BASE = 1e4  # arXiv 2104.09864
MLP_RATIO = 4  # width of the MLP's hidden layer, relative to the transformer's


class Model(LightningModule):
    """Minimizes the cross-entropy of the next token.

    A batch of `training_step`, `validation_step` and `test_step` is a dict with
        tokens: (B, T + 1) unsigned integers below `vocab_size`; the last T are predicted;
        bytes: (B,) int64, the bytes of text that the last T tokens stand for.
    That of `predict_step` is described in `Prompts` in data.py.

    Args:
        vocab_size: filled in from the data, as are the next three.
        context: tokens that `predict` looks back on.
        base_config: configuration of the base model, as JSON; without it, `depth`, `dim` and
            `heads` define a network.
        tokenizer: tokenizer of the base model, as JSON; without it, tokens are bytes.
        depth: number of transformer blocks.
        dim: width of the transformer.
        heads: attention heads per block, each dim / heads wide.
        dropout: share of each block's output that is dropped; use it where epochs repeat.
        packed: a token sees its own document only, not what precedes that in the window.
        pretrained: start from the base model's weights, loaded when training starts.
        lora_rank: rank of LoRA's changes to the base model, which alone are trained; 0 trains
            all weights.
        new_tokens: number of tokens that `predict` adds to a prompt, at most.
        temperature: sampling temperature in `predict`; 0 always takes the most likely token.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.
    """

    hparams: Any
    net: Any
    trainer: Any

    def __init__(
        self,
        vocab_size: Annotated[int, Range(min=1)],
        context: Annotated[int, Range(min=1)] = 128,
        base_config: str = "",
        tokenizer: str = "",
        depth: Annotated[int, Range(min=1)] = 4,
        dim: Annotated[int, Range(min=1)] = 128,
        heads: Annotated[int, Range(min=1)] = 4,
        dropout: Annotated[float, Range(min=0, max=1)] = 0.0,
        packed: bool = False,
        pretrained: bool = True,
        lora_rank: Annotated[int, Range(min=0)] = 0,
        new_tokens: Annotated[int, Range(min=1)] = 64,
        temperature: float = 0.8,
        lr: Annotated[float, Range(min=0)] = 6e-3,
        weight_decay: Annotated[float, Range(min=0)] = 0.1,
        warmup_steps: Annotated[int, Range(min=0)] = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if dim % (2 * heads):
            raise UserError(
                f"model.dim must be a multiple of 2 * model.heads = {2 * heads}, got {dim};"
                " change one of them"
            )
        if lora_rank and not base_config:
            raise UserError(
                f"model.lora_rank={lora_rank} changes a base model; set data.base, or rank 0"
            )
        base = Pretrained(base_config, tokenizer)
        self.text_tokenizer = make_tokenizer(base)
        if base_config:
            self.net = BaseModel(base_config, lora_rank)
        else:
            self.net = Transformer(vocab_size, depth, dim, heads, dropout)
        self.last_batch_end = 0.0  # seconds, of time.perf_counter; 0 before the first batch

    def setup(self, stage: str) -> None:
        wants_weights = self.hparams.base_config and self.hparams.pretrained
        if stage == "fit" and wants_weights and not self.trainer.ckpt_path:
            self.net.load_published_weights()

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: checkpoint keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(
            self,
            lr=self.hparams.lr,
            weight_decay=self.hparams.weight_decay,
            warmup_steps=self.hparams.warmup_steps,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, vocab_size) of the token that follows each of the tokens (B, T), int64."""
        if not self.hparams.packed:
            return self.net(tokens)
        ends = (tokens == self.net.end).long()
        documents = ends.cumsum(dim=1) - ends  # an end token belongs to the document that it ends
        return self.net(tokens, documents)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        """Log the loss in nats per token and in bits per byte; return the former, a scalar."""
        training = split == "train"
        losses = self.losses(batch["tokens"])
        loss = losses.mean()
        self.log(
            f"{split}/loss",
            loss,
            prog_bar=True,
            sync_dist=not training,
            batch_size=len(losses),
        )
        predicted_tokens = batch["tokens"][:, 1:].numel()
        size = batch["bytes"].sum().clamp(min=1)  # a batch of nothing but end tokens has 0 bytes
        # Weighting batches by their bytes makes the mean all bits over all bytes. Training does not
        # weight, since reading the size would wait for the GPU.
        self.log(
            f"{split}/bits_per_byte",
            loss / math.log(2) * predicted_tokens / size,
            sync_dist=not training,
            batch_size=1 if training else int(size),
        )
        return loss

    def losses(self, tokens: Tensor) -> Tensor:
        """Mean nats per predicted token (B,) of windows (B, T + 1)."""
        inputs = tokens[:, :-1].long()
        targets = tokens[:, 1:].long()
        logits = self(inputs).float()  # (B, T, V)
        losses = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")  # (B, T)
        return losses.mean(dim=1)

    def on_train_batch_end(self, outputs: Any, batch: dict, batch_idx: int) -> None:
        now = time.perf_counter()
        if self.last_batch_end:
            seconds = now - self.last_batch_end
            tokens = batch["tokens"][:, 1:].numel() * self.trainer.world_size
            self.log("train/tokens_per_second", tokens / seconds, prog_bar=True)
        self.last_batch_end = now

    def on_validation_start(self) -> None:
        self.last_batch_end = 0.0  # the time of a validation does not count

    def on_train_end(self) -> None:
        if self.hparams.lora_rank and not self.trainer.fast_dev_run:
            # Every rank takes part, since the weights may be sharded.
            state = self.trainer.strategy.lightning_module_state_dict()
            if self.trainer.is_global_zero:
                run_folder = Path(self.trainer.default_root_dir)
                self.net.save_adapter(run_folder / "adapter", state)

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        """Complete each prompt; the batch has the keys of `Prompts` in data.py."""
        return {
            "input": batch["input"],
            "prompt": batch["prompt"],
            "prediction": [self.complete(tokens) for tokens in batch["tokens"]],
        }

    def complete(self, tokens: Tensor) -> str:
        """The text that may follow a prompt's tokens (T,), up to the end of the document.

        It always takes `new_tokens` steps, so that ranks that share a network stay together.
        """
        generated = tokens.long()
        for _ in range(self.hparams.new_tokens):
            visible = generated[-self.hparams.context :]
            logits = self(visible[None])[0, -1]  # (V,)
            chosen = self.choose_token(logits.float())
            generated = torch.cat([generated, chosen])
        ids = generated[len(tokens) :].tolist()
        if self.net.end in ids:
            length = ids.index(self.net.end)
            ids = ids[:length]
        return self.text_tokenizer.decode(ids)

    def choose_token(self, logits: Tensor) -> Tensor:
        """A token id (1,) drawn by its logits (V,), or the most likely one."""
        if self.hparams.temperature == 0:
            return logits.argmax(dim=-1, keepdim=True)
        logits = logits / self.hparams.temperature
        return torch.multinomial(logits.softmax(dim=-1), num_samples=1)


class Transformer(nn.Module):
    """GPT with rotary positions.

    B: batch, T: tokens, C: dim, nh: heads, hs: head size, V: vocabulary.
    """

    end = 0  # id of the token that ends each document

    def __init__(self, vocab_size: int, depth: int, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, dim)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(Block(dim, heads, dropout))
        norm = nn.RMSNorm(dim)
        output = nn.Linear(dim, vocab_size, bias=False)
        nn.init.zeros_(output.weight)  # all tokens start equally likely: a loss of ln(V)
        self.head = nn.Sequential(norm, output)
        # Integers, which bf16-true does not round; `forward` computes the angles from them.
        head_size = dim // heads
        self.register_buffer("pairs", torch.arange(head_size // 2), persistent=False)

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Logits of the next token at each position.

        Args:
            tokens: (B, T) int64, from 0 to V - 1.
            documents: (B, T) int64, the number of each token's document; attention stays inside.

        Returns:
            (B, T, V) floats.
        """
        mask = None  # every earlier token
        if documents is not None:
            same_document = documents[:, :, None] == documents[:, None, :]  # (B, T, T)
            mask = same_document.tril()[:, None]  # (B, 1, T, T)
        angles = self.rotary_angles(tokens)
        cos = angles.cos()
        sin = angles.sin()
        x = self.embed(tokens)  # (B, T) -> (B, T, C)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return self.head(x)  # (B, T, C) -> (B, T, V)

    def rotary_angles(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (T, hs/2): each pair of a head's features turns at its own speed."""
        pairs = self.pairs.float()
        speeds = ROTARY_BASE ** -(pairs / len(pairs))  # (hs/2,)
        length = tokens.shape[1]
        positions = torch.arange(length, device=tokens.device)
        return positions[:, None] * speeds


class Block(nn.Module):
    """Attention to the tokens so far, then an MLP; both add to what they read."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.RMSNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.RMSNorm(dim),
            nn.Linear(dim, MLP_RATIO * dim),
            nn.GELU(),
            nn.Linear(MLP_RATIO * dim, dim),
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, C) -> (B, T, C).

        Args:
            x: the stream.
            cos: (T, hs/2), of the rotary angles.
            sin: (T, hs/2), of the rotary angles.
            mask: (B, 1, T, T) bool, true where a token sees another; None for all earlier ones.
        """
        qkv = self.qkv(self.norm(x))  # (B, T, 3 * C)
        qkv = qkv.unflatten(-1, (3, self.heads, -1))  # (B, T, 3, nh, hs)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, B, nh, T, hs)
        head_size = qkv.shape[-1]
        # Queries and keys at unit scale, so that attention stays soft (arXiv 2010.04245).
        queries_keys = F.rms_norm(qkv[:2], (head_size,))
        queries, keys = rotate(queries_keys, cos, sin).type_as(qkv)
        y = F.scaled_dot_product_attention(
            queries,
            keys,
            value=qkv[2],
            attn_mask=mask,
            is_causal=mask is None,
        )
        y = y.transpose(1, 2).flatten(2)  # (B, nh, T, hs) -> (B, T, C)
        x = x + self.dropout(self.project(y))
        return x + self.dropout(self.mlp(x))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs of features of (..., T, hs) by their angles (T, hs/2) (arXiv 2104.09864)."""
    first, second = x.chunk(2, dim=-1)  # (..., T, hs/2) each
    turned_first = first * cos - second * sin
    turned_second = first * sin + second * cos
    return torch.cat([turned_first, turned_second], dim=-1)
