"""A corpus on disk: tokens of each part in one flat file, and what they are in JSON.

A folder holds ``train.bin``, ``validation.bin`` and ``test.bin`` (little-endian unsigned
integers of 16 or 32 bits), ``tokenizer.json`` and ``corpus.json``. The tokens are mapped into
memory, so that a corpus may be larger than it. Documents follow one another, each with a
separator behind it; windows may reach over it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqflow.files import replacing

from .documents import Document
from .tokenizers import Tokenizer, load_tokenizer, save_tokenizer

FORMAT = 1
FILE = "corpus.json"


@dataclass(frozen=True, eq=False)
class Part:
    """The tokens of one part of a corpus.

    Attributes:
        name: such as ``test``.
        tokens: all of them, mapped into memory.
        characters: how many they stand for, separators included.
        groups: the groups of its documents, in order.
    """

    name: str
    tokens: NDArray[Any]
    characters: int
    groups: list[str]

    def windows(self, length: int, num: int | None = None) -> Tensor:
        """Windows that do not overlap, int64 ``(n, length)``, in order.

        Args:
            length: tokens of each.
            num: how many, evenly spread; all if None or more than there are.

        Raises:
            ValueError: if the part is shorter than one window, or no window is wanted.
        """
        there = len(self.tokens) // length
        if there == 0 or num == 0:
            raise ValueError(
                f"expected at least one window of {length} tokens in the part {self.name}, "
                f"which has {len(self.tokens)} tokens"
            )
        num = there if num is None else min(num, there)
        starts = torch.arange(num) * there // num * length
        return self.at(starts, length)

    def at(self, starts: Tensor, length: int) -> Tensor:
        """The windows that begin at ``starts``, int64 ``(n, length)``."""
        index = starts[:, None] + torch.arange(length)
        return torch.from_numpy(self.tokens[index.numpy()].astype(np.int64))


@dataclass(frozen=True, eq=False)
class Corpus:
    """What ``seqflow language prepare`` made.

    Attributes:
        folder: where from.
        tokenizer: reads the tokens.
        parts: by name; those that exist.
        description: the rest of ``corpus.json``, for people.
    """

    folder: Path
    tokenizer: Tokenizer
    parts: dict[str, Part]
    description: dict[str, Any]

    def part(self, name: str) -> Part:
        """A part; ``ValueError`` that names those there are."""
        if name not in self.parts:
            raise ValueError(
                f"no part {name!r} in {self.folder}; there are {', '.join(self.parts)}"
            )
        return self.parts[name]


def save_corpus(
    folder: Path,
    tokenizer: Tokenizer,
    parts: Mapping[str, Sequence[Document]],
    description: Mapping[str, Any],
) -> None:
    """Encode documents and write them, or replace those in the same folder.

    Raises:
        ValueError: if the folder cannot be written, or a document cannot be encoded.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write the corpus to {folder}: {error.strerror}") from None
    dtype = "<u2" if tokenizer.num_classes <= 2**16 else "<u4"
    entries = {}
    for name, documents in parts.items():
        if not documents:
            continue
        with replacing(folder / f"{name}.bin") as path, path.open("wb") as file:
            num = sum(_write(file, document, tokenizer, dtype) for document in documents)
        entries[name] = {
            "tokens": num,
            "characters": sum(len(document.text) + 1 for document in documents),
            "documents": len(documents),
            "groups": list(dict.fromkeys(document.group for document in documents)),
        }
    save_tokenizer(folder, tokenizer)
    content = {"format": FORMAT, "dtype": dtype, "parts": entries} | dict(description)
    with replacing(folder / FILE) as path:  # last, because a folder without it is no corpus
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def load_corpus(folder: Path) -> Corpus:
    """Open a corpus; raises ``ValueError`` if it is none, or damaged."""
    path = folder / FILE
    if not path.is_file():
        raise ValueError(
            f"no corpus in {folder}: there is no {FILE}; make one with: "
            f"seqflow language prepare FILE... --out {folder}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        dtype, entries = content.pop("dtype"), content.pop("parts")
        parts = {name: _open(folder, name, dtype, entry) for name, entry in entries.items()}
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"damaged corpus: {path} cannot be used ({error})") from None
    return Corpus(folder, load_tokenizer(folder), parts, content)


def _open(folder: Path, name: str, dtype: str, entry: Mapping[str, Any]) -> Part:
    tokens = np.memmap(folder / f"{name}.bin", dtype=dtype, mode="r")
    if len(tokens) != entry["tokens"]:
        raise ValueError(f"expected {entry['tokens']} tokens in {name}.bin, got {len(tokens)}")
    return Part(name, tokens, entry["characters"], entry["groups"])


def _write(file: Any, document: Document, tokenizer: Tokenizer, dtype: str) -> int:
    """Append one document and its separator; returns how many tokens."""
    try:
        tokens = tokenizer.encode(document.text)
    except ValueError as error:
        raise ValueError(f"{document.name}: {error}") from None
    file.write(np.append(tokens, tokenizer.separator).astype(dtype).tobytes())
    return len(tokens) + 1
