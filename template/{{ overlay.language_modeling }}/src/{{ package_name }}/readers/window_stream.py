# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Training windows from files that are read one at a time, for text larger than memory."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from ..harness.errors import ErrorCollector
from .documents import Document, read_file
from .tokens import AnyTokenizer


class WindowStream:
    """Windows over files that are read again and again, each time in another order.

    A window is a dict with `tokens` (context + 1,), unsigned integers; `bytes`, the bytes of text
    that all tokens but the first stand for; and `input`, the name of the document it ends in.
    """

    def __init__(self, files: list[Path], context: int, tokenizer: AnyTokenizer) -> None:
        self.files = files
        self.context = context
        self.tokenizer = tokenizer

    def stream(self, seed: int) -> Iterator[dict]:
        """Windows without an end; the same ones for the same seed.

        Raises:
            UserError: when it reaches a file that cannot be read, or has errors in it.
        """
        for epoch in count():
            rest = np.zeros(0, np.uint8)
            for document in self.read_documents(seed, epoch):
                tokens = document.tokens
                if len(rest):
                    tokens = np.concatenate([rest, tokens])
                while len(tokens) > self.context:
                    window = tokens[: self.context + 1]
                    yield {
                        "tokens": window,
                        "bytes": self.tokenizer.predicted_bytes(window),
                        "input": document.name,
                    }
                    tokens = tokens[self.context :]
                rest = tokens

    def read_documents(self, seed: int, epoch: int) -> Iterator[Document]:
        """All documents, file by file."""
        generator = np.random.default_rng([seed, epoch])
        for i in generator.permutation(len(self.files)):
            errors = ErrorCollector()
            documents = read_file(self.files[i], self.tokenizer, errors)
            errors.raise_if_any()
            yield from documents
