"""The files that ``seqflow dna evaluate`` reads and writes."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from seqflow.files import replacing

from .composition import base_counts
from .datasets import labels_of, select
from .fasta import read_fasta
from .judge import Judge
from .motif_scan import aligned_hits
from .plots import plot_logos
from .records import Records, concatenate

FASTA = (".fa", ".fasta", ".fa.gz", ".fasta.gz")


def read_sets(words: Sequence[str]) -> dict[str, tuple[str, Tensor]]:
    """Label and tokens of every set to judge, from words ``[LABEL=]FILE`` or folders.

    A file of several classes makes one set for each.

    Raises:
        ValueError: for sequences without a class, and as the reader does.
    """
    sets: dict[str, tuple[str, Tensor]] = {}
    for word in words:
        for path, label in _files(word):
            records = read_fasta(path, label=label)
            if records.labels is None:
                raise ValueError(f"{path}: no label= in its headers; say the class: LABEL={path}")
            for each in labels_of(records):
                sets[f"{path} {each}"] = (each, records.with_label(each).tokens)
    return sets


def read_references(words: Sequence[str], groups: Sequence[str] | None) -> dict[str, Tensor]:
    """Real tokens by class, from words ``LABEL=FILE``; of these groups only, if given.

    Raises:
        ValueError: for a word without label, an unknown group, and as the reader does.
    """
    parts: dict[str, list[Records]] = {}
    for word in words:
        label, equals, path = word.partition("=")
        if not equals:
            raise ValueError(f"expected LABEL=FILE, got {word!r}")
        parts.setdefault(label, []).append(read_fasta(path, label=label))
    joined = {label: concatenate(records) for label, records in parts.items()}
    if groups:
        joined = {
            label: select(records, groups, key="--groups") for label, records in joined.items()
        }
    return {label: records.tokens for label, records in joined.items()}


def write_table(path: Path, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Rows by name as CSV, whole or not at all."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["set", *columns])
        writer.writeheader()
        writer.writerows({"set": name, **row} for name, row in rows.items())


def draw_logos(folder: Path, judge: Judge, sets: Mapping[str, tuple[str, Tensor]]) -> None:
    """For every motif a picture of its sites, one logo a set; sets without a site are left out.

    Raises:
        ValueError: if the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"cannot write pictures to {folder}: {error.strerror}") from None
    for motif in judge.motifs:
        panels = {}
        for name, (_, tokens) in sets.items():
            hits = aligned_hits(tokens, motif)
            if len(hits):
                panels[f"{motif.name} in {len(hits)} of {len(tokens)}: {name}"] = base_counts(hits)
        if panels:
            plot_logos(folder / f"{motif.name.replace('/', '_')}.png", panels)


def _files(word: str) -> list[tuple[Path, str | None]]:
    """The files that a word of the command line means, each with its label if it is said."""
    label, equals, rest = word.partition("=")
    path, known = (Path(rest), label) if equals and not Path(word).exists() else (Path(word), None)
    if not path.is_dir():
        return [(path, known)]
    found = [each for each in sorted(path.iterdir()) if each.name.endswith(FASTA)]
    if not found:
        raise ValueError(f"no FASTA file in {path}; expected names that end in {', '.join(FASTA)}")
    return [(each, known) for each in found]
