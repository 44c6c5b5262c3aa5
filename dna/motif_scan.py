"""Where motifs occur: every window of both strands scored by one convolution.

The log-odds matrix is the kernel over one-hot sequences; the other strand is scored with the
matrix reversed in both dimensions (A, C, G, T reversed is its complement), so that both scores of
a window share its coordinates. What a score means and when it is a hit: `dna.motifs`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .motifs import FALSE_POSITIVE_RATE, Motif
from .sequences import check_tokens, one_hot, reverse_complement

CHUNK = 4096


@dataclass(frozen=True)
class BestHits:
    """The best window of each sequence, all ``(N,)``.

    Attributes:
        score: in bits, float32.
        position: first base of the window on the given strand, from 0.
        strand: 0 as given, 1 the reverse complement.
    """

    score: Tensor
    position: Tensor
    strand: Tensor


def scan(tokens: Tensor, motif: Motif) -> Tensor:
    """Scores of all windows in bits, float32 ``(N, 2, L - W + 1)``; dim 1 is the strand.

    Raises ``ValueError`` for sequences shorter than the motif.
    """
    check_tokens(tokens)
    if tokens.shape[1] < motif.width:
        raise ValueError(
            f"expected sequences of at least {motif.width} bases, the width of motif "
            f"{motif.name}, got length {tokens.shape[1]}"
        )
    forward = motif.log_odds().to(tokens.device, torch.float32)
    kernel = torch.stack([forward, forward.flip(0, 1)])
    return torch.conv1d(one_hot(tokens).mT, kernel)


def best_hits(tokens: Tensor, motif: Motif) -> BestHits:
    """The best window of each sequence over both strands, hit or not.

    Example:
        >>> motif = Motif("AAC", torch.tensor([[9.0, 9, 0], [0, 0, 9], [0, 0, 0], [0, 0, 0]]))
        >>> hits = best_hits(torch.tensor([[2, 0, 0, 1], [2, 3, 3, 2]]), motif)  # GAAC, GTTG
        >>> hits.position, hits.strand
        (tensor([1, 0]), tensor([0, 1]))
    """
    chunks = []
    for rows in torch.split(tokens, CHUNK):
        scores = scan(rows, motif)
        score, index = scores.flatten(1).max(-1)
        windows = scores.shape[-1]
        chunks.append((score, index % windows, index // windows))
    score, position, strand = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    return BestHits(score=score, position=position, strand=strand)


def hit_rate(
    tokens: Tensor, motif: Motif, *, false_positive_rate: float = FALSE_POSITIVE_RATE
) -> float:
    """Fraction of sequences with a hit on either strand.

    Uniform random sequences have one with probability of about
    ``2 (L - W + 1) false_positive_rate``: 1.6% at length 100, width 19.
    """
    score = best_hits(tokens, motif).score
    return float((score >= motif.threshold(false_positive_rate)).double().mean())


def aligned_hits(
    tokens: Tensor, motif: Motif, *, false_positive_rate: float = FALSE_POSITIVE_RATE
) -> Tensor:
    """The best window of each sequence that has a hit, read along the motif: ``(M, W)``.

    Windows on the other strand are reverse complemented. M may be 0.
    """
    hits = best_hits(tokens, motif)
    rows = (hits.score >= motif.threshold(false_positive_rate)).nonzero().squeeze(-1)
    windows = tokens.unfold(1, motif.width, 1)[rows, hits.position[rows]]
    backward = hits.strand[rows].bool().unsqueeze(-1)
    return torch.where(backward, reverse_complement(windows), windows)


def hit_profile(
    tokens: Tensor, motif: Motif, *, false_positive_rate: float = FALSE_POSITIVE_RATE
) -> Tensor:
    """Fraction of sequences whose best window is a hit that starts there, ``(L - W + 1,)``.

    Float64; it sums to `hit_rate`.
    """
    hits = best_hits(tokens, motif)
    starts = hits.position[hits.score >= motif.threshold(false_positive_rate)]
    windows = tokens.shape[1] - motif.width + 1
    return torch.bincount(starts, minlength=windows).double() / tokens.shape[0]
