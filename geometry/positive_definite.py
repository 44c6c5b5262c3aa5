"""What the metrics on symmetric positive definite matrices share: the set they live on.

The set is an open cone in the symmetric n x n matrices, of dimension n (n + 1)/2; tangent
vectors are symmetric matrices, wherever they stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._refusals import refuse_where
from .checks import check_size, check_values
from .infinite_volume import InfiniteVolume
from .manifold import check_point_shape, check_tangent_shape, random_like
from .symmetric import apply, spectrum, symmetric


def project(x: Tensor) -> Tensor:
    """Symmetrise and raise eigenvalues to 4 n roundings of the largest: (..., n, n)."""
    x = symmetric(x)
    s = spectrum(x)
    eps = torch.finfo(x.dtype).eps
    floor = 4 * x.shape[-1] * eps * s.values.abs().amax(-1, keepdim=True).clamp_min(eps)
    lift = (floor - s.values).clamp_min(0)
    low = s.values < floor
    gap = s.values.unsqueeze(-1) - s.values.unsqueeze(-2)
    mixed = low.unsqueeze(-1) ^ low.unsqueeze(-2)
    chord = (lift.unsqueeze(-1) - lift.unsqueeze(-2)) / torch.where(mixed, gap, 1.0)
    both = -(low.unsqueeze(-1) & low.unsqueeze(-2)).to(x.dtype)
    return x + apply(s, lift, torch.where(mixed, chord, both))


def gaussian(x: Tensor, std: Tensor | float, generator: torch.Generator | None) -> Tensor:
    """Symmetric Gaussian matrices, isotropic for tr(u v), in the batch shape of ``x``."""
    noise = random_like(x, (x.shape[-1], x.shape[-1]), std, generator)
    # Off the diagonal the two entries of an orthonormal coordinate share its unit variance.
    upper: Tensor = noise.triu(1) / math.sqrt(2)
    return upper + upper.mT + torch.diag_embed(noise.diagonal(dim1=-2, dim2=-1))


@dataclass(frozen=True, repr=False)
class PositiveDefinite(InfiniteVolume):
    """Symmetric positive definite n x n matrices; a subclass adds the metric.

    Args:
        n: size of the matrices, at least 1.

    Raises:
        ValueError: if ``n`` is not a positive integer.
    """

    n: int

    def __post_init__(self) -> None:
        check_size(type(self).__name__, "n", self.n, 1)

    @property
    def dim(self) -> int:
        """n (n + 1)/2."""
        return self.n * (self.n + 1) // 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(n, n)."""
        return (self.n, self.n)

    def projx(self, x: Tensor) -> Tensor:
        """The symmetric part, its eigenvalues raised to 4 n roundings of the largest."""
        return project(x)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """(u + u^T)/2."""
        return symmetric(u).expand(torch.broadcast_shapes(x.shape, u.shape))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each matrix is symmetric with positive eigenvalues."""
        check_point_shape(self, x)
        size = x.abs().amax((-2, -1)).clamp_min(torch.finfo(x.dtype).tiny)
        skew = (x - x.mT).abs().amax((-2, -1)) / size
        check_values(self, "points on", "|x - x^T|/|x|", skew, 0.0, "project with projx")
        least = torch.linalg.eigvalsh(x)[..., 0]
        law = "a least eigenvalue above 0"
        refuse_where(~(least > 0), least, self, "points on", law, "project with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each vector is a symmetric matrix."""
        check_tangent_shape(self, x, u)
        skew = (u - u.mT).abs().amax((-2, -1)) / (1 + u.abs().amax((-2, -1)))
        law = "|u - u^T|/(1 + |u|)"
        check_values(self, "tangent vectors of", law, skew, 0.0, "project with proju")
