"""The invariant-point trunk written out as its formulas are: what ``trunks.py`` compares with.

The same weights and the same function as ``proteins.ipa_network``, but with a displacement for
every pair, head and point, weighted value points of every pair, and rows of all parts of a pair
formed before each linear layer, as published implementations do.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from proteins.ipa import InvariantPointAttention
from proteins.ipa_edges import NUM_BINS, EdgeEmbedding, EdgeTransition, distance_bins, sinusoids
from proteins.trunk import EXCLUDED, to_global, to_local


class PlainAttention(nn.Module):
    """Displacement by displacement.

    Args:
        own: whose weights these are.
    """

    def __init__(self, own: InvariantPointAttention) -> None:
        super().__init__()
        self.own = own

    def forward(self, h: Tensor, z: Tensor, mask: Tensor, q: Tensor, x: Tensor) -> Tensor:
        """As of ``InvariantPointAttention``."""
        own, (asking, _, sent) = self.own, self.own.num_points
        query, key, value = own.numbers(h).unflatten(-1, (own.heads, -1)).split(own.size, -1)
        points = to_global(q, x, own.points(h).unflatten(-1, (-1, 3)))
        a, b, c = points.unflatten(-2, (own.heads, -1)).split(own.num_points, -2)
        bias, passed = own.pairs(z).split((own.heads, z.shape[-1] // 4), -1)
        displacements = a.unsqueeze(2) - b.unsqueeze(1)  # (B, L, L, heads, points, 3)
        g = F.softplus(own.gamma) * (1 / 3) ** 0.5 * (2 / (9 * asking)) ** 0.5
        logits = torch.einsum("bihc,bjhc->bijh", query, key) / (3 * own.size) ** 0.5
        logits = logits + bias / 3**0.5 - 0.5 * g * displacements.square().sum((-1, -2))
        weights = torch.where(mask[:, None, :, None], logits, EXCLUDED).softmax(2)
        numbers = torch.einsum("bijh,bjhc->bihc", weights, value)
        mean = (weights[..., None, None] * c.unsqueeze(1)).sum(2)  # of (B, L, L, heads, sent, 3)
        local = to_local(q, x, mean.flatten(2, 3)).unflatten(2, (own.heads, sent))
        pairs = torch.einsum("bijh,bijc->bihc", weights, passed)
        parts = (numbers, local, local.norm(dim=-1), pairs)
        update: Tensor = own.out(torch.cat([part.flatten(2) for part in parts], -1))
        return update


class PlainEdges(nn.Module):
    """The pairs at first, from whole rows of one-hot bins.

    Args:
        own: whose weights these are.
    """

    def __init__(self, own: EdgeEmbedding) -> None:
        super().__init__()
        self.own = own

    def forward(self, h: Tensor, positions: Tensor, x: Tensor, previous: Tensor) -> Tensor:
        """As of ``EdgeEmbedding``."""
        own, known = self.own, previous[..., 3:]
        apart = (positions.unsqueeze(-1) - positions.unsqueeze(-2)).to(x)
        flag = known.unsqueeze(1) * known.unsqueeze(2)
        bins = [distance_bins(x), distance_bins(previous[..., :3])]
        near, before = (F.one_hot(each, NUM_BINS + 1)[..., 1:].to(x) for each in bins)
        along = own.relative(sinusoids(apart, own.parts[2], math.pi))
        p = torch.cat((own.project(h), known), -1)
        row = torch.cat((*both(p), along, near, flag * before), -1)
        pairs: Tensor = own.rest(own.first(row))
        return pairs


class PlainTransition(nn.Module):
    """The pairs after a block, from whole rows.

    Args:
        own: whose weights these are.
    """

    def __init__(self, own: EdgeTransition) -> None:
        super().__init__()
        self.own = own

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """As of ``EdgeTransition``."""
        own = self.own
        row = torch.cat((z, *both(own.project(h))), -1)
        found = F.relu(own.second(F.relu(own.first(row))))
        pairs: Tensor = own.norm(own.last(found + row))
        return pairs


def both(p: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of i and of j, for every pair."""
    shape = (-1, p.shape[1], p.shape[1], -1)
    return p.unsqueeze(2).expand(shape), p.unsqueeze(1).expand(shape)


def plain(network: Any) -> nn.Module:
    """The function of an ``IPANetwork`` written out, with a copy of its weights."""
    network = copy.deepcopy(network)
    for block in network.blocks:
        block.attention = PlainAttention(block.attention)
    network.pairs = PlainEdges(network.pairs)
    network.transitions = nn.ModuleList(map(PlainTransition, network.transitions))
    return network
