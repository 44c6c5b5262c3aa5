r"""The trunk for long chains: the default one's blocks, with attention to neighbours alone.

A residue looks at K residues (``neighbours``) instead of L, so that time and memory are linear in
the length but for the search. What it sees of them (``neighbour_features``) becomes, once, a
bias and some values for every layer::

    logits_ij = <q_i, k_j>/sqrt(c) + b_ij,    |q_i| = |k_j| = sqrt(c) up to a learned gain
    answer_i  = sum_j w_ij (v_j, T_i^-1 T_j p_j, e_ij)

Neighbours are those of the state, at every step anew. Each residue has equally many: a table
of rows is gathered and multiplied, which is faster than to scatter messages along a list of edges.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geometry.lengths import dot, length
from seqflow.networks.embedding import TimeLabelEmbedding
from seqflow.process import Condition
from seqflow.product_process import Parts

from .flow import PRIOR_STD, ROTATION, TRANSLATION, remaining_noise
from .frame_block import FrameBlock
from .neighbour_features import NUM_NEIGHBOUR_FEATURES, neighbour_features
from .neighbours import NeighbourCounts, Neighbours, find_neighbours, gather
from .trunk import (
    EXCLUDED,
    NUM_OWN_FEATURES,
    REACH,
    ChainPlaces,
    ends,
    move,
    own_features,
    relative_index,
    residues,
    to_global,
    to_local,
)

_EDGE_VALUES = 16


class Edges(NamedTuple):
    """What one layer knows of the neighbours.

    Attributes:
        rows: which they are, ``(B, L, K)``.
        bias: of the logits, ``(B, heads, L, K)``.
        values: ``(B, L, K, 16)``.
    """

    rows: Tensor
    bias: Tensor
    values: Tensor


class NeighbourEmbedding(nn.Module):
    """Features of neighbours to biases and values, for all layers at once.

    Args:
        layers: of the trunk.
        heads: of a layer.
        channels: hidden numbers of a pair.
    """

    def __init__(self, layers: int, heads: int, channels: int) -> None:
        super().__init__()
        self.layers, self.heads = layers, heads
        self.features = nn.Linear(NUM_NEIGHBOUR_FEATURES, channels)
        self.relative = nn.Embedding(2 * REACH + 1, channels)
        self.hidden = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, layers * (heads + _EDGE_VALUES))

    def forward(self, seen: Tensor, apart: Tensor, them: Neighbours) -> list[Edges]:
        """Features ``(B, L, K, n)`` and how far apart along the chain ``(B, L, K)``."""
        z = F.silu(self.features(seen) + self.relative(relative_index(apart)))
        out = self.out(F.silu(self.hidden(z))).unflatten(-1, (self.layers, -1))
        bias, values = out.movedim(-2, 0).split((self.heads, _EDGE_VALUES), -1)
        bias = torch.where(them.there.unsqueeze(1), bias.movedim(-1, 2), EXCLUDED)
        return [Edges(them.rows, *layer) for layer in zip(bias, values, strict=True)]


class NeighbourAttention(nn.Module):
    """Attention to neighbours, whose values are numbers, points and what is seen of them.

    Args:
        channels: width.
        heads: their number divides the width.
        points: that each residue sends, a head.
    """

    def __init__(self, channels: int, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.points = heads, points
        self.size = channels // heads
        self.project = nn.Linear(channels, 3 * channels + 3 * heads * points)
        self.gain = nn.Parameter(torch.ones(2, heads, 1, self.size))
        self.out = nn.Linear(channels + heads * (4 * points + _EDGE_VALUES), channels)

    def forward(self, h: Tensor, edges: Edges, q: Tensor, x: Tensor) -> Tensor:
        """Numbers ``(B, L, c)``, neighbours, frames; x in nanometres."""
        width = self.heads * self.size
        split = (width, width, width, 3 * self.heads * self.points)
        query, key, value, p = self.project(h).split(split, -1)
        sent = to_global(q, x, p.to(x).unflatten(-1, (-1, 3))).flatten(-2)
        query, key, value, sent = (self._by_head(a.to(x)) for a in (query, key, value, sent))
        query = F.rms_norm(query, (self.size,)) * self.gain[0]
        key = F.rms_norm(key, (self.size,)) * self.gain[1]
        with torch.autocast(h.device.type, enabled=False):  # coordinates need their digits
            around = gather(torch.cat((key, value, sent), -1), edges.rows.unsqueeze(1))
            keys, values = around.split((self.size, self.size + 3 * self.points), -1)
            logits = (keys @ query.unsqueeze(-1)).squeeze(-1) / self.size**0.5
            weights = (logits + edges.bias.to(x)).softmax(-1)
            mixed = (weights.unsqueeze(-2) @ values).squeeze(-2).transpose(1, 2)
            seen = weights.transpose(1, 2) @ edges.values.to(x)
            numbers, received = mixed.split((self.size, 3 * self.points), -1)
            local = to_local(q, x, received.flatten(-2).unflatten(-1, (-1, 3)))
            lengths = length(dot(local, local))
        parts = (numbers.flatten(-2), local.flatten(-2), lengths, seen.flatten(-2))
        update: Tensor = self.out(torch.cat(parts, -1))
        return update

    def _by_head(self, a: Tensor) -> Tensor:
        by_head: Tensor = a.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return by_head


class KNNTransformer(nn.Module):
    """Predicts the ends of all frames; see this module's head.

    Args:
        channels: width, divisible by ``heads``.
        layers: blocks.
        heads: of each.
        points: a head.
        pair_channels: hidden numbers of a pair.
        condition_channels: of the embedded time.
        along: neighbours along the chain.
        near: neighbours in space.
        far: neighbours at random.

    Raises:
        ValueError: if the heads do not divide the width.
    """

    def __init__(
        self,
        channels: int = 192,
        layers: int = 6,
        heads: int = 8,
        *,
        points: int = 4,
        pair_channels: int = 64,
        condition_channels: int = 64,
        along: int = 16,
        near: int = 32,
        far: int = 16,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"expected heads that divide the width, got {heads} of {channels}")
        self.counts = NeighbourCounts(along, near, far)
        self.places = ChainPlaces()
        self.time = TimeLabelEmbedding(condition_channels)
        self.embed = nn.Linear(ChainPlaces.channels + NUM_OWN_FEATURES, channels)
        self.pairs = NeighbourEmbedding(layers, heads, pair_channels)
        attention = partial(NeighbourAttention, channels, heads, points)
        self.blocks = nn.ModuleList(
            FrameBlock(channels, condition_channels, attention) for _ in range(layers)
        )

    def forward(self, x_t: Parts, t: Tensor, condition: Condition = None) -> dict[str, Tensor]:
        """The ends, as a state: ``translation``, ``rotation`` and, to be seen again, ``previous``.

        Args:
            x_t: frames and memory, see ``flow``.
            t: ``(B,)``.
            condition: ``mask``, residues that are there, bool ``(B, L)``, and ``positions``,
                their places in the chain, int64 ``(B, L)``; all, and 0, 1, ..., without it.
        """
        q, x = x_t[ROTATION], x_t[TRANSLATION]
        mask, positions = residues(x, condition)
        s = remaining_noise(t)[:, None, None]
        them = find_neighbours(x, mask, positions, self.counts)
        apart = gather(positions.unsqueeze(-1), them.rows).squeeze(-1) - positions.unsqueeze(-1)
        with torch.autocast(x.device.type, enabled=False):
            seen, own = neighbour_features(x_t, them.rows), own_features(x_t, s)
        layers = self.pairs(seen, apart, them)
        h = self.embed(torch.cat((self.places(positions, mask), own), -1))
        c = F.silu(self.time(t))
        for block, edges in zip(self.blocks, layers, strict=True):
            h, u, w = block(h, c, edges, q, x / PRIOR_STD)
            q, x = move(q, x, u, w, s)
        return ends(x_t, q, x, mask)
