# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reading text as tokens, and refusing what is none: the file, the line or byte, the fix."""

import json
from collections.abc import Callable, Iterator
from glob import glob
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from . import Faults, UserError, note, note_leaks
from .hub import fetch_rows

Documents = list[tuple[str, np.ndarray]]  # names and token ids


def encode(text: str) -> np.ndarray:
    """Its bytes, and a zero byte at the end."""
    if "\0" in text:
        raise UserError("a zero byte ends a document, and is in its midst; take it out")
    return np.frombuffer(bytearray(text.encode() + b"\0"), np.uint8)  # a copy, since torch warns of what is read-only


def list_files(path: Path, pattern: str = "**/*") -> list[Path]:
    names = sorted(glob(pattern, root_dir=path, recursive=True)) or [""]
    return [file for file in map(path.joinpath, names) if file.is_file()]


def read(
    path: Path,
    pattern: str = "**/*",
    encode: Callable[[str], np.ndarray] = encode,
    gathered: Faults | None = None,
) -> dict[str, Documents]:
    """The splits of a file or folder: `.npy` files, lines of `.jsonl` files, other files as text; no hidden ones.

    What is wrong with any is added to the faults gathered so far, or refused where there are none.
    """
    splits, faults = {}, Faults() if gathered is None else gathered
    for file in list_files(path, pattern):
        documents = splits.setdefault(next((s for s in ("val", "test") if path / s in file.parents), "train"), [])
        with faults:
            documents += read_file(file, encode)
    if gathered is None:
        faults.refuse()
    return {split: documents for split, documents in splits.items() if documents}


def read_file(file: Path, encode: Callable[[str], np.ndarray] = encode) -> Documents:
    """Its documents, with their names; a UserError has a line for each of the `.jsonl` lines that are none."""
    if (kind := file.suffix.lower()) == ".npy":
        return [(str(file), read_tokens(file))]
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise UserError(f"{file}: it cannot be read; correct it, or take it out") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}, byte {error.start}: text is in UTF-8; convert it, or take it out") from error
    faults, documents, rows = Faults(), [], kind == ".jsonl"
    lines = text.rstrip().split("\n") if rows else [text]
    for number, line in enumerate(lines, start=1):
        place, name = (f"{file}: line {number}", f"{file}:{number}") if rows else (file, str(file))
        try:
            row = json.loads(line) if rows else {"text": line}
            if not isinstance(row, dict) or not isinstance(row.get("text"), str):
                raise ValueError
            if rows and not row["text"].strip():
                faults.append(f"{place}: its text is blank; write some, or take the line out")
            documents.append((name, encode(row["text"])))
        except UserError as error:
            faults.append(f"{place}: {error}")
        except (ValueError, RecursionError):  # a lone surrogate, which JSON can spell, is no UTF-8
            faults.append(f'{place} takes {{"text": "..."}}; correct it, or take it out')
    faults.refuse()
    return documents


def read_tokens(file: Path) -> np.ndarray:
    try:
        tokens = np.load(file, mmap_mode="c")
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{file}: it cannot be read; write it by numpy.save, or take it out") from error
    if getattr(tokens, "ndim", 0) != 1 or tokens.dtype.kind not in "iu" or not tokens.dtype.isnative:
        found = f"{getattr(tokens, 'dtype', type(tokens).__name__)} of shape {getattr(tokens, 'shape', '()')}"
        raise UserError(f"{file}: token ids are one row of unsigned integers, not {found}; convert them")
    if tokens.dtype.kind == "i":
        raise UserError(
            f"{file} has {tokens.dtype} up to {tokens.max(initial=0)}: token ids are unsigned; convert them"
        )
    return tokens


def read_hub(name: str, encode: Callable[[str], np.ndarray] = encode) -> dict[str, Documents]:
    """The rows of `train`, `val` and `test`, where there are any; other splits, such as `unsupervised`, are left out.

    Needs the extra `hub`, and the network unless the dataset is cached or a local folder.
    """
    faults, there = Faults(), fetch_rows(name)
    splits = {split: there[split] for split in ("train", "val", "test") if len(there.get(split, ()))}
    if "train" not in splits:
        raise UserError(f"data.hub={name} has no rows in a split train; it has {', '.join(there)}: choose another")
    found: dict[str, Documents] = {split: [] for split in splits}
    for split, rows in splits.items():
        if "text" not in rows.column_names:
            faults.append(f"data.hub={name}: {split} has no column text, but {', '.join(rows.column_names)}")
            continue
        for row, text in enumerate(rows["text"]):
            try:
                found[split].append((f"{split}:{row}", encode(text)))
            except (UserError, TypeError, AttributeError) as error:  # the latter of what is no string
                reason = error if isinstance(error, UserError) else f"{text!s:.50} is no text"
                faults.append(f"data.hub={name}: row {row} of {split}: {reason}")
    faults.refuse()
    return found


