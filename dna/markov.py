"""Order-k Markov chain: the baseline that knows k-mers and nothing else.

    p(s) = p(s_1..s_k) prod_{i>k} p(s_i | s_{i-k}..s_{i-1})

with p(b | c) = (n(cb) + a) / (n(c) + 4a), where n counts (k+1)-mers c b over all positions and
a is a pseudo-count; the first k bases follow the k-mers of all positions, likewise smoothed. It
is fit by counting, in less than a second, and reproduces the spectrum of (k+1)-mers, so that a
generator must beat it by what is longer or at a place. One chain a class.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .composition import count_kmers, kmer_ids

ORDER = 5
PSEUDO_COUNT = 1.0


@dataclass(frozen=True)
class MarkovChain:
    """Log-probabilities, float64: of the first k-mer ``(4^k,)``, of the next base ``(4^k, 4)``."""

    order: int
    log_start: Tensor
    log_next: Tensor

    def sample(self, num: int, length: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw int64 tokens ``(num, length)``, all sequences in step.

        Raises ``ValueError`` for a length below the order.
        """
        if length < self.order:
            raise ValueError(f"expected a length of at least {self.order}, got {length}")
        start = torch.multinomial(self.log_start.exp(), num, replacement=True, generator=generator)
        powers = 4 ** torch.arange(self.order - 1, -1, -1)
        tokens = torch.empty(num, length, dtype=torch.int64)
        tokens[:, : self.order] = start[:, None] // powers % 4
        # A base is the number of the three inner boundaries at or below a uniform draw.
        boundaries = self.log_next.exp().cumsum(-1)[:, :3]
        context = start
        for i in range(self.order, length):
            u = torch.rand(num, 1, generator=generator, dtype=torch.float64)
            tokens[:, i] = (boundaries[context] <= u).sum(-1)
            context = (4 * context + tokens[:, i]) % 4**self.order
        return tokens

    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """Log-probability of each sequence in nats, float64 ``(N,)``."""
        first = kmer_ids(tokens[:, : self.order], self.order)[:, 0]
        windows = kmer_ids(tokens, self.order + 1)
        return self.log_start[first] + self.log_next.flatten()[windows].sum(-1)


def fit_markov(
    tokens: Tensor, *, order: int = ORDER, pseudo_count: float = PSEUDO_COUNT
) -> MarkovChain:
    """The chain of tokens ``(N, L)`` of one class.

    Raises ``ValueError`` for an order outside 1..L-1 or a pseudo-count that is not positive.

    Example:
        >>> chain = fit_markov(torch.tensor([[0, 1, 0, 1, 0, 1, 0, 1]]), order=1)
        >>> chain.log_next.exp()[0]
        tensor([0.1250, 0.6250, 0.1250, 0.1250], dtype=torch.float64)
        >>> chain.sample(1, 6, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([1, 6])
    """
    if not 1 <= order < tokens.shape[-1]:
        raise ValueError(f"expected an order from 1 to {tokens.shape[-1] - 1}, got {order}")
    if not pseudo_count > 0:
        raise ValueError(f"expected a positive pseudo-count, got {pseudo_count}")
    start = count_kmers(tokens, order).double() + pseudo_count
    following = count_kmers(tokens, order + 1).double().view(-1, 4) + pseudo_count
    return MarkovChain(
        order=order,
        log_start=(start / start.sum()).log(),
        log_next=(following / following.sum(-1, keepdim=True)).log(),
    )
