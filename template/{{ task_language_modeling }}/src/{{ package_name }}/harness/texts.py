# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reading text as bytes, and refusing what is none: the file, the line or byte, the fix."""

import json
from glob import glob
from pathlib import Path

import numpy as np

from . import UserError

Documents = list[tuple[str, np.ndarray]]  # names and token ids


def list_files(path: Path, pattern: str = "**/*") -> list[Path]:
    names = sorted(glob(pattern, root_dir=path, recursive=True)) or [""]
    return [file for file in map(path.joinpath, names) if file.is_file()]


def read(path: Path, pattern: str = "**/*") -> dict[str, Documents]:
    """The splits of a file or folder: `.npy` files, lines of `.jsonl` files, other files as text; no hidden ones."""
    splits = {}
    for file in list_files(path, pattern):
        documents = splits.setdefault(next((s for s in ("val", "test") if path / s in file.parents), "train"), [])
        documents += read_file(file)
    return splits


def read_file(file: Path) -> Documents:
    line = 0
    try:
        if file.suffix == ".npy":
            return [(str(file), np.load(file, mmap_mode="c").ravel())]
        if file.suffix != ".jsonl":
            return [(str(file), encode(file.read_bytes().decode()))]
        documents = []
        for line, row in enumerate(file.read_bytes().decode().rstrip().split("\n"), start=1):
            documents.append((f"{file}:{line}", encode(json.loads(row)["text"])))
        return documents
    except UnicodeDecodeError as error:
        raise UserError(f"{file}, byte {error.start}: text is in UTF-8; convert it, or take it out") from error
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        rule = f'line {line} takes {{"text": "..."}}' if file.suffix == ".jsonl" else "it cannot be read"
        raise UserError(f"{file}: {rule}; correct it, or take it out") from error


def read_hub(name: str) -> dict[str, Documents]:
    """Needs the extra `hub`, and the network unless the dataset is cached or a local folder."""
    try:
        from datasets import load_dataset

        splits = {str(key).replace("validation", "val"): rows["text"] for key, rows in load_dataset(name).items()}
        return {key: [(f"{key}:{i}", encode(text)) for i, text in enumerate(texts)] for key, texts in splits.items()}
    except Exception as error:  # not installed, offline, misspelt, private, other columns
        raise UserError(f"data.hub={name} cannot be used: {error}".replace("\n", " ")) from error


def encode(text: str) -> np.ndarray:
    return np.frombuffer(bytearray(text.encode() + b"\0"), np.uint8)  # a copy, since torch warns of what is read-only


def cut(documents: Documents, fraction: float, seed: int) -> tuple[Documents, Documents]:
    """What remains of a split, and a share of its documents taken from it; of a single one, the end."""
    if not 0 < fraction < 1:
        raise UserError(f"data.val_fraction and data.test_fraction are between 0 and 1, not {fraction}")
    if len(documents) == 1:
        [(name, tokens)], at = documents, round(len(documents[0][1]) * (1 - fraction))
        return [(name, tokens[:at])], [(f"{name}+{at}", tokens[at:])]
    documents = [documents[i] for i in np.random.default_rng(seed).permutation(len(documents))]
    count = min(max(1, round(fraction * len(documents))), len(documents) - 1)
    return documents[count:], documents[:count]
