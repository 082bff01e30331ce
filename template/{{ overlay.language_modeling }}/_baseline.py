"""Baseline for this task's scores: counts of bytes after the two bytes before them."""

from typing import Any

import numpy as np

BYTE_VALUES = 256
LONGEST_CONTEXT = 2  # bytes
SHORTER_CONTEXT_WEIGHT = 5  # as many observations as the shorter context's prediction counts for


def baseline(data: Any) -> dict[str, float]:
    """Bits per byte of a trigram model of the training text.

    Its predictions are mixed with those of bigrams, unigrams and chance: a context that was seen n
    times weighs n / (n + 5) against the shorter one (after Witten and Bell, arXiv cmp-lg/9606011).
    """
    train = predicted_bytes(data.windows["train"])
    test = predicted_bytes(data.windows["test"])
    probability = np.full(len(test) - LONGEST_CONTEXT, 1 / BYTE_VALUES)
    for order in range(LONGEST_CONTEXT + 1):
        counts = np.bincount(ngram_codes(train, order), minlength=BYTE_VALUES ** (order + 1))
        counts = counts.reshape(-1, BYTE_VALUES)  # context, next byte
        codes = ngram_codes(test, order)[LONGEST_CONTEXT - order :]
        contexts, bytes_ = np.divmod(codes, BYTE_VALUES)
        seen = counts.sum(axis=1)[contexts]
        shorter = SHORTER_CONTEXT_WEIGHT * probability
        probability = (counts[contexts, bytes_] + shorter) / (seen + SHORTER_CONTEXT_WEIGHT)
    return {"test/bits_per_byte": float(-np.log2(probability).mean())}


def predicted_bytes(windows: Any) -> np.ndarray:
    """The bytes of all windows, except the first of each, which is not predicted."""
    return np.concatenate([window["tokens"][1:] for window in windows]).astype(int)


def ngram_codes(text: np.ndarray, order: int) -> np.ndarray:
    """Each byte and the `order` bytes before it, as one number."""
    length = len(text) - order
    codes = np.zeros(length, int)
    for i in range(order + 1):
        codes = codes * BYTE_VALUES + text[i : length + i]
    return codes
