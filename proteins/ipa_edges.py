r"""What the invariant-point trunk knows of pairs, at first and after each block.

At first: two residues' numbers p_i, p_j, sinusoids of how far apart they are along the chain,
and in which of 22 bins their distances are, now and as predicted last (the first bin begins at
0.001 Angstrom, the last is open). Later: the pair and both residues again. Both begin with a
linear layer of a row of such parts, which is the sum of a linear layer of each::

    W [z_ij, p_i, p_j] = W_z z_ij + W_i p_i + W_j p_j

so that what belongs to one residue is computed once for it, a distance's share is looked up,
and the row is never formed.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_BINS, FIRST_BIN, LAST_BIN = 22, 1e-3, 20.0
LONGEST = 2056.0


def sinusoids(a: Tensor, channels: int, scale: float = 1.0) -> Tensor:
    """sin and cos of scale a/LONGEST^{2k/channels}, k < channels/2: ``(..., channels)``."""
    steps = torch.arange(channels // 2, dtype=a.dtype, device=a.device) / (channels // 2)
    phase = scale * a.unsqueeze(-1) * LONGEST**-steps
    return torch.cat((phase.sin(), phase.cos()), -1)


def distance_bins(x: Tensor) -> Tensor:
    """The bins of all distances in Angstrom, 0 for none: ``(B, L, 3)`` to ``(B, L, L)``.

    Example:
        >>> distance_bins(torch.tensor([[0.0, 0, 0], [3.8, 0, 0], [99.0, 0, 0]]))
        tensor([[ 0,  4, 22],
                [ 4,  0, 22],
                [22, 22,  0]])
    """
    edges = torch.linspace(FIRST_BIN, LAST_BIN, NUM_BINS, dtype=x.dtype, device=x.device)
    # By differences: the square of a coordinate has no digits for small distances.
    d = torch.cdist(x.detach(), x.detach(), compute_mode="donot_use_mm_for_euclid_dist")
    return torch.bucketize(d, edges)


class EdgeEmbedding(nn.Module):
    """The pairs at first, ``(B, L, L, pair_channels)``.

    Args:
        channels: width of a residue.
        pair_channels: width of a pair.
    """

    def __init__(self, channels: int, pair_channels: int) -> None:
        super().__init__()
        half = pair_channels // 2
        self.parts = (half + 1, half + 1, half, NUM_BINS, NUM_BINS)
        self.project = nn.Linear(channels, half)
        self.relative = nn.Linear(half, half)
        self.first = nn.Linear(sum(self.parts), pair_channels)
        self.rest = nn.Sequential(
            nn.ReLU(),
            nn.Linear(pair_channels, pair_channels),
            nn.ReLU(),
            nn.Linear(pair_channels, pair_channels),
            nn.LayerNorm(pair_channels),
        )

    def forward(self, h: Tensor, positions: Tensor, x: Tensor, previous: Tensor) -> Tensor:
        """Residues, places in the chain, CA now and CA predicted last, homogeneous."""
        here, there, along, near, before = self.first.weight.split(self.parts, -1)
        known = previous[..., 3:]
        p = torch.cat((self.project(h), known.to(h)), -1)
        apart = (positions.unsqueeze(-1) - positions.unsqueeze(-2)).to(x)
        apart = self.relative(sinusoids(apart, self.parts[2], math.pi))
        z = F.linear(apart, along, self.first.bias)
        z = z + F.linear(p, here).unsqueeze(-2) + F.linear(p, there).unsqueeze(-3)
        z = z + _look_up(near, distance_bins(x))
        z = z + known.unsqueeze(-2) * known.unsqueeze(-3) * _look_up(
            before, distance_bins(previous[..., :3])
        )
        pairs: Tensor = self.rest(z)
        return pairs


def _look_up(weight: Tensor, bins: Tensor) -> Tensor:
    """``weight`` ``(n, NUM_BINS)`` times one-hot bins; bin 0 is nothing."""
    return F.embedding(bins, F.pad(weight.T, (0, 0, 1, 0)))


class EdgeTransition(nn.Module):
    """The pairs after a block: two layers with a residual, a third, a norm.

    Args:
        channels: width of a residue.
        pair_channels: width of a pair.
    """

    def __init__(self, channels: int, pair_channels: int) -> None:
        super().__init__()
        self.parts = (pair_channels, channels // 2, channels // 2)
        hidden = sum(self.parts)
        self.project = nn.Linear(channels, channels // 2)
        self.first = nn.Linear(hidden, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, pair_channels)
        self.norm = nn.LayerNorm(pair_channels)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """Residues ``(B, L, channels)`` and pairs to pairs ``(B, L, L, pair_channels)``."""
        p = self.project(h)
        found = self._of_row(self.first, z, p).relu_()
        found = self.second(found).relu_()
        row = self._of_row(self.last, z, p)
        row += F.linear(found, self.last.weight)
        pairs: Tensor = self.norm(row)
        return pairs

    def _of_row(self, layer: nn.Linear, z: Tensor, p: Tensor) -> Tensor:
        """A layer of the row (z_ij, p_i, p_j)."""
        pair, here, there = layer.weight.split(self.parts, -1)
        # In place: these tensors are the largest of the network.
        row = F.linear(z, pair)
        row += F.linear(p, here, layer.bias).unsqueeze(-2)
        row += F.linear(p, there).unsqueeze(-3)
        return row
