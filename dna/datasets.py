"""The sequences that a configuration names, read, split and ready to train on."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch

from seqflow.objectives import Batch

from .fasta import read_fasta
from .records import Records, concatenate
from .sequences import reverse_complement
from .settings import DataSettings
from .tables import read_table


def read_records(data: DataSettings) -> Records:
    """All sequences of all classes; raises ``ValueError`` as the readers do."""
    if data.table is not None:
        own = data.table
        return read_table(own.path, sequence=own.sequence, label=own.label, group=own.group)
    return concatenate([read_fasta(path, label=label) for label, path in data.files.items()])


def labels_of(records: Records) -> list[str]:
    """The classes, in order of their first record."""
    return list(dict.fromkeys(records.labels or ()))


def select(records: Records, patterns: Sequence[str], *, key: str) -> Records:
    """The records whose group matches one of the patterns.

    Raises:
        ValueError: for a pattern that matches no group; ``key`` names the setting.
    """
    groups = sorted(set(records.groups))
    chosen: set[str] = set()
    for pattern in patterns:
        matching = {group for group in groups if fnmatchcase(group, pattern)}
        if not matching:
            raise ValueError(f"{key}: {pattern!r} matches no group; there are {', '.join(groups)}")
        chosen |= matching
    return records.in_groups(chosen)


def check_disjoint(**parts: Records) -> None:
    """Raise ``ValueError`` if two parts share a group."""
    names = list(parts)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            shared = set(parts[a].groups) & set(parts[b].groups)
            if shared:
                raise ValueError(f"{a} and {b} share the group {min(shared)}; split by groups")


def to_batch(records: Records, labels: Sequence[str]) -> Batch:
    """Tokens as ``x_1`` and class numbers as ``label``."""
    return {"x_1": records.tokens, "label": records.label_ids(labels)}


def either_strand(batch: Batch, generator: torch.Generator) -> Batch:
    """Each sequence, or its reverse complement, with equal probability."""
    x_1 = batch["x_1"]
    flip = torch.rand(len(x_1), 1, generator=generator) < 0.5
    return {**batch, "x_1": torch.where(flip, reverse_complement(x_1), x_1)}
