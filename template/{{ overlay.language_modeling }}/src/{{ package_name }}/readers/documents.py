# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Documents as token ids: read from files or the Hub, held out, joined."""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..harness.errors import ErrorCollector, UserError
from ..harness.messages import note
from ..harness.splits import SPLITS, note_leaks
from .hub import load_hub_splits
from .text import list_files, read_texts
from .tokens import AnyTokenizer

DOMINANT_SHARE = 0.9  # of the tokens of `train`: a note says that one document has more


class Document(NamedTuple):
    """Token ids (T,), unsigned, and the document's name: FILE, FILE:LINE or SPLIT:ROW."""

    name: str
    tokens: np.ndarray


Splits = dict[str, list[Document]]


def read_splits(
    path: Path, tokenizer: AnyTokenizer, errors: ErrorCollector, pattern: str = "**/*"
) -> Splits:
    """The documents of a file, or of the files in a folder, by split.

    Files in the subfolders `val` and `test` are these splits, and all others are `train`.
    Splits without a document are left out; files and lines with errors are added to `errors`.
    """
    splits: Splits = {}
    for file in list_files(path, pattern):
        documents: list[Document] = []
        with errors:
            documents = read_file(file, tokenizer, errors)
        if documents:
            split = split_of(file, path)
            splits.setdefault(split, []).extend(documents)
    return splits


def split_of(file: Path, root: Path) -> str:
    """The split that a file below a folder belongs to."""
    for split in ("val", "test"):
        if root / split in file.parents:
            return split
    return "train"


def read_file(file: Path, tokenizer: AnyTokenizer, errors: ErrorCollector) -> list[Document]:
    """The documents of a file: token ids of `.npy`, the lines of `.jsonl`, or one text.

    Texts with errors are added to `errors` and left out.

    Raises:
        UserError: if the file cannot be read.
    """
    if file.suffix.lower() == ".npy":
        return [Document(str(file), read_token_file(file))]
    documents = []
    for place, text in read_texts(file, errors):
        with errors:
            tokens = tokenizer.encode(text, place)
            documents.append(Document(place, tokens))
    return documents


def read_token_file(file: Path) -> np.ndarray:
    """Token ids (T,) of a `.npy` file, which stays on disk, mapped into memory.

    Raises:
        UserError: if it cannot be read, or is not one dimension of unsigned integers.
    """
    try:
        tokens: Any = np.load(file, mmap_mode="c")  # copy on write: torch warns of read-only arrays
    except (OSError, EOFError, ValueError) as error:
        raise UserError(
            f"{file}: cannot be read; write it with numpy.save, or remove it"
        ) from error
    if not isinstance(tokens, np.ndarray):
        raise UserError(f"{file}: must be a single array; write it with numpy.save")
    is_unsigned = tokens.dtype.kind == "u" and tokens.dtype.isnative
    if tokens.ndim != 1 or not is_unsigned:
        raise UserError(
            f"{file}: token ids must be unsigned integers in one dimension,"
            f" not {tokens.dtype} of shape {tokens.shape}; convert them"
        )
    return tokens


def read_hub_splits(name: str, tokenizer: AnyTokenizer) -> Splits:
    """The column `text` of a Hub dataset's rows, by split.

    Empty splits, and splits with other names, such as `unsupervised`, are left out.

    Raises:
        UserError: if the dataset cannot be loaded or has no training texts, or with a line for
            each row that is not a text.
    """
    loaded = load_hub_splits(name)
    if not len(loaded.get("train", [])):
        raise UserError(
            f"data.hub={name} has no rows in a split train; it has {', '.join(loaded)};"
            " choose another dataset"
        )
    errors = ErrorCollector()
    splits: Splits = {}
    for split in SPLITS:
        rows = loaded.get(split, [])
        if len(rows):
            splits[split] = read_hub_rows(rows, split, f"data.hub={name}", tokenizer, errors)
    errors.raise_if_any()
    return splits


