"""A text classifier: n-grams and a transformer. Yours: updates of the template leave it alone."""

import json
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from tokenizers import Tokenizer
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from transformers import AutoConfig, AutoModel

from .harness import UserError
from .harness.hub import fetch
from .harness.optim import adamw_warmup_cosine


class Model(LightningModule):
    """Cross-entropy on the logits of the classes.

    Args:
        class_names: filled in from the data, as are the next two.
        tokenizer: the JSON of the `tokenizers` library.
        encoder_config: the JSON of a Hub model's configuration; without it, the next three make a small encoder.
        depth: its layers.
        dim: its width.
        heads: its attention heads.
        pretrained: start from the Hub model's weights, fetched when training starts, not from random ones.
        ngrams: count runs of up to so many tokens beside the encoder; 0: leave them out.
        buckets: places for these runs, which are hashed.
        dropout: share of the n-grams, and of the features before the last layers, that is left out.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's, on matrices alone.
        warmup_steps: optimizer steps to the peak, at most a tenth of the run.
        compile: run the network through `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        tokenizer: str,
        encoder_config: str = "",
        depth: int = 2,
        dim: int = 64,
        heads: int = 4,
        pretrained: bool = True,
        ngrams: int = 2,
        buckets: int = 32768,
        dropout: float = 0.5,
        lr: float = 1e-2,
        weight_decay: float = 0.1,
        warmup_steps: int = 100,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if dim % (2 * heads):
            raise UserError(f"model.dim is a multiple of 2 * model.heads = {2 * heads}, not {dim}: change one of them")
        self.net = Net(self.hparams)
        accuracy = MulticlassAccuracy(len(class_names), average="micro")
        metrics = MetricCollection({"accuracy": accuracy, "f1": MulticlassF1Score(len(class_names))})
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")

    def setup(self, stage: str) -> None:
        name = json.loads(self.hparams.encoder_config or "{}").get("_name_or_path")
        if stage == "fit" and name and self.hparams.pretrained and not self.trainer.ckpt_path:
            weights = fetch(AutoModel, name).state_dict()
            self.net.encoder.load_state_dict({key: weights[key] for key in self.net.encoder.state_dict()})

    def configure_model(self) -> None:
        if self.hparams.compile:
            self.net.compile()  # in place: the checkpoint's keys stay those of the plain network

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return adamw_warmup_cosine(self, self.hparams.lr, self.hparams.weight_decay, self.hparams.warmup_steps)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, T), of which those count that the mask (B, T) says."""
        return self.net(tokens, mask)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        logits, labels = self(batch["tokens"], batch["mask"]), batch["label"]
        loss = F.cross_entropy(logits, labels)
        self.log(f"{split}/loss", loss, prog_bar=True, sync_dist=split != "train", batch_size=len(labels))
        if split != "train":
            metrics = self.val_metrics if split == "val" else self.test_metrics
            metrics.update(logits, labels)
            self.log_dict(metrics, batch_size=len(labels))
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        confidence, index = self(batch["tokens"], batch["mask"]).float().softmax(dim=-1).max(dim=-1)
        names = [self.hparams.class_names[i] for i in index.tolist()]
        return {"input": batch["input"], "text": batch["text"], "prediction": names, "confidence": confidence}


class Net(nn.Module):
    """The sum of two classifiers. B: batch, T: tokens, C: width.

    One reads the mean of the tokens' states in a transformer encoder; the other, as fastText does
    (arXiv 1607.01759), the mean of embeddings of hashed n-grams, which a few hundred texts can teach.
    """

    def __init__(self, hp: Any) -> None:
        super().__init__()
        self.hp, classes = hp, len(hp.class_names)
        self.encoder = AutoModel.from_config(encoder_config(hp))
        if getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = None  # it is not read, and weights without a gradient stop ddp
        self.dropout = nn.Dropout(hp.dropout)
        self.head = nn.Linear(self.encoder.config.hidden_size, classes)
        nn.init.zeros_(self.head.weight)
        if hp.ngrams:
            self.bag, self.bag_head = nn.Embedding(hp.buckets, hp.dim), nn.Linear(hp.dim, classes)
            nn.init.normal_(self.bag.weight, std=0.1)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        states = self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, T, C)
        weight = mask[..., None].type_as(states)
        logits = self.head(self.dropout((states * weight).sum(dim=1) / weight.sum(dim=1)))
        return logits + self.bag_head(self.dropout(self.count(tokens, mask))) if self.hp.ngrams else logits

    def count(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Sums (B, C) of the n-grams' embeddings, over the root of their number, which keeps their scale."""
        codes, runs, there = tokens, [], []
        for n in range(self.hp.ngrams):  # codes (B, T - n) of the runs of n + 1 tokens
            codes = (codes[:, :-1] * 1000003 + tokens[:, n:]) % (2**31 - 1) if n else tokens
            runs.append(codes % self.hp.buckets)
            there.append(mask[:, n:])
        weight = self.dropout(torch.cat(there, dim=1).type_as(self.bag.weight))[..., None]  # (B, N, 1)
        return (self.bag(torch.cat(runs, dim=1)) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1).sqrt()


def encoder_config(hp: Any) -> Any:
    """The Hub model's configuration, or a small ModernBERT's (arXiv 2412.13663), all of whose layers see all tokens."""
    if hp.encoder_config:
        return AutoConfig.for_model(**json.loads(hp.encoder_config))
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"))
    return AutoConfig.for_model(
        "modernbert",
        vocab_size=Tokenizer.from_str(hp.tokenizer).get_vocab_size(),
        hidden_size=hp.dim,
        intermediate_size=2 * hp.dim,
        num_hidden_layers=hp.depth,
        num_attention_heads=hp.heads,
        layer_types=["full_attention"] * hp.depth,
        pad_token_id=0,
        **ends,
    )
