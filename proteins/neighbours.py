"""Which residues a residue looks at: itself, along the chain, in space, and some far away.

First come those nearest along the chain, then those nearest in space of the rest, then as many at
random of what is left, so that news crosses a long chain in few steps. The random ones follow
from the two places in the chain alone, by a hash: the same in every step, batch and run. Every
residue has equally many, some of them marked as absent where the chain is short, so that the
graph is a table and nothing is scattered. Finding them looks at all distances once, which
costs little beside the rest; all else is linear in the length.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .trunk import first_position

_PRIME = 2**31 - 1


class Neighbours(NamedTuple):
    """Of every residue, itself first.

    Attributes:
        rows: int64 ``(B, L, K)``.
        there: bool ``(B, L, K)``; the others are to be left out.
    """

    rows: Tensor
    there: Tensor


class NeighbourCounts(NamedTuple):
    """How many of each kind.

    Attributes:
        along: nearest along the chain.
        near: nearest in space of the rest.
        far: at random of what is left.
    """

    along: int = 16
    near: int = 32
    far: int = 16


@torch.no_grad()
def find_neighbours(
    x: Tensor, mask: Tensor, positions: Tensor, counts: NeighbourCounts
) -> Neighbours:
    """At most 1 + sum(counts), and no more than L.

    Args:
        x: ``(B, L, 3)``.
        mask: residues that are there, bool ``(B, L)``.
        positions: places in the chain, int64 ``(B, L)``.
        counts: of each kind.
    """
    length = x.shape[-2]
    own = torch.arange(length, device=x.device)
    free = mask.unsqueeze(-2) & (own != own.unsqueeze(-1))
    index = [own.expand(len(x), -1).unsqueeze(-1)]
    there = [torch.ones_like(index[0], dtype=torch.bool)]
    for score, count in zip(_scores(x, mask, positions), counts, strict=True):
        most = min(count, length - sum(each.shape[-1] for each in index))
        values, chosen = torch.where(free, score, torch.inf).topk(most, largest=False)
        index.append(chosen)
        there.append(values.isfinite())
        free = free.scatter(-1, chosen, False)
    return Neighbours(torch.cat(index, -1), torch.cat(there, -1))


def _scores(x: Tensor, mask: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Less is nearer: along the chain, in space, at random; ``(B, L, L)`` each."""
    apart = positions.unsqueeze(-2) - positions.unsqueeze(-1)
    along = 2 * apart.abs() + (apart < 0)  # no two alike
    # By differences: the square of a coordinate has no digits for small distances.
    near = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    places = positions - first_position(mask, positions)
    far = place_hash(places.unsqueeze(-1), places.unsqueeze(-2))
    return along.to(x), near, far.to(x)


def place_hash(i: Tensor, j: Tensor) -> Tensor:
    """A number below 2^24 of two places, int64, as good as random.

    Squares modulo a prime, which fit int64 and are exact on every device.

    Example:
        >>> place_hash(torch.tensor([0, 0, 1]), torch.tensor([1, 2, 0])).tolist()
        [4943203, 16078556, 937825]
    """
    mixed = (48271 * i + 69621 * j + 12345) % _PRIME
    for salt in (16807, 39373):
        mixed = (mixed * mixed + salt * (i + 1)) % _PRIME
    return mixed % 2**24


def gather(a: Tensor, index: Tensor) -> Tensor:
    """The rows of residues: ``(..., L, c)`` at ``(..., L, K)`` to ``(..., L, K, c)``.

    Leading dimensions of ``index`` may be 1.
    """
    *batch, length, _ = a.shape
    first = length * torch.arange(math.prod(batch), device=a.device).reshape(*batch, 1, 1)
    return F.embedding(index + first, a.flatten(0, -2))
