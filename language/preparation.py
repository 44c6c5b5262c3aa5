"""From text files to a corpus on disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .corpus import load_corpus, save_corpus
from .documents import Document, Documents, read_files, read_indexed
from .folding import fold
from .splits import PARTS, Fractions, check_fractions, split_documents
from .tokenizers import BytePairTokenizer, CharacterTokenizer, Tokenizer

SHOWN = 5
"""How many refused records are told one by one."""


def prepare(
    paths: Sequence[Path],
    out: Path,
    *,
    tokenizer: str = "character",
    vocabulary: int = 4096,
    folded: bool = False,
    by_line: bool = False,
    index: Path | None = None,
    group: str | None = None,
    fractions: Fractions | None = None,
    seed: int = 0,
) -> None:
    """Read documents, split them by group, encode and write them; report on stderr.

    Args:
        paths: text files, or folders of them.
        out: folder of the corpus.
        tokenizer: ``character`` or ``bpe``.
        vocabulary: of ``bpe``.
        folded: whether to fold texts to letters a-z and spaces.
        by_line: whether each line is a document, rather than each file.
        index: table of the documents in the one file.
        group: its column to split by.
        fractions: shares of train, validation and test.
        seed: of the split.

    Raises:
        ValueError: if nothing could be read, or options do not go together.
    """
    fractions = fractions or Fractions()
    check_fractions(fractions)
    read = _read(paths, by_line, index, group)
    _report_refused(read.refused)
    if not read.found:
        raise ValueError(
            "nothing could be read: " + "; ".join(read.refused[:SHOWN] or ["no file"])
        )
    documents = read.found
    if folded:
        documents = [each._replace(text=fold(each.text)) for each in documents]
    parts = split_documents(documents, fractions, seed=seed)
    if len({each.group for each in documents}) < sum(share > 0 for share in fractions):
        _say(
            f"note: too few groups to split by group ({len({each.group for each in documents})}); "
            "each document is cut by position, so the parts are of one text"
        )
    made = _tokenizer(tokenizer, documents, parts["train"], vocabulary, folded)
    description = {
        "files": [path.name for path in paths],
        "split": {"by": group or "document", "seed": seed, **fractions._asdict()},
    }
    save_corpus(out, made, parts, description)
    _report(out)


def _read(
    paths: Sequence[Path], by_line: bool, index: Path | None, group: str | None
) -> Documents:
    if index is None:
        if group:
            raise ValueError("--group names a column of a table: give it with --index")
        return read_files(paths, by_line=by_line)
    if len(paths) != 1 or by_line:
        raise ValueError("--index describes the documents of one text file: give just that file")
    return read_indexed(paths[0], index, group=group)


def _tokenizer(
    kind: str, documents: list[Document], train: list[Document], vocabulary: int, folded: bool
) -> Tokenizer:
    """Characters are of all documents, pieces of words learned from those to train on."""
    if kind == "character":
        return CharacterTokenizer.of((each.text for each in documents), folded=folded)
    texts = (each.text for each in train)
    return BytePairTokenizer.of(texts, vocabulary=vocabulary, folded=folded)


def _report_refused(refused: list[str]) -> None:
    for line in refused[:SHOWN]:
        _say(f"refused: {line}")
    if len(refused) > SHOWN:
        _say(f"refused: {len(refused) - SHOWN} more")


def _report(folder: Path) -> None:
    corpus = load_corpus(folder)
    for name in PARTS:
        if name in corpus.parts:
            part = corpus.parts[name]
            _say(
                f"{name}: {part.characters:,} characters in {len(part.tokens):,} tokens, "
                f"{len(part.groups)} groups"
            )
    _say(f"{corpus.tokenizer.num_classes} kinds of tokens")


def _say(message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201  # progress
