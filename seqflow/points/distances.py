r"""How far two sets of points are apart: maximum mean discrepancy with a kernel on the manifold.

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)      over pairs of distinct points,

unbiased, so that it may be negative for equal laws, with k(x, y) = exp(-dist(x, y)/h) and h the
mean distance of the reference. The exponential of a geodesic distance is positive definite on
spheres, tori and hyperbolic spaces (Feragen et al. 2015, CVPR).
"""

from __future__ import annotations

import torch
from torch import Tensor

from geometry.manifold import Manifold

MOST = 1000


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


def pairwise(manifold: Manifold, x: Tensor, y: Tensor) -> Tensor:
    """Distances of all pairs, ``(N, *point_shape), (M, *point_shape) -> (N, M)``."""
    rows = x.split(64)
    return torch.cat([manifold.dist(part.unsqueeze(1), y.unsqueeze(0)) for part in rows])


def _mean_of_pairs(value: Tensor) -> Tensor:
    """Mean off the diagonal of a square matrix."""
    n = len(value)
    return (value.sum() - value.diagonal().sum()) / (n * (n - 1))
