"""FASTA files, parsed by Biopython, read into and written from tokens.

A header is ``>name description``. Where every description holds a word ``label=NAME`` (as in
the files that are written here) it gives the class; a caller that knows the class of a whole
file passes it. The rule for letters is in `dna.sequences`, that for groups in `dna.records`.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from Bio.SeqIO.FastaIO import SimpleFastaParser
from torch import Tensor

from seqflow.files import read_text, replacing

from .records import Records, make_records
from .sequences import decode

_parse: Any = SimpleFastaParser  # Biopython is not annotated.
_LABEL = re.compile(r"(?:^|\s)label=(\S+)")


def read_fasta(path: str | Path, *, label: str | None = None) -> Records:
    """The records of a FASTA file, plain or gzipped; ``label`` is the class of all of them.

    Raises ``ValueError`` that names the file, and the record and position where there is
    one: no records, no header on the first line, ragged lengths, letters that are not DNA.
    """
    text = read_text(path).lstrip()
    if not text:
        raise ValueError(f"{path}: expected FASTA records, got an empty file")
    if not text.startswith(">"):
        start = text[:20].split("\n")[0]
        raise ValueError(f"{path}: expected a FASTA header '>name' first, got {start!r}")
    titles, sequences = zip(*_parse(StringIO(text)), strict=True)
    return make_records(
        sequences,
        [title.split(maxsplit=1)[0] if title else "" for title in titles],
        [label] * len(titles) if label is not None else _labels(titles),
        None,
        where=lambda i: f"{path}: record {i + 1} ({titles[i]!r})",
    )


def write_fasta(
    path: str | Path, tokens: Tensor, headers: Sequence[str], *, width: int | None = None
) -> None:
    """Write tokens ``(N, L)`` as FASTA, one header (without ``>``) each; ``-`` is stdout.

    Lines are wrapped at ``width`` letters, or not at all; a name that ends in ``.gz`` is
    compressed. A file appears when it is complete. Raises ``ValueError`` for headers that
    do not fit and for a path that cannot be written.

    Example:
        >>> import torch
        >>> write_fasta("-", torch.tensor([[0, 1, 2, 3]]), ["s1 label=demo"], width=3)
        >s1 label=demo
        ACG
        T
    """
    text = format_fasta(tokens, headers, width=width)
    if str(path) == "-":
        sys.stdout.write(text)
        return
    data = text.encode()
    with replacing(path) as temporary:
        # No time stamp, so that equal sequences make equal files.
        temporary.write_bytes(
            gzip.compress(data, 6, mtime=0) if Path(path).suffix == ".gz" else data
        )


def format_fasta(tokens: Tensor, headers: Sequence[str], *, width: int | None = None) -> str:
    """The text that `write_fasta` writes."""
    sequences = decode(tokens)
    if len(headers) != len(sequences):
        raise ValueError(f"expected {len(sequences)} headers, got {len(headers)}")
    if width is not None and width < 1:
        raise ValueError(f"expected a line width of at least 1, got {width}")
    for header in headers:
        if "\n" in header or "\r" in header:
            raise ValueError(f"expected a header of one line, got {header!r}")
    step = width or tokens.shape[1]
    starts = range(0, tokens.shape[1], step)
    return "".join(
        f">{header}\n" + "".join(f"{sequence[i : i + step]}\n" for i in starts)
        for header, sequence in zip(headers, sequences, strict=True)
    )


def _labels(titles: Sequence[str]) -> list[str] | None:
    found = [match.group(1) for match in map(_LABEL.search, titles) if match]
    return found if len(found) == len(titles) else None
