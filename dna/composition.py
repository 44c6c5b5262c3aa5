"""What sequences are made of: GC content and k-mers.

A k-mer is a number in base 4, ``sum_j token_{i+j} 4^(k-1-j)``; the windows of all sequences are
numbered at once and counted with one ``bincount``.

Two k-mer spectra P and Q are compared by the Jensen-Shannon distance, the square root of

    JSD(P, Q) = KL(P || M) / 2 + KL(Q || M) / 2,      M = (P + Q) / 2,

with base-2 logarithms: a metric between 0 and 1 (Lin 1991, IEEE Trans. Inf. Theory 37(1);
Endres and Schindelin 2003, IEEE Trans. Inf. Theory 49(7)). Two finite samples of one source are
not at 0 but near ``sqrt((4^k - 1) (1/n_P + 1/n_Q) / (8 ln 2))`` for n windows drawn
independently: compare distances of equal sample sizes, beside that of real with real.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .sequences import check_tokens


def gc_content(tokens: Tensor) -> Tensor:
    """Fraction of C and G in each sequence, float64 ``(N,)``.

    Example:
        >>> gc_content(torch.tensor([[0, 1, 2, 3], [1, 2, 2, 1]]))
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    check_tokens(tokens)
    return ((tokens == 1) | (tokens == 2)).double().mean(-1)


def base_counts(tokens: Tensor) -> Tensor:
    """How often each base occurs at each position, float64 ``(4, L)``.

    Example:
        >>> base_counts(torch.tensor([[0, 1], [0, 3]]))[0]
        tensor([2., 0.], dtype=torch.float64)
    """
    check_tokens(tokens)
    return torch.stack([(tokens == base).sum(0) for base in range(4)]).double()


def kmer_ids(tokens: Tensor, k: int) -> Tensor:
    """Number of the k-mer at each window, int64 ``(N, L - k + 1)``, below 4^k.

    Raises ``ValueError`` for a k outside 1..min(12, L).

    Example:
        >>> kmer_ids(torch.tensor([[0, 0, 1, 3]]), k=2)
        tensor([[0, 1, 7]])
    """
    check_tokens(tokens)
    length = tokens.shape[1]
    if not 1 <= k <= min(12, length):
        raise ValueError(f"expected k from 1 to {min(12, length)} (length {length}), got {k}")
    windows = length - k + 1
    ids = tokens[:, :windows].long()
    for j in range(1, k):
        ids = 4 * ids + tokens[:, j : j + windows]
    return ids


def count_kmers(tokens: Tensor, k: int) -> Tensor:
    """How often each k-mer occurs, int64 ``(4^k,)``, overlaps counted.

    Example:
        >>> count_kmers(torch.tensor([[0, 0, 1, 3]]), k=1)
        tensor([2, 1, 0, 1])
    """
    return torch.bincount(kmer_ids(tokens, k).flatten(), minlength=4**k)


def jensen_shannon_distance(p: Tensor, q: Tensor) -> float:
    """Square root of the Jensen-Shannon divergence in bits of two histograms ``(M,)``.

    Counts are normalised here. Raises ``ValueError`` for shapes that differ, negative or
    no counts.

    Example:
        >>> jensen_shannon_distance(torch.tensor([1, 0]), torch.tensor([0, 5]))
        1.0
    """
    if p.shape != q.shape or p.ndim != 1:
        raise ValueError(
            f"expected two histograms of one shape (M,), got {tuple(p.shape)} and {tuple(q.shape)}"
        )
    p, q = _normalise(p), _normalise(q)
    m = (p + q) / 2
    # xlogy(p, p) - xlogy(p, m), not xlogy(p, p / m): where both are 0 it is 0, not nan.
    nats = sum((torch.xlogy(r, r) - torch.xlogy(r, m)).sum().item() for r in (p, q)) / 2
    return math.sqrt(min(max(nats / math.log(2), 0.0), 1.0))


def kmer_distance(tokens: Tensor, reference: Tensor, k: int) -> float:
    """Jensen-Shannon distance of the k-mer spectra of two sets of sequences, in [0, 1]."""
    return jensen_shannon_distance(count_kmers(tokens, k), count_kmers(reference, k))


def _normalise(counts: Tensor) -> Tensor:
    counts = counts.double()
    total = counts.sum()
    if not bool((counts >= 0).all()) or not bool(total > 0):
        raise ValueError("expected counts that are not negative and not all 0")
    return counts / total
