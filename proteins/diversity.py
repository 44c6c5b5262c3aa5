"""Whether generated backbones differ from each other, and from what was learnt.

Diversity is the mean TM-score of pairs of samples of one length, averaged over lengths: lower is
more diverse, 0.2 to 0.3 is what unrelated folds have, 1 is one backbone again and again. Novelty
is judged by the largest TM-score with any training chain, on the sample's length: near 1
means a training structure recited.

A training chain has any length. The shorter chain is slid along the longer without gaps; every
place is scored after least-squares superposition, and the best few are climbed to their TM-score.
No gap is opened, so a recited chain is found for certain and a distant relative with
insertions may score lower than by alignment (`tm_score.aligned_tm_score`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .superposition import kabsch
from .tm_score import CHUNK, tm_distance_scale, tm_score

CANDIDATES = 5
"""Training chains, at their best places, whose TM-score is climbed."""


class Nearest(NamedTuple):
    """The training chain most like a sample.

    Attributes:
        score: TM-score, divided by the sample's length.
        chain: which training chain; -1 if there is none.
        start: the residue of the longer chain at which the shorter begins.
    """

    score: float
    chain: int
    start: int


class _Place(NamedTuple):
    """A gapless alignment and its score after least-squares superposition."""

    score: float
    chain: int
    start: int


def pairwise_tm(traces: Tensor) -> Tensor:
    """TM-scores of CA traces ``(B, L, 3)`` with each other, ``(B, B)``, 1 on the diagonal.

    Each pair is computed once. Raises ``ValueError`` as `tm_score.tm_score` does.
    """
    num = len(traces)
    i, j = torch.triu_indices(num, num, 1, device=traces.device)
    scores = torch.eye(num, dtype=traces.dtype, device=traces.device)
    if len(i):
        found = tm_score(traces[i], traces[j])
        scores[i, j] = found
        scores[j, i] = found
    return scores


def mean_pairwise_tm(traces: Sequence[Tensor]) -> float | None:
    """Mean TM-score of pairs of equal length, averaged over lengths; CA traces ``(L, 3)``.

    ``None`` if no two traces have one length.

    Example:
        >>> line = torch.arange(30.0)[:, None] * torch.tensor([3.8, 0.0, 0.0])
        >>> f"{mean_pairwise_tm([line, line + 1, line[:20]]):.3f}"
        '1.000'
    """
    by_length: dict[int, list[Tensor]] = {}
    for trace in traces:
        by_length.setdefault(len(trace), []).append(trace)
    means = []
    for group in by_length.values():
        if len(group) > 1:
            scores = pairwise_tm(torch.stack(group))
            means.append(float(scores.sum() - len(group)) / (len(group) * (len(group) - 1)))
    return sum(means) / len(means) if means else None


def nearest_training(sample: Tensor, training: Sequence[Tensor]) -> Nearest:
    """The training chain with the largest gapless TM-score; novelty is one minus its score.

    Args:
        sample: CA trace ``(L, 3)`` in Angstrom.
        training: CA traces ``(M, 3)`` of any lengths, on one device with the sample.

    Raises:
        ValueError: for an empty sample.
    """
    if sample.ndim != 2 or sample.shape[0] < 1 or sample.shape[1] != 3:
        raise ValueError(f"expected a CA trace (L, 3), L >= 1, got {tuple(sample.shape)}")
    by_length: dict[int, list[int]] = {}
    for chain, other in enumerate(training):
        by_length.setdefault(len(other), []).append(chain)
    places: list[_Place] = []
    for length, group in by_length.items():
        if length:
            places += _best_places(sample, torch.stack([training[i] for i in group]), group)
    best = Nearest(0.0, -1, 0)
    for place in sorted(places, reverse=True)[:CANDIDATES]:
        window, fixed = _align(sample, training[place.chain], place.start)
        score = float(tm_score(window, fixed, length=len(sample)))
        best = max(best, Nearest(score, place.chain, place.start))
    return best


def _best_places(sample: Tensor, others: Tensor, chains: Sequence[int]) -> list[_Place]:
    """The best place along each training chain of one length, ``(n, M, 3)``, all at once."""
    size = min(len(sample), others.shape[1])
    # (n or 1, places, size, 3): whichever is longer is cut into windows.
    ours, theirs = (x.unfold(1, size, 1).transpose(-1, -2) for x in (sample[None], others))
    d_0 = tm_distance_scale(len(sample))
    num = max(ours.shape[1], theirs.shape[1])
    places: list[tuple[float, int]] = []
    for part in theirs.split(max(CHUNK // (3 * num * size), 1)):
        square = (kabsch(ours, part).apply(ours) - part).square().sum(-1)
        best = ((1 / (1 + square / d_0**2)).sum(-1) / len(sample)).max(-1)
        places += zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [
        _Place(score, chain, start) for chain, (score, start) in zip(chains, places, strict=True)
    ]


def _align(sample: Tensor, other: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """The residues that correspond: of the longer chain from ``start``, and the shorter."""
    if len(other) >= len(sample):
        return sample, other[start : start + len(sample)]
    return sample[start : start + len(other)], other
