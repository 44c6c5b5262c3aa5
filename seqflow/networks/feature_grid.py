r"""Learned features of a point at several resolutions, for fields with fine detail.

Level l cuts the space of coordinates into cells of side 1/N_l, N_l = 8 * 2^l. Each corner of a
cell owns a vector of a table, found by hashing its integer coordinates i,

    row(i) = (i_1 p_1 xor i_2 p_2 xor ...) mod size,

and a point sees the vectors at the corners of its cell, interpolated with weights that are
products of w^2 (3 - 2w), so that a field made of them has a continuous divergence. A network of
few layers resolves what its finest cells do, at a cost that does not grow with their number.
Source: after Mueller et al. 2022, "Instant Neural Graphics Primitives", section 3.
"""

from __future__ import annotations

from functools import singledispatch
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geometry.manifold import Manifold
from geometry.sphere import Sphere
from geometry.torus import FlatTorus

PRIMES = (1, 2654435761, 805459861)
COARSEST = 8


@singledispatch
def grid_coordinates(manifold: Manifold, x: Tensor) -> Tensor:
    """Coordinates in [0, 1), at most three, periodic; ``(..., *point_shape)`` to ``(..., k)``.

    Raises:
        ValueError: a manifold without such coordinates.
    """
    raise ValueError(f"expected a grid on Sphere(2) or a torus of 1 to 3 angles, got {manifold}")


@grid_coordinates.register
def _(manifold: Sphere, x: Tensor) -> Tensor:
    if manifold.n > 2:
        raise ValueError(f"expected a grid on at most Sphere(2), got {manifold}")
    return (x + 1) / 2.5  # opposite points do not meet across the edge


@grid_coordinates.register
def _(manifold: FlatTorus, x: Tensor) -> Tensor:
    if manifold.n > len(PRIMES):
        raise ValueError(f"expected a grid on a torus of 1 to 3 angles, got {manifold}")
    return torch.remainder(x / (2 * torch.pi), 1)


class FeatureGrid(nn.Module):
    """Features of points, ``(..., *point_shape)`` to ``(..., num_levels * width)``.

    Args:
        manifold: ``Sphere(1)``, ``Sphere(2)`` or a ``FlatTorus`` of one to three angles.
        num_levels: resolutions 8, 16, 32, ... cells along each coordinate.
        width: features a level.
        size: rows of each level's table; corners share them where there are more.

    Attributes:
        channels: of the result.

    Raises:
        ValueError: another manifold, or no level.

    Example:
        >>> from geometry import Sphere
        >>> FeatureGrid(Sphere(2), 3)(torch.eye(3)).shape
        torch.Size([3, 12])
    """

    def __init__(
        self, manifold: Manifold, num_levels: int, width: int = 4, size: int = 1 << 14
    ) -> None:
        super().__init__()
        if num_levels < 1:
            raise ValueError(f"expected at least one level of a grid, got {num_levels}")
        k = grid_coordinates(manifold, torch.zeros(manifold.point_shape)).shape[-1]
        self.manifold, self.size, self.channels = manifold, size, num_levels * width
        self.table = nn.Parameter(1e-2 * (2 * torch.rand(num_levels * size, width) - 1))
        self.cells: Tensor
        self.corners: Tensor
        self.register_buffer("cells", COARSEST * 2 ** torch.arange(num_levels), persistent=False)
        corners = torch.tensor(list(product((0, 1), repeat=k)))
        self.register_buffer("corners", corners, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The features, levels after one another."""
        y = grid_coordinates(self.manifold, x).unsqueeze(-2) * self.cells.unsqueeze(-1)
        base = y.detach().floor()
        w = y - base
        w = (w * w * (3 - 2 * w)).unsqueeze(-2)
        weights = torch.where(self.corners == 1, w, 1 - w).prod(-1)
        found = F.embedding(self._rows(base.long()), self.table)
        return (weights.unsqueeze(-1) * found).sum(-2).flatten(-2)

    def _rows(self, base: Tensor) -> Tensor:
        """Rows of the table, ``(..., levels, k)`` to ``(..., levels, 2^k)``."""
        corner = (base.unsqueeze(-2) + self.corners) % self.cells[:, None, None]
        row = corner[..., 0]
        for axis in range(1, corner.shape[-1]):
            row = row ^ (corner[..., axis] * PRIMES[axis])
        level = torch.arange(len(self.cells), device=base.device).unsqueeze(-1)
        return row % self.size + level * self.size
