"""What this task's scores are held against: bytes counted by the two before them."""

from typing import Any

import numpy as np


def baseline(data: Any) -> dict[str, float]:
    """Bits per byte of a trigram model of the training text, mixed with its bigrams, unigrams and chance.

    A context seen n times weighs n / (n + 5) against the shorter one (Witten and Bell's idea, arXiv cmp-lg/9606011).
    """
    text = {name: np.concatenate([w["tokens"][1:] for w in data.windows[name]]) for name in ("train", "test")}
    test = text["test"].astype(int)
    chance = np.full(len(test) - 2, 1 / 256)
    for order in range(3):
        counts = np.bincount(codes(text["train"], order), minlength=256 ** (order + 1)).reshape(-1, 256)
        context, byte = np.divmod(codes(test, order)[2 - order :], 256)
        seen = counts.sum(axis=1)[context]
        chance = (counts[context, byte] + 5 * chance) / (seen + 5)
    return {"test/bits_per_byte": float(-np.log2(chance).mean())}


def codes(text: np.ndarray, order: int) -> np.ndarray:
    """Each byte with the `order` before it, as one number."""
    text = text.astype(int)
    return sum(text[i : len(text) - order + i] * 256 ** (order - i) for i in range(order + 1))
