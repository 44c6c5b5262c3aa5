"""Parts of a data set that share no cluster.

Proteins of one family have one fold. Split at random, the held-out ones have relatives among
those that were learned, and every measure of novelty and of generalisation is too good.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def split_by_cluster(
    clusters: Sequence[str], fractions: Sequence[float], generator: torch.Generator
) -> list[Tensor]:
    """Chains of each part, int64 and ascending; every cluster is in one part as a whole.

    The parts have the fractions wanted up to the size of a cluster. They depend on which
    clusters there are and on the generator, not on the order of the chains.

    Args:
        clusters: of every chain.
        fractions: of the chains in each part; they sum to 1.
        generator: shuffles the clusters.

    Raises:
        ValueError: for fractions that do not sum to 1, or a part that gets no cluster.

    Example:
        >>> parts = split_by_cluster("aabbcc", (2 / 3, 1 / 3), torch.Generator().manual_seed(0))
        >>> [len(part) for part in parts]
        [4, 2]
    """
    if any(one <= 0 for one in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"expected positive fractions that sum to 1, got {tuple(fractions)}")
    names = sorted(set(clusters))
    number = {name: i for i, name in enumerate(names)}
    of_chain = torch.tensor([number[name] for name in clusters], dtype=torch.int64)
    order = torch.randperm(len(names), generator=generator)
    sizes = torch.bincount(of_chain, minlength=len(names))[order].double()
    # A cluster goes where its middle falls.
    middle = sizes.cumsum(0) - sizes / 2
    ends = torch.tensor(fractions, dtype=torch.float64).cumsum(0)[:-1] * len(clusters)
    part_of_cluster = torch.empty_like(order)
    part_of_cluster[order] = torch.searchsorted(ends, middle)
    part = part_of_cluster[of_chain]
    parts = [(part == i).nonzero().squeeze(-1) for i in range(len(fractions))]
    if not all(len(one) for one in parts):
        raise ValueError(
            f"expected a cluster for each of {len(fractions)} parts, but the {len(names)} "
            f"clusters of {len(clusters)} chains make parts of {[len(one) for one in parts]}"
        )
    return parts
