"""The table that ``seqflow language evaluate`` makes: what texts cost a model, and more.

A text is a part of a corpus, or a file: of one text, of a text a line, or of samples as
``seqflow language sample`` writes them (``.jsonl``). For samples, the bits per character under
an autoregressive model that did not make them is their generative perplexity.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqflow.files import read_text, replacing

from .corpus import FILE, load_corpus
from .likelihood import bits
from .models import Generator
from .ngrams import ladder
from .statistics import text_statistics

Row = dict[str, float]


class Texts(NamedTuple):
    """Tokens to judge.

    Attributes:
        windows: int64 ``(N, L)``, one tensor a length.
        characters_per_token: of the whole text.
        sample: texts to count letters and words in.
    """

    windows: list[Tensor]
    characters_per_token: float
    sample: list[str]


def judge(
    generator: Generator,
    texts: Texts,
    *,
    num_draws: int = 16,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "cpu",
) -> Row:
    """The row of one set of texts; the arguments are those of `language.likelihood.bits`."""
    cost = bits(
        generator,
        texts.windows,
        texts.characters_per_token,
        num_draws=num_draws,
        seed=seed,
        batch_size=batch_size,
        device=device,
    )
    return {
        "bits/character": cost.per_character,
        "+-": cost.standard_error,
        "bits/token": cost.per_token,
        "tokens": cost.tokens,
    } | text_statistics(texts.sample)


def read_part(
    folder: Path, part: str, generator: Generator, *, num_windows: int | None = None
) -> Texts:
    """Windows of a part of a corpus.

    Raises:
        ValueError: if its tokens are not those of the model.
    """
    corpus = load_corpus(folder)
    if corpus.tokenizer.state() != generator.tokenizer.state():
        raise ValueError(
            f"the corpus {folder} was made with another tokenizer than the model; "
            "judge a text file instead, or prepare the corpus with the tokenizer of the model"
        )
    own = corpus.part(part)
    windows = own.windows(generator.spec.length, num_windows)
    sample = [corpus.tokenizer.decode(window.tolist()) for window in windows[:4096]]
    return Texts([windows], own.characters / len(own.tokens), sample)


def read_file(
    path: Path, generator: Generator, *, by_line: bool = False, num_windows: int | None = None
) -> Texts:
    """Windows of the texts in a file; raises ``ValueError`` for one that cannot be encoded."""
    texts = _read_texts(path, by_line)
    try:
        windows = split_windows(texts, generator)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    tokens = sum(each.numel() for each in windows)
    if num_windows is not None:
        windows = [each[:num_windows] for each in windows]
    return Texts(windows, sum(map(len, texts)) / tokens, texts)


def split_windows(texts: Sequence[str], generator: Generator) -> list[Tensor]:
    """All texts in windows as long as the model's, and what is left over; one tensor a length.

    Raises ``ValueError`` for a text that the model's tokenizer cannot write, or none at all.
    """
    length = generator.spec.length
    by_length: dict[int, list[Tensor]] = {}
    for number, text in enumerate(texts, 1):
        try:
            tokens = torch.from_numpy(generator.tokenizer.encode(text))
        except ValueError as error:
            raise ValueError(f"text {number}: {error}") from None
        for piece in tokens.split(length):
            if len(piece):
                by_length.setdefault(len(piece), []).append(piece)
    if not by_length:
        raise ValueError("expected a text, got none")
    return [torch.stack(pieces) for _, pieces in sorted(by_length.items(), reverse=True)]


def ladder_rows(folder: Path, part: str) -> dict[str, Row]:
    """What the whole part costs n-grams learned from the part ``train``, by name."""
    corpus = load_corpus(folder)
    own, train = corpus.part(part), corpus.part("train")
    ratio = own.characters / len(own.tokens)
    texts = np.asarray(train.tokens), np.asarray(own.tokens)
    found = ladder(*texts, corpus.tokenizer.num_classes)
    return {
        f"n-gram of order {order}": {
            "bits/character": cost / ratio,
            "bits/token": cost,
            "tokens": len(own.tokens),
        }
        for order, cost in found.items()
    }


def is_corpus(path: Path) -> bool:
    """Whether ``seqflow language prepare`` made the folder."""
    return (path / FILE).is_file()


def format_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Rows by name as Markdown."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_cell(column, row[column]) if column in row else "" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_table(path: Path, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Rows by name as CSV, whole or not at all."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", *columns])
        writer.writeheader()
        writer.writerows({"text": name, **row} for name, row in rows.items())


def _cell(column: str, value: float) -> str:
    return f"{value:.0f}" if column == "tokens" else f"{value:.3f}"


def _read_texts(path: Path, by_line: bool) -> list[str]:
    if path.suffix == ".html":
        raise ValueError(
            f"expected text, or samples in .jsonl, got {path}, whose tags would count as text; "
            "write samples with --out NAME.jsonl"
        )
    content = read_text(path)
    # Not splitlines: a text may hold U+2028 and its like, which JSON leaves as they are.
    lines = content.split("\n")
    if ".jsonl" in path.suffixes:
        return [_text_of(path, n, line) for n, line in enumerate(lines, 1) if line.strip()]
    return [line for line in lines if line] if by_line else [content]


def _text_of(path: Path, number: int, line: str) -> str:
    try:
        record: Any = json.loads(line)
        text = record["text"]
    except (json.JSONDecodeError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise ValueError(f'{path}: line {number}: expected {{"text": ...}}, got {line[:40]!r}')
    return text
