"""A text classifier. Yours: updates of the template leave this file alone."""

import json
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from tokenizers import Tokenizer
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from transformers import AutoConfig, AutoModel, PretrainedConfig

from .harness.errors import UserError
from .harness.optim import adamw_warmup_cosine
from .harness.ranges import Range
from .readers.pretrained import load_pretrained

HASH_FACTOR = 1000003  # a prime, which spreads n-grams over the buckets
HASH_MODULUS = 2**31 - 1  # a prime, small enough that int64 does not overflow
EMBEDDING_STD = 0.1
MLP_RATIO = 2  # width of the small encoder's MLP, relative to the encoder's


class Model(LightningModule):
    """Minimizes the cross-entropy of the classes of texts.

    The steps take batches of `Texts` in data.py: `tokens` (B, T) int64; `mask` (B, T) bool, false
    for padding; and `label` (B,) int64, the index in `class_names`. Instead of `label`,
    `predict_step` reads `input` and `text`, lists of B strings.

    Args:
        class_names: filled in from the data, as are the next two.
        tokenizer: as the JSON of the `tokenizers` library.
        encoder_config: configuration of a Hub model, as JSON; without it, `depth`, `dim` and
            `heads` define a small encoder.
        depth: number of layers of the small encoder.
        dim: width of the small encoder and of the n-grams' embeddings.
        heads: attention heads of the small encoder.
        pretrained: start from the Hub model's weights, loaded when training starts.
        ngrams: length of the longest n-grams that are counted beside the encoder; 0 disables them.
        buckets: number of embeddings that the n-grams, which are hashed, share.
        dropout: share of the n-grams, and of the features before the last layers, that is dropped.
        lr: peak learning rate, after the warm-up.
        weight_decay: AdamW's weight decay, applied to matrices and kernels only.
        warmup_steps: optimizer steps until the peak, at most a tenth of the run.
        compile: compile the network with `torch.compile`.
    """

    hparams: Any

    def __init__(
        self,
        class_names: list[str],
        tokenizer: str,
        encoder_config: str = "",
        depth: Annotated[int, Range(min=1)] = 2,
        dim: Annotated[int, Range(min=1)] = 64,
        heads: Annotated[int, Range(min=1)] = 4,
        pretrained: bool = True,
        ngrams: Annotated[int, Range(min=0)] = 2,
        buckets: Annotated[int, Range(min=1)] = 32768,
        dropout: Annotated[float, Range(min=0, max=1)] = 0.5,
        lr: Annotated[float, Range(min=0)] = 1e-2,
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
        if encoder_config:
            config = AutoConfig.for_model(**json.loads(encoder_config))
        else:
            vocab_size = Tokenizer.from_str(tokenizer).get_vocab_size()
            config = small_encoder_config(vocab_size, depth, dim, heads)
        classes = len(class_names)
        self.net = Net(config, classes, ngrams, buckets, dim, dropout)
        metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro"),
                "f1": MulticlassF1Score(classes),
            }
        )
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")

    def setup(self, stage: str) -> None:
        wants_weights = self.hparams.encoder_config and self.hparams.pretrained
        if stage == "fit" and wants_weights and not self.trainer.ckpt_path:
            self.load_published_weights()

    def load_published_weights(self) -> None:
        """Replace the encoder's random weights by those of the Hub or of the local folder.

        Raises:
            UserError: if they cannot be loaded.
        """
        model_name = json.loads(self.hparams.encoder_config)["_name_or_path"]
        published = load_pretrained(AutoModel, model_name, "data.encoder").state_dict()
        weights = {name: published[name] for name in self.net.encoder.state_dict()}
        self.net.encoder.load_state_dict(weights)

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

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, T) int64; the mask (B, T) is false for padding."""
        return self.net(tokens, mask)

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: dict, batch_idx: int) -> None:
        self.step(batch, "test")

    def step(self, batch: dict, split: str) -> Tensor:
        """Log the loss and, except in training, the metrics; return the loss, a scalar."""
        logits = self(batch["tokens"], batch["mask"])  # (B, classes)
        labels = batch["label"]
        loss = F.cross_entropy(logits, labels)
        self.log(
            f"{split}/loss",
            loss,
            prog_bar=True,
            sync_dist=split != "train",
            batch_size=len(labels),
        )
        if split != "train":
            metrics = self.val_metrics if split == "val" else self.test_metrics
            metrics.update(logits, labels)
            self.log_dict(metrics, batch_size=len(labels))
        return loss

    def predict_step(self, batch: dict, batch_idx: int) -> dict:
        """Columns with the class of each text, and its probability from 0 to 1."""
        logits = self(batch["tokens"], batch["mask"])
        confidence, classes = logits.float().softmax(dim=-1).max(dim=-1)
        return {
            "input": batch["input"],
            "text": batch["text"],
            "prediction": [self.hparams.class_names[i] for i in classes.tolist()],
            "confidence": confidence,
        }


class Net(nn.Module):
    """The sum of two classifiers. B: batch, T: tokens, N: n-grams, C: width.

    One reads the mean of the tokens' states in a transformer encoder. The other, as fastText does
    (arXiv 1607.01759), reads the embeddings of hashed n-grams, which a few hundred texts suffice
    to train.
    """

    def __init__(
        self,
        config: PretrainedConfig,
        classes: int,
        ngrams: int,
        buckets: int,
        dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.ngrams = ngrams
        self.buckets = buckets
        self.encoder = AutoModel.from_config(config)
        if getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = None  # unused, and ddp stops at weights without a gradient
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.encoder.config.hidden_size, classes)
        nn.init.zeros_(self.head.weight)
        if ngrams:
            self.bag = nn.Embedding(buckets, dim)
            self.bag_head = nn.Linear(dim, classes)
            nn.init.normal_(self.bag.weight, std=EMBEDDING_STD)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits (B, classes) of tokens (B, T) int64; the mask (B, T) is false for padding."""
        states = self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, T, C)
        weights = mask[..., None].type_as(states)  # (B, T, 1)
        mean = (states * weights).sum(dim=1) / weights.sum(dim=1)  # (B, C)
        logits = self.head(self.dropout(mean))
        if self.ngrams:
            logits = logits + self.bag_head(self.dropout(self.sum_ngrams(tokens, mask)))
        return logits

    def sum_ngrams(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Sums (B, C) of n-grams' embeddings, over the root of their number to keep the scale."""
        hashes = tokens
        buckets = [hashes % self.buckets]
        masks = [mask]
        for n in range(1, self.ngrams):
            # Extends each n-gram by its next token: (B, T - n).
            hashes = (hashes[:, :-1] * HASH_FACTOR + tokens[:, n:]) % HASH_MODULUS
            buckets.append(hashes % self.buckets)
            masks.append(mask[:, n:])
        weights = torch.cat(masks, dim=1).type_as(self.bag.weight)
        weights = self.dropout(weights)[..., None]  # (B, N, 1)
        embeddings = self.bag(torch.cat(buckets, dim=1))  # (B, N, C)
        return (embeddings * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1).sqrt()


def small_encoder_config(vocab_size: int, depth: int, dim: int, heads: int) -> PretrainedConfig:
    """A ModernBERT (arXiv 2412.13663) whose layers all attend to the whole text."""
    return AutoConfig.for_model(
        "modernbert",
        vocab_size=vocab_size,
        hidden_size=dim,
        intermediate_size=MLP_RATIO * dim,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        layer_types=["full_attention"] * depth,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
        cls_token_id=None,
        sep_token_id=None,
    )
