"""Which documents to train on, and which to judge by: split by group, such as the author."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from seqflow.sampling import seeded_generator

from .documents import Document

PARTS = ("train", "validation", "test")


class Fractions(NamedTuple):
    """Shares of the characters, which add up to one.

    Attributes:
        train: to train on.
        validation: to judge by while training.
        test: to judge by in the end.
    """

    train: float = 0.9
    validation: float = 0.05
    test: float = 0.05


def check_fractions(fractions: Fractions) -> None:
    """Raise ``ValueError`` unless they are shares of a whole, and some is to train on."""
    if min(fractions) < 0 or fractions.train == 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            "expected three shares train, validation and test that add up to one, the first "
            f"above 0, got {', '.join(f'{each:g}' for each in fractions)}"
        )


def split_documents(
    documents: Sequence[Document], fractions: Fractions, *, seed: int = 0
) -> dict[str, list[Document]]:
    """Documents by part, whole groups at random, so that no group is in two parts.

    Sizes come as near to the fractions as groups allow. Where there are fewer groups than
    parts, every document is cut instead, by position: its beginning is to train on.

    Args:
        documents: at least one.
        fractions: of the characters.
        seed: of the order of groups.

    Returns:
        The documents of each of ``PARTS``; none for a fraction of 0.
    """
    check_fractions(fractions)
    sizes: dict[str, int] = {}
    for document in documents:
        sizes[document.group] = sizes.get(document.group, 0) + len(document.text)
    if len(sizes) < sum(share > 0 for share in fractions):
        return _by_position(documents, fractions)
    part = _assign(sizes, fractions, seed)
    return {name: [each for each in documents if part[each.group] == name] for name in PARTS}


def _assign(sizes: Mapping[str, int], fractions: Fractions, seed: int) -> dict[str, str]:
    """The part of each group: the first that has room for more than half of it."""
    names = list(sizes)
    order = torch.randperm(len(names), generator=seeded_generator(seed)).tolist()
    room = {name: fractions._asdict()[name] * sum(sizes.values()) for name in PARTS}
    part = {}
    for group in (names[i] for i in order):
        part[group] = next(
            (name for name in ("test", "validation") if room[name] > sizes[group] / 2), "train"
        )
        room[part[group]] -= sizes[group]
    for name, share in fractions._asdict().items():
        if share > 0 and name not in part.values():  # it fitted nowhere: take the smallest
            counts = {each: list(part.values()).count(each) for each in PARTS}
            free = [group for group in names if counts[part[group]] > 1]
            part[min(free, key=lambda group: sizes[group])] = name
    return part


def _by_position(documents: Sequence[Document], fractions: Fractions) -> dict[str, list[Document]]:
    """Every document cut in three."""
    parts: dict[str, list[Document]] = {name: [] for name in PARTS}
    for document in documents:
        size = len(document.text)
        first = round(size * fractions.train)
        second = round(size * (fractions.train + fractions.validation))
        pieces = (document.text[:first], document.text[first:second], document.text[second:])
        for name, piece in zip(PARTS, pieces, strict=True):
            if piece:
                parts[name].append(document._replace(text=piece))
    return parts
