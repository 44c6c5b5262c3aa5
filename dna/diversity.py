"""Whether samples differ from each other and from what was learnt.

A generator that repeats itself has a low unique fraction; one that recites its training set has
nearest-training identities near 1. The identity of two sequences of one length is the fraction
of equal positions (1 - Hamming distance / L), unaligned and on the given strand. Equal positions
are the inner product of one-hot rows, so the nearest of many is a matrix product, taken chunk by
chunk: nothing of size N x M x L ever exists.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .sequences import check_tokens, one_hot

QUERY_CHUNK, REFERENCE_CHUNK = 1024, 4096


def unique_fraction(tokens: Tensor) -> float:
    """Distinct sequences over all sequences, in (0, 1].

    Example:
        >>> unique_fraction(torch.tensor([[0, 1], [0, 1], [1, 0], [3, 3]]))
        0.75
    """
    check_tokens(tokens)
    distinct: Tensor = torch.unique(tokens.to(torch.uint8), dim=0)
    return distinct.shape[0] / tokens.shape[0]


def nearest_identity(
    tokens: Tensor,
    reference: Tensor,
    *,
    max_reference: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Largest identity of each sequence ``(N, L)`` with any of ``(M, L)``, float64 ``(N,)``.

    With ``max_reference`` that many reference rows are drawn at random, which lowers the
    result a little. Raises ``ValueError`` for lengths that differ.

    Example:
        >>> nearest_identity(torch.tensor([[0, 1, 2, 3]]), torch.tensor([[3] * 4, [0, 1, 2, 2]]))
        tensor([0.7500], dtype=torch.float64)
    """
    check_tokens(tokens)
    check_tokens(reference)
    length = tokens.shape[1]
    if reference.shape[1] != length:
        raise ValueError(f"expected references of length {length}, got {reference.shape[1]}")
    if max_reference is not None and max_reference < reference.shape[0]:
        if max_reference < 1:
            raise ValueError(f"expected at least 1 reference row, got {max_reference}")
        order = torch.randperm(reference.shape[0], generator=generator)
        reference = reference[order[:max_reference].to(reference.device)]
    best = torch.zeros(tokens.shape[0], device=tokens.device)
    for rows in torch.split(reference, REFERENCE_CHUNK):
        columns = one_hot(rows).flatten(1).T
        pairs = zip(torch.split(best, QUERY_CHUNK), torch.split(tokens, QUERY_CHUNK), strict=True)
        for part, queries in pairs:
            matches = one_hot(queries).flatten(1) @ columns
            torch.maximum(part, matches.amax(-1), out=part)
    return best.double() / length
