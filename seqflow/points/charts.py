r"""Volume-preserving coordinates about each of many centres.

A Gaussian in such coordinates is a density on the manifold without any Jacobian:

    torus    y = x - c, modulo 2 pi into [-pi, pi]
    S^2      y = sqrt(2/(1 + <x, c>)) F x,   F an orthonormal frame of the tangent plane at c,

the second being Lambert's azimuthal equal-area map, onto the disc |y| < 2, with the inverse
x = (1 - |y|^2/2) c + sqrt(1 - |y|^2/4) F^T y.
"""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor

from geometry.manifold import Manifold
from geometry.sphere import Sphere
from geometry.torus import FlatTorus, shortest, wrap


@singledispatch
def to_chart(manifold: Manifold, centre: Tensor, x: Tensor) -> Tensor:
    """Coordinates y of ``x`` about ``centre``, ``(..., *point_shape)`` each, to ``(..., dim)``."""
    raise ValueError(f"expected a sphere or a torus for local kernels, got {manifold}")


@singledispatch
def from_chart(manifold: Manifold, centre: Tensor, y: Tensor) -> Tensor:
    """The point of coordinates y, ``(..., *point_shape)``; the inverse of ``to_chart``."""
    raise ValueError(f"expected a sphere or a torus for local kernels, got {manifold}")


@singledispatch
def squared_lengths(manifold: Manifold, x: Tensor, centres: Tensor) -> Tensor:
    """|y|^2 of every point about every centre, ``(N, *point_shape), (n, ...) -> (N, n)``."""
    raise ValueError(f"expected a sphere or a torus for local kernels, got {manifold}")


@to_chart.register
def _(manifold: FlatTorus, centre: Tensor, x: Tensor) -> Tensor:
    return shortest(x - centre)


@from_chart.register
def _(manifold: FlatTorus, centre: Tensor, y: Tensor) -> Tensor:
    return wrap(centre + y)


@squared_lengths.register
def _(manifold: FlatTorus, x: Tensor, centres: Tensor) -> Tensor:
    return shortest(x.unsqueeze(1) - centres).square().sum(-1)


@to_chart.register
def _(manifold: Sphere, centre: Tensor, x: Tensor) -> Tensor:
    first, second = frame(centre)
    cosine = (x * centre).sum(-1)
    stretch = (2 / (1 + cosine).clamp_min(torch.finfo(x.dtype).eps)).sqrt()
    flat = torch.stack([(x * first).sum(-1), (x * second).sum(-1)], -1)
    return stretch.unsqueeze(-1) * flat


@from_chart.register
def _(manifold: Sphere, centre: Tensor, y: Tensor) -> Tensor:
    first, second = frame(centre)
    # What a Gaussian sends beyond the disc comes to its rim, the antipode.
    square = y.square().sum(-1, keepdim=True).clamp_max(4.0)
    ring = (1 - square / 4).sqrt()
    return manifold.projx(
        (1 - square / 2) * centre + ring * (y[..., :1] * first + y[..., 1:] * second)
    )


@squared_lengths.register
def _(manifold: Sphere, x: Tensor, centres: Tensor) -> Tensor:
    # The chord; from differences, since products would lose the digits of near points.
    return torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist").square()


def frame(c: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors that span the plane orthogonal to unit vectors ``c``, ``(..., 3)`` each.

    Without a branch on the data, after Duff et al. 2017, "Building an Orthonormal Basis,
    Revisited", JCGT 6(1).

    Example:
        >>> frame(torch.tensor([0.0, 0.0, 1.0]))
        (tensor([1., -0., -0.]), tensor([-0., 1., -0.]))
    """
    x, y, z = c.unbind(-1)
    sign = torch.copysign(torch.ones_like(z), z)
    a = -1 / (sign + z)
    b = x * y * a
    first = torch.stack([1 + sign * x * x * a, sign * b, -sign * x], -1)
    return first, torch.stack([b, sign + y * y * a, -y], -1)


def log_gaussian(y: Tensor, whitening: Tensor) -> Tensor:
    """Log density of a Gaussian with covariance (W^T W)^-1, ``(..., d), (..., d, d) -> (...)``.

    ``whitening`` W is lower triangular with a positive diagonal.
    """
    z = (whitening @ y.unsqueeze(-1)).squeeze(-1)
    log_det = whitening.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return log_det - 0.5 * z.square().sum(-1) - y.shape[-1] / 2 * math.log(2 * math.pi)
