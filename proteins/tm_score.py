r"""TM-score of two structures of the same residues: how much of a fold they share.

With d_i the distance of residue i after a superposition (Zhang and Skolnick 2004, Proteins 57),

    TM = max over rigid motions of  1/L sum_i 1 / (1 + (d_i / d_0)^2),
    d_0 = 1.24 (L - 15)^(1/3) - 1.8, at least 0.5 Angstrom.

1 is identity; two unrelated folds have about 0.2; above 0.5 they are held to be of one fold. As
1/(1 + s) is convex in s = d^2/d_0^2, it lies above its tangent, so a superposition with the
weights w_i = (1 + d_i^2/d_0^2)^-2 never lowers the sum (minorise and maximise). That climb is
started from the superposition of the whole chain and of contiguous fragments, all at once, and
the best end is taken. Residue i corresponds to residue i: no alignment is searched, so the
number is a lower bound of what TM-align looks for; `aligned_tm_score` asks that method.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .superposition import kabsch

STEPS = 12
"""Climbing steps; the third decimal of the score is settled after about ten."""

SHORTEST_FRAGMENT = 4
CHUNK = 1 << 22
"""Coordinates held by one chunk of pairs: bounds the memory."""


def tm_distance_scale(length: int) -> float:
    """d_0 in Angstrom of a chain of ``length`` residues.

    Example:
        >>> round(tm_distance_scale(100), 2), tm_distance_scale(10)
        (3.65, 0.5)
    """
    return max(1.24 * math.pow(max(length - 15, 0), 1 / 3) - 1.8, 0.5)


def tm_score(x: Tensor, y: Tensor, *, length: int | None = None) -> Tensor:
    """TM-score of CA traces ``(..., L, 3)``, residue by residue, ``(...)``, in (0, 1].

    Symmetric but for rounding and the luck of the climb. Gradients pass through the best
    superposition found.

    Args:
        x: in Angstrom.
        y: of a shape that broadcasts with it; L is the same.
        length: the length that sets d_0 and divides the sum; L if not given.

    Raises:
        ValueError: for points of another shape or length, or no residue.

    Example:
        >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 10
        >>> f"{tm_score(x, x + 7):.3f}"
        '1.000'
    """
    if x.shape[-2:] != y.shape[-2:] or x.ndim < 2 or x.shape[-1] != 3 or x.shape[-2] < 1:
        raise ValueError(
            f"expected CA traces (..., L, 3) of one length L >= 1, "
            f"got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    n = x.shape[-2]
    norm = n if length is None else length
    batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    pairs_x = x.expand(*batch, n, 3).reshape(-1, n, 3)
    pairs_y = y.expand(*batch, n, 3).reshape(-1, n, 3)
    seeds = fragment_masks(n).to(x.device, x.dtype)
    size = max(CHUNK // (len(seeds) * n * 3), 1)
    parts = [
        _best(u, v, seeds, tm_distance_scale(norm))
        for u, v in zip(pairs_x.split(size), pairs_y.split(size), strict=True)
    ]
    total = torch.cat(parts) if parts else pairs_x.new_zeros(0)
    return (total / norm).reshape(batch)


def fragment_masks(length: int) -> Tensor:
    """Where the climb starts: masks ``(S, L)`` of the whole chain, its halves and quarters.

    Fragments of one size overlap by half; none is shorter than four residues.
    """
    rows = [torch.ones(length, dtype=torch.bool)]
    for part in (2, 4):
        size = length // part
        if size < SHORTEST_FRAGMENT:
            break
        starts = torch.arange(0, length - size + 1, max(size // 2, 1))
        place = torch.arange(length)
        rows += list((place >= starts[:, None]) & (place < starts[:, None] + size))
    return torch.stack(rows)


def _best(x: Tensor, y: Tensor, seeds: Tensor, d_0: float) -> Tensor:
    """Sum of 1/(1 + d^2/d_0^2) at the best superposition, ``(P,)`` of pairs ``(P, L, 3)``."""
    x, y = x[:, None], y[:, None]
    with torch.no_grad():
        weights = seeds.expand(x.shape[0], *seeds.shape)
        for _ in range(STEPS):
            weights = _closeness(x, y, weights, d_0).square()
        best = _closeness(x, y, weights, d_0).sum(-1).argmax(-1)
        weights = weights[torch.arange(len(best), device=best.device), best][:, None]
    return _closeness(x, y, weights, d_0).sum((-2, -1))


def _closeness(x: Tensor, y: Tensor, weights: Tensor, d_0: float) -> Tensor:
    """1/(1 + d_i^2/d_0^2) after the superposition with these weights."""
    square = (kabsch(x, y, weights).apply(x) - y).square().sum(-1)
    return 1 / (1 + square / d_0**2)


def aligned_tm_score(x: Tensor, y: Tensor, sequences: tuple[str, str] | None = None) -> float:
    """TM-align's score of CA traces ``(L, 3)`` and ``(M, 3)``, divided by L.

    Searches the best alignment, 20 ms a pair. Needs the package tmtools, which is under the
    GNU General Public Licence: an extra of its own, ``pip install 'seqflow[tmalign]'``.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    from tmtools import tm_align

    first, second = sequences or ("A" * len(x), "A" * len(y))
    found = tm_align(x.double().cpu().numpy(), y.double().cpu().numpy(), first, second)
    return float(found.tm_norm_chain1)
