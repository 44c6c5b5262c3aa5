"""Batches of chains of similar length, each of which depends on its number and a seed alone.

Chains are put into buckets such that the shortest has at least 0.9 of the length of the longest.
A batch is from one bucket and padded to the longest chain of that bucket, so that at most 10% of
it is padding and there are few different shapes to compile for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from seqflow.objectives import Batch
from seqflow.sampling import seeded_generator

from .graphs import padded

MAX_PADDING = 0.1


class Collection(Protocol):
    """Chains, or whatever has a length each."""

    @property
    def lengths(self) -> Tensor:
        """Residues of each, int64 ``(N,)``."""
        ...


Pad = Callable[[Any, Tensor, int], Batch]
"""A collection, positions in it and a length to a batch of that length."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """Chains of similar length.

    Attributes:
        index: which chains, int64.
        length: of the longest.
    """

    index: Tensor
    length: int


def length_buckets(lengths: Tensor, max_padding: float = MAX_PADDING) -> list[Bucket]:
    """Chains by length, the longest first; at most ``max_padding`` of a bucket is padding.

    Raises ``ValueError`` for a share outside [0, 1) or a chain without residues.

    Example:
        >>> [(b.length, b.index.tolist()) for b in length_buckets(torch.tensor([50, 100, 91]))]
        [(100, [1, 2]), (50, [0])]
    """
    if not 0 <= max_padding < 1:
        raise ValueError(f"expected a share of padding in [0, 1), got {max_padding}")
    if len(lengths) and int(lengths.min()) < 1:
        raise ValueError("expected chains of at least one residue, got an empty one")
    buckets: list[Bucket] = []
    rest = lengths
    while len(rest):
        longest = int(rest.max())
        shortest = math.ceil(longest * (1 - max_padding) - 1e-9)
        inside = (lengths >= shortest) & (lengths <= longest)
        buckets.append(Bucket(inside.nonzero().squeeze(-1), longest))
        rest = lengths[lengths < shortest]
    return buckets


class ChainStream(IterableDataset[Batch]):
    """Endless shuffled batches of padded chains; number n depends on (seed, n) alone.

    In every epoch each chain is shown once. The batches of a bucket are of equal size, or differ
    by one chain.

    Args:
        chains: all of them, in memory.
        batch_size: most chains in a batch.
        seed: of the shuffling.
        start: number of the first batch.
        pad: makes batches of them.
        max_padding: largest share of a batch that is padding; 0 for batches of one length.
    """

    def __init__(
        self,
        chains: Collection,
        batch_size: int,
        seed: int,
        start: int = 0,
        pad: Pad = padded,
        max_padding: float = MAX_PADDING,
    ) -> None:
        if len(chains.lengths) == 0:
            raise ValueError("expected chains to train on, got none")
        if batch_size < 1:
            raise ValueError(f"expected a batch of at least one chain, got {batch_size}")
        self.chains, self.batch_size, self.seed = chains, batch_size, seed
        self.start, self.pad = start, pad
        self.buckets = length_buckets(chains.lengths, max_padding)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches show each chain once."""
        return sum(math.ceil(len(one.index) / self.batch_size) for one in self.buckets)

    def __iter__(self) -> Iterator[Batch]:
        per_epoch = self.batches_per_epoch
        epoch, plan = -1, list[Bucket]()
        for n in count(self.start):
            if n // per_epoch != epoch:
                epoch = n // per_epoch
                plan = self._plan(epoch)
            one = plan[n % per_epoch]
            yield self.pad(self.chains, one.index, one.length)

    def _plan(self, epoch: int) -> list[Bucket]:
        """The batches of an epoch, in order."""
        generator = seeded_generator(self.seed, 0, epoch)
        batches = []
        for one in self.buckets:
            order = one.index[torch.randperm(len(one.index), generator=generator)]
            parts = order.tensor_split(math.ceil(len(order) / self.batch_size))
            batches += [Bucket(part, one.length) for part in parts]
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
