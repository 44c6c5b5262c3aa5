"""Sequences with their names, classes and the groups they are split by.

Training and test must share no locus, so every record has a group and splits are made of whole
groups. The group is the chromosome where the name reads ``chr:start-end`` (or a column says so),
else one of 100 buckets of a checksum that is the same for a sequence and its reverse complement,
so that neither duplicates nor their other strand straddle a split.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain, compress

import torch
from torch import Tensor

from .sequences import AMBIGUOUS_CODE, byte_codes

NUM_BUCKETS = 100

_LOCUS = re.compile(r"([^\s:]+):\d+-\d+")
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def group_of(name: str, sequence: str) -> str:
    """The chromosome of a name ``chr:start-end``, else the hash bucket of the sequence.

    Example:
        >>> group_of("chr7:100-200", "ACGT"), group_of("a", "AACG"), group_of("b", "cgtt")
        ('chr7', 'hash-54', 'hash-54')
    """
    match = _LOCUS.match(name)
    if match:
        return match.group(1)
    forward = sequence.upper()
    backward = forward.translate(_COMPLEMENT)[::-1]
    return f"hash-{zlib.crc32(min(forward, backward).encode()) % NUM_BUCKETS:02d}"


@dataclass(frozen=True)
class Records:
    """Sequences of one length with what is known of each.

    Attributes:
        tokens: int64 ``(N, L)``.
        names: one a record.
        labels: the class of each record, if there are classes.
        groups: what to split by, see the head of this file.
        num_skipped: how many records of the file were left out for ambiguous bases.
    """

    tokens: Tensor
    names: tuple[str, ...]
    labels: tuple[str, ...] | None
    groups: tuple[str, ...]
    num_skipped: int = 0

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def select(self, index: Tensor) -> Records:
        """The records at ``index``: int64 positions, or a bool mask ``(N,)``."""
        if index.dtype == torch.bool:
            index = index.nonzero().squeeze(-1)
        rows = index.tolist()
        return Records(
            tokens=self.tokens[index],
            names=tuple(self.names[i] for i in rows),
            labels=None if self.labels is None else tuple(self.labels[i] for i in rows),
            groups=tuple(self.groups[i] for i in rows),
            num_skipped=self.num_skipped,
        )

    def in_groups(self, groups: Collection[str]) -> Records:
        """The records of these groups; raises ``ValueError`` for a group that has none."""
        _check_known("group", groups, self.groups)
        return self.select(torch.tensor([group in groups for group in self.groups]))

    def with_label(self, label: str) -> Records:
        """The records of one class; raises ``ValueError`` naming the classes there are."""
        labels = self._labels()
        _check_known("label", [label], labels)
        return self.select(torch.tensor([each == label for each in labels]))

    def label_ids(self, classes: Sequence[str]) -> Tensor:
        """Position of each record's label in ``classes``, int64 ``(N,)``.

        Raises ``ValueError`` for records without labels or a label that is not in ``classes``.
        """
        labels = self._labels()
        _check_known("label", labels, classes)
        ids = {name: i for i, name in enumerate(classes)}
        return torch.tensor([ids[label] for label in labels])

    def unique(self) -> Records:
        """The first record of each distinct pair of sequence and label, in order."""
        rows = self.tokens.to(torch.uint8).numpy()
        labels = self.labels or ("",) * len(self)
        first: dict[tuple[bytes, str], int] = {}
        for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
            first.setdefault((row.tobytes(), label), i)
        return self.select(torch.tensor(list(first.values())))

    def _labels(self) -> tuple[str, ...]:
        if self.labels is None:
            raise ValueError("expected records with labels, got none; name a label or its column")
        return self.labels


def make_records(
    sequences: Sequence[str],
    names: Sequence[str],
    labels: Sequence[str] | None,
    groups: Sequence[str] | None,
    *,
    where: Callable[[int], str],
) -> Records:
    """Records of strings, without those that hold an ambiguity code.

    ``where(i)`` names record i in errors. Groups are derived where ``None``. Raises
    ``ValueError`` as `sequences.byte_codes` does, and if no record is left.
    """
    codes = byte_codes(sequences, where)
    keep = (codes != AMBIGUOUS_CODE).all(axis=1)
    if not keep.any():
        raise ValueError(
            f"{where(0)}: expected a sequence of ACGT, but all {len(sequences)} records hold "
            "ambiguous bases such as N"
        )
    if groups is None:
        groups = [group_of(*pair) for pair in zip(names, sequences, strict=True)]
    return Records(
        tokens=torch.from_numpy(codes[keep]).long(),
        names=tuple(compress(names, keep)),
        labels=None if labels is None else tuple(compress(labels, keep)),
        groups=tuple(compress(groups, keep)),
        num_skipped=int((~keep).sum()),
    )


def concatenate(parts: Sequence[Records]) -> Records:
    """Join records end to end.

    Raises ``ValueError`` for no part, lengths that differ, or labels in only some parts.
    """
    if not parts:
        raise ValueError("expected at least one set of records, got none")
    lengths = [part.tokens.shape[1] for part in parts]
    if len(set(lengths)) > 1:
        raise ValueError(f"expected sequences of one length, got lengths {lengths}")
    labels = [part.labels for part in parts if part.labels is not None]
    if labels and len(labels) < len(parts):
        raise ValueError(f"expected labels in all {len(parts)} parts, got them in {len(labels)}")
    return Records(
        tokens=torch.cat([part.tokens for part in parts]),
        names=tuple(chain.from_iterable(part.names for part in parts)),
        labels=tuple(chain.from_iterable(labels)) if labels else None,
        groups=tuple(chain.from_iterable(part.groups for part in parts)),
        num_skipped=sum(part.num_skipped for part in parts),
    )


def _check_known(what: str, wanted: Collection[str], known: Collection[str]) -> None:
    missing = sorted(set(wanted) - set(known))
    if missing:
        raise ValueError(
            f"unknown {what} {missing[0]!r}; there are {', '.join(sorted(set(known))) or 'none'}"
        )
