"""Positional weight matrix: the baseline that knows places and no neighbours.

    p(s) = prod_i p_i(s_i),      p_i(b) = (n_i(b) + a) / (N + 4a)

with n_i(b) the count of base b at position i of N sequences and a a pseudo-count. Where the
signal stands at a fixed place, as at a splice junction, it is hard to beat. One matrix a class;
the class with the largest likelihood is a classifier.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .composition import base_counts
from .sequences import check_tokens

PSEUDO_COUNT = 1.0


@dataclass(frozen=True)
class PositionalMatrix:
    """Log-probabilities of the bases at each position, float64 ``(L, 4)``."""

    log_probabilities: Tensor

    def sample(self, num: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw int64 tokens ``(num, L)``, positions independent."""
        columns = torch.multinomial(
            self.log_probabilities.exp(), num, replacement=True, generator=generator
        )
        return columns.T.contiguous()

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Log-probability of each sequence in nats, float64 ``(N,)``.

        Raises ``ValueError`` for another length.
        """
        check_tokens(tokens)
        length = self.log_probabilities.shape[0]
        if tokens.shape[1] != length:
            raise ValueError(f"expected sequences of length {length}, got {tokens.shape[1]}")
        return self.log_probabilities[torch.arange(length), tokens.long()].sum(-1)


def fit_positional(tokens: Tensor, *, pseudo_count: float = PSEUDO_COUNT) -> PositionalMatrix:
    """The matrix of tokens ``(N, L)`` of one class.

    Raises ``ValueError`` for a pseudo-count that is not positive.

    Example:
        >>> fit_positional(torch.tensor([[0, 1], [0, 2]])).log_probabilities.exp()[0]
        tensor([0.5000, 0.1667, 0.1667, 0.1667], dtype=torch.float64)
    """
    if not pseudo_count > 0:
        raise ValueError(f"expected a positive pseudo-count, got {pseudo_count}")
    counts = base_counts(tokens).T + pseudo_count
    return PositionalMatrix((counts / counts.sum(-1, keepdim=True)).log())