def hold_out(documents: Documents, fraction: float, seed: int) -> tuple[Documents, Documents]:
    """What remains of a split, and a share of its documents taken from it; of a single one, the end."""
    if not 0 < fraction < 1:
        raise UserError(f"data.val_fraction and data.test_fraction are between 0 and 1, not {fraction}")
    if len(documents) == 1:
        [(name, tokens)], at = documents, round(len(documents[0][1]) * (1 - fraction))
        return [(name, tokens[:at])], [(f"{name}+{at}", tokens[at:])]
    documents = [documents[i] for i in np.random.default_rng(seed).permutation(len(documents))]
    count = min(max(1, round(fraction * len(documents))), len(documents) - 1)
    return documents[count:], documents[:count]


cut = hold_out  # its name in 0.4.0, by which data.py of then imports it


def note_documents(splits: dict[str, Documents]) -> None:
    """Say it when a document is in two splits, or one is most of the text."""
    # The hash reads a token file where it is mapped, which may be larger than memory.
    hashes = {split: {n: blake2b(t.data).digest() for n, t in found if len(t) > 1} for split, found in splits.items()}
    note_leaks(hashes)
    train = splits.get("train", [])
    total = sum(len(tokens) for _, tokens in train)
    name, longest = max(train, key=lambda document: len(document[1]), default=("", []))
    if len(train) > 1 and 10 * len(longest) > 9 * total:
        note(f"{name} has {len(longest) / total:.0%} of the tokens of train: what is learnt is mostly that")


def read_prompts(path: Path, encode: Callable[[str], np.ndarray] = encode) -> list[dict[str, Any]]:
    """The lines of a text file, or the documents of a `.jsonl` file."""
    if path.suffix.lower() == ".npy":
        raise UserError(f"data.predict_path={path}: prompts are lines of text, or .jsonl; token ids are none")
    documents = read_file(path, lambda text: np.frombuffer(text.encode(), np.uint8))
    texts = [(name, tokens.tobytes().decode()) for name, tokens in documents]
    if path.suffix.lower() != ".jsonl":
        texts = [(f"{path}:{i}", line) for i, line in enumerate(texts[0][1].splitlines(), start=1) if line.strip()]
    if not texts:
        raise UserError(f"data.predict_path={path} has no prompt: write one in each line")
    faults, found = Faults(), []
    for name, text in texts:
        try:
            found.append({"input": name, "prompt": text, "tokens": encode(text)[:-1]})
        except UserError as error:
            faults.append(f"{name}: {error}")
    faults.refuse()
    return found


class Prompts(list):
    """Dicts of `tokens` (T,), their text as `prompt`, and `input`, where it is; a batch has lists of them."""

    in_memory = True

    def __getitems__(self, indices: list[int]) -> dict[str, list]:
        return {name: [self[i][name] for i in indices] for name in ("input", "prompt", "tokens")}


class Stream:
    """Windows like those of `Windows`, over files that are read one at a time, again and again."""

    def __init__(self, files: list[Path], context: int, encode: Any, count_bytes: Any) -> None:
        self.files, self.context, self.encode, self.count_bytes = files, context, encode, count_bytes

    def stream(self, seed: int) -> Iterator[dict]:
        for turn in count():
            order, rest = np.random.default_rng([seed, turn]).permutation(len(self.files)), np.zeros(0, np.uint8)
            for name, tokens in (document for i in order for document in read_file(self.files[i], self.encode)):
                rest = np.concatenate([rest, tokens]) if len(rest) else tokens
                starts = range(0, len(rest) - self.context, self.context)
                for i in starts:
                    window = rest[i : i + self.context + 1]
                    yield {"tokens": window, "bytes": self.count_bytes(window), "input": name}
                rest = rest[len(starts) * self.context :]
