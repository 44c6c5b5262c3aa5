r"""How far two sets of points are apart: maximum mean discrepancy with a kernel on the manifold.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)      over pairs of distinct points,

unbiased, so that it may be negative for equal laws, with k(x, y) = exp(-dist(x, y)/h) and h the
mean distance of the reference. The exponential of a geodesic distance is positive definite on
spheres, tori and hyperbolic spaces (Feragen et al. 2015, CVPR).
"""

from __future__ import annotations

from functools import singledispatch

import torch
from torch import Tensor

from geometry.manifold import Manifold
from geometry.mesh import Mesh

MOST = 1000
CELLS = 64


def squared_discrepancy(manifold: Manifold, x: Tensor, y: Tensor) -> float:
    """MMD^2 between samples ``x`` and a reference ``y``, each ``(N, *point_shape)``.

    At most the first 1000 points of either are compared.

    Raises:
        ValueError: fewer than two points on a side.

    Example:
        >>> from geometry import FlatTorus
        >>> x = torch.tensor([[0.0], [0.1], [0.2]])
        >>> squared_discrepancy(FlatTorus(1), x, x + 3) > 0.5
        True
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"expected at least two points a side, got {len(x)} and {len(y)}")
    x, y = x[:MOST].double(), y[:MOST].double()
    between = pairwise(manifold, y, y)
    width = _mean_of_pairs(between).clamp_min(1e-9)
    within = [_mean_of_pairs((-d / width).exp()) for d in (pairwise(manifold, x, x), between)]
    across = (-pairwise(manifold, x, y) / width).exp().mean()
    return float(sum(within) - 2 * across)


@singledispatch
def pairwise(manifold: Manifold, x: Tensor, y: Tensor) -> Tensor:
    """Distances of all pairs, ``(N, *point_shape), (M, *point_shape) -> (N, M)``."""
    rows = x.split(64)
    return torch.cat([manifold.dist(part.unsqueeze(1), y.unsqueeze(0)) for part in rows])


@pairwise.register
def _(manifold: Mesh, x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(manifold.embed(x), manifold.embed(y))


def total_variation(mesh: Mesh, x: Tensor, y: Tensor) -> float:
    """Half the sum of |share of x - share of y| over 64 cells of the surface, 0 to 1.

    A cell is what is nearest, along the premetric, to one of 64 vertices, each chosen as far
    from those before as can be.

    Args:
        mesh: the surface.
        x: points ``(N, 3)``.
        y: points ``(M, 3)``.
    """
    corners = mesh.embed(mesh.vertices)
    chosen = corners[:1]
    while len(chosen) < min(CELLS, len(corners)):
        farthest = torch.cdist(corners, chosen).amin(1).argmax()
        chosen = torch.cat([chosen, corners[farthest, None]])
    shares = []
    for points in (x, y):
        cell = torch.cdist(mesh.embed(points.double()), chosen).argmin(1)
        shares.append(torch.bincount(cell, minlength=len(chosen)) / len(points))
    return float((shares[0] - shares[1]).abs().sum() / 2)


def _mean_of_pairs(value: Tensor) -> Tensor:
    """Mean off the diagonal of a square matrix."""
    n = len(value)
    return (value.sum() - value.diagonal().sum()) / (n * (n - 1))