def read_hub_rows(
    rows: Any, split: str, hub: str, tokenizer: AnyTokenizer, errors: ErrorCollector
) -> list[Document]:
    """The documents of one split; `hub` names the dataset in error messages."""
    documents: list[Document] = []
    if "text" not in rows.column_names:
        columns = ", ".join(rows.column_names)
        errors.append(f"{hub}: {split} has no column text, only {columns}; choose another dataset")
        return documents
    for number, text in enumerate(rows["text"]):
        place = f"{hub}, row {number} of {split}"
        if not isinstance(text, str):
            errors.append(f"{place}: must be a text, got {text!s:.50}; choose another dataset")
            continue
        with errors:
            tokens = tokenizer.encode(text, place)
            documents.append(Document(f"{split}:{number}", tokens))
    return documents


def hold_out(
    documents: list[Document], fraction: float, seed: int
) -> tuple[list[Document], list[Document]]:
    """The documents that remain, and a random share of them; of a single document, its end.

    Raises:
        UserError: if the share is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise UserError(
            f"data.val_fraction and data.test_fraction must be between 0 and 1, got {fraction}"
        )
    if len(documents) == 1:
        return hold_out_end(documents[0], fraction)
    total = len(documents)
    order = np.random.default_rng(seed).permutation(total)
    shuffled = [documents[i] for i in order]
    count = round(fraction * total)
    count = min(max(count, 1), total - 1)
    return shuffled[count:], shuffled[:count]


def hold_out_end(document: Document, fraction: float) -> tuple[list[Document], list[Document]]:
    """The beginning of a document, and a share of it from its end."""
    name, tokens = document
    position = round(len(tokens) * (1 - fraction))
    beginning = Document(name, tokens[:position])
    end = Document(f"{name}+{position}", tokens[position:])
    return [beginning], [end]


def note_documents(splits: Mapping[str, list[Document]]) -> None:
    """Print a note if a document is in two splits, or if one is most of the training text."""
    hashes = {}
    for split, documents in splits.items():
        hashes[split] = hash_documents(documents)
    note_leaks(hashes)
    lengths = {name: len(tokens) for name, tokens in splits.get("train", [])}
    if len(lengths) < 2:
        return
    total = sum(lengths.values())
    longest = max(lengths, key=lengths.__getitem__)
    if lengths[longest] > DOMINANT_SHARE * total:
        share = lengths[longest] / total
        note(f"{longest} has {share:.0%} of the tokens of train; the model learns mostly that")


def hash_documents(documents: list[Document]) -> dict[str, bytes]:
    """A hash of each document that is not empty, by its name."""
    hashes = {}
    for name, tokens in documents:
        if len(tokens) > 1:  # more than the end token
            # Hashing the buffer leaves a token file on disk, which may be larger than memory.
            hashes[name] = blake2b(tokens.data).digest()
    return hashes


def check_vocabulary(splits: Splits, vocab_size: int) -> None:
    """Check that all token ids are below the size of the vocabulary.

    Raises:
        UserError: with a line for each document that has others.
    """
    errors = ErrorCollector()
    for documents in splits.values():
        for name, tokens in documents:
            largest = tokens.max(initial=0)
            if largest >= vocab_size:
                errors.append(
                    f"{name}: token ids must be below data.vocab_size={vocab_size},"
                    f" got {largest}; correct the file or the option"
                )
    errors.raise_if_any()


def join_documents(documents: list[Document], split: str) -> np.ndarray:
    """The token ids of a split's documents, end to end.

    Raises:
        UserError: if they are of several types.
    """
    token_arrays = [document.tokens for document in documents]
    types = sorted({str(tokens.dtype) for tokens in token_arrays})
    if len(types) > 1:
        raise UserError(
            f"{split}: token ids must be of one type, not {' and '.join(types)}; convert them"
        )
    if len(token_arrays) == 1:
        return token_arrays[0]  # a token file stays on disk
    return np.concatenate(token_arrays)
