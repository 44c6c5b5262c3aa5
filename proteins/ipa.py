r"""Invariant point attention (Jumper et al. 2021, supplement 1.8.2) as two products of matrices.

Each head of residue i asks with numbers q_i and points a_ip, residue j answers with k_j, b_jp,
and with values v_j and points c_jp. All points are sent in the frame of the residue. With g =
softplus(gamma) sqrt(1/3) sqrt(2/(9P)), which gives numbers, points and pairs an equal share::

    logits_ij = <q_i, k_j>/sqrt(3c) + bias(z_ij)/sqrt(3) - g/2 sum_p |T_i a_ip - T_j b_jp|^2
    answer_i  = sum_j w_ij (v_j, T_i^-1 T_j c_jp, values(z_ij)),  and the lengths of the points

As written, that asks for a displacement for every pair, head and point. But the square is

    -g/2 |a - b|^2 = <g a, b> - g/2 |b|^2 - g/2 |a|^2,

the last of which is the same for all j, so that softmax does not see it. The others are more
columns of the product of queries and keys, and T_j c_jp are more columns of the values:
nothing of size L^2 but logits and weights. The frames' centre must be near the origin, for the
square of a large number leaves no digits for a small difference.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geometry.lengths import dot, length

from .trunk import EXCLUDED, to_global, to_local


class InvariantPointAttention(nn.Module):
    """The function of this module's head.

    Args:
        channels: width of a residue.
        pair_channels: width of a pair; a quarter of it is passed on as values.
        heads: of the attention.
        size: numbers of a query, a key and a value, each.
        query_points: points of a query and of a key, a head.
        value_points: points of a value, a head.
    """

    def __init__(
        self,
        channels: int,
        pair_channels: int,
        heads: int,
        *,
        size: int,
        query_points: int,
        value_points: int,
    ) -> None:
        super().__init__()
        self.heads, self.size = heads, size
        self.num_points = (query_points, query_points, value_points)
        pair_values = pair_channels // 4
        self.numbers = nn.Linear(channels, 3 * heads * size)
        self.points = nn.Linear(channels, 3 * heads * sum(self.num_points))
        self.pairs = nn.Linear(pair_channels, heads + pair_values)
        self.gamma = nn.Parameter(torch.full((heads,), math.log(math.e - 1)))  # softplus is 1
        self.out = nn.Linear(heads * (size + 4 * value_points + pair_values), channels)

    def forward(self, h: Tensor, z: Tensor, mask: Tensor, q: Tensor, x: Tensor) -> Tensor:
        """Update of the residues, ``(B, L, channels)``.

        Args:
            h: residues ``(B, L, channels)``.
            z: ordered pairs ``(B, L, L, pair_channels)``.
            mask: residues that are there, bool ``(B, L)``.
            q: unit quaternions ``(B, L, 4)``.
            x: places in nanometres ``(B, L, 3)``, the centre near the origin.
        """
        numbers, points = self.numbers(h).to(x), self.points(h).to(x)
        bias, passed = self.pairs(z).to(x).split((self.heads, z.shape[-1] // 4), -1)
        with torch.autocast(h.device.type, enabled=False):  # coordinates need their digits
            bias = torch.where(mask[:, None, None], bias.permute(0, 3, 1, 2) / 3**0.5, EXCLUDED)
            queries, keys, values = self._columns(numbers, points, q, x)
            weights = (bias + queries @ keys.mT).softmax(-1)
            mixed, there = (
                (weights @ values).transpose(1, 2).split((self.size, 3 * self.num_points[-1]), -1)
            )
            local = to_local(q, x, there.flatten(-2).unflatten(-1, (-1, 3)))
            pairs = weights.transpose(1, 2) @ passed
            parts = (mixed.flatten(-2), local.flatten(-2), length(dot(local, local)))
        update: Tensor = self.out(torch.cat((*parts, pairs.flatten(-2)), -1))
        return update

    def _columns(
        self, numbers: Tensor, points: Tensor, q: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of either product, ``(B, heads, L, n)``."""
        query, key, value = self._by_head(numbers).split(self.size, -1)
        sent = to_global(q, x, points.unflatten(-1, (-1, 3))).flatten(-2)
        a, b, c = self._by_head(sent).split([3 * n for n in self.num_points], -1)
        g = F.softplus(self.gamma.to(x)) * (1 / 3 * 2 / (9 * self.num_points[0])) ** 0.5
        g = g[:, None, None]
        squares = -0.5 * g * dot(b, b).unsqueeze(-1)
        queries = torch.cat((query / (3 * self.size) ** 0.5, g * a, torch.ones_like(squares)), -1)
        return queries, torch.cat((key, b, squares), -1), torch.cat((value, c), -1)

    def _by_head(self, a: Tensor) -> Tensor:
        by_head: Tensor = a.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return by_head
