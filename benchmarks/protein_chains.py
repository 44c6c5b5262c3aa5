"""The chains that the protein benchmarks measure, read from archives and split by cluster.

Two archives in one folder, ``backbones.npz`` and ``short_chains.npz`` (`proteins.archives` says
what is in them), whose ``cluster40`` are clusters at 40% sequence identity with common numbers.
Where O is absent it is put at its ideal place. The split is made once, of all chains of 40 to
256 residues, so that benchmarks of chains of other lengths never mix its parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from proteins.archives import read_archive
from proteins.splits import split_by_cluster

ARCHIVES = ("backbones.npz", "short_chains.npz")
PARTS = {"train": 0.6, "calibrate": 0.2, "test": 0.2}
SHORTEST, LONGEST = 40, 256


class Chain(NamedTuple):
    """One real chain: coordinates ``(L, 4, 3)`` in Angstrom, links ``(L,)`` and its cluster."""

    name: str
    coords: Tensor
    linked: Tensor
    cluster: str


def read_parts(folder: Path, seed: int) -> dict[str, list[Chain]]:
    """All complete chains of 40 to 256 residues, in three parts that share no cluster."""
    chains = []
    for file in ARCHIVES:
        archived, _ = read_archive(folder / file, cluster_key="cluster40")
        for backbone, cluster in archived:
            if SHORTEST <= len(backbone) <= LONGEST and bool(backbone.mask.all()):
                whole = backbone.with_oxygen()
                found = Chain(whole.name, whole.coordinates, whole.linked(), str(cluster))
                chains.append(found)
    generator = torch.Generator().manual_seed(seed)
    clusters = [chain.cluster for chain in chains]
    parts = split_by_cluster(clusters, tuple(PARTS.values()), generator)
    return {
        name: [chains[i] for i in part.tolist()] for name, part in zip(PARTS, parts, strict=True)
    }


def of_length(chains: Iterable[Chain], shortest: int, longest: int) -> list[Chain]:
    """The chains of these lengths, both included."""
    return [chain for chain in chains if shortest <= len(chain.coords) <= longest]


def one_a_cluster(chains: Iterable[Chain]) -> list[Chain]:
    """The first chain of each cluster, so that large families count once."""
    first: dict[str, Chain] = {}
    for chain in chains:
        first.setdefault(chain.cluster, chain)
    return list(first.values())
