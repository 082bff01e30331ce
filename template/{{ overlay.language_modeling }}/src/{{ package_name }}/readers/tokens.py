# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Between text and token ids: as bytes, or with the tokenizer of a pretrained model."""

import json
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from ..harness.errors import UserError
from .pretrained import Pretrained


class ByteTokenizer:
    """Token ids are the bytes of the text in UTF-8, and a zero byte ends each document.

    Args:
        bytes_per_token: of token files, whose ids another tokenizer may have written.
    """

    end = 0

    def __init__(self, bytes_per_token: float = 1.0) -> None:
        self.bytes_per_token = bytes_per_token

    def encode(self, text: str, place: str) -> np.ndarray:
        """Token ids (T,) of a document, uint8, with the end token.

        Raises:
            UserError: if the text contains the end token; `place` is where the text is.
        """
        if "\0" in text:
            raise UserError(f"{place}: contains a zero byte, which ends a document; remove it")
        encoded = bytearray(text.encode())  # writable, else torch would warn about the array
        encoded.append(self.end)
        return np.frombuffer(encoded, np.uint8)

    def decode(self, ids: Sequence[int]) -> str:
        """The text; U+FFFD stands for bytes that are not UTF-8."""
        return bytes(ids).decode(errors="replace")

    def predicted_bytes(self, window: np.ndarray) -> int:
        """Bytes of text in a window's tokens, except the first, which is not predicted."""
        predicted_tokens = len(window) - 1
        return round(predicted_tokens * self.bytes_per_token)


class PretrainedTokenizer:
    """The tokenizer of a pretrained model, whose end-of-sequence token ends each document.

    Args:
        tokenizer: as the JSON of the `tokenizers` library.
        end: id of the end token.
    """

    def __init__(self, tokenizer: str, end: int) -> None:
        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.end = end

    def encode(self, text: str, place: str) -> np.ndarray:
        """Token ids (T,) of a document, uint32, with the end token."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        ids = [*encoding.ids, self.end]
        return np.array(ids, np.uint32)

    def decode(self, ids: Sequence[int]) -> str:
        """The text, without special tokens; U+FFFD stands for incomplete characters."""
        return self.tokenizer.decode(ids)

    def predicted_bytes(self, window: np.ndarray) -> int:
        """Bytes of text in a window's tokens, except the first, which is not predicted.

        An incomplete character at either end counts as the three bytes of U+FFFD.
        """
        first = window[:1]
        return self.count_bytes(window) - self.count_bytes(first)

    def count_bytes(self, ids: np.ndarray) -> int:
        text = self.decode(ids.tolist())
        return len(text.encode())


AnyTokenizer = ByteTokenizer | PretrainedTokenizer


def make_tokenizer(base: Pretrained, bytes_per_token: float = 1.0) -> AnyTokenizer:
    """The tokenizer of a base model, or bytes if there is no base model."""
    if not base.tokenizer:
        return ByteTokenizer(bytes_per_token)
    config = json.loads(base.config)
    return PretrainedTokenizer(base.tokenizer, end=config["eos_token_id"])
