r"""The angular central Gaussian on S^n: a Gaussian seen through its direction alone.

x = y/|y| with y ~ N(0, A) in R^d, d = n + 1, has the density (Tyler, Biometrika 1987)

    p(x) = det(A)^{-1/2} (x^T A^{-1} x)^{-d/2}       w.r.t. the uniform law on S^n

and 1/area(S^n) times this w.r.t. the surface measure. It is antipodally symmetric, hence a law of
axes, and on S^3 one of rotations (``Antipodal``); the scale of A does not matter, and A = I is
uniform. With A = L L^T, x^T A^{-1} x = |L^{-1} x|^2. It is also what the projective linear map
x -> L x/|L x| makes of the uniform law.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..sphere import Sphere
from .distribution import Distribution, describe


@dataclass(frozen=True, eq=False, repr=False)
class AngularCentralGaussian(Distribution):
    """The direction of a centred Gaussian with covariance L L^T.

    Args:
        scale_tril: lower triangular L with a positive diagonal, ``(*batch, n + 1, n + 1)``; what
            is above the diagonal is ignored.

    Raises:
        ValueError: ``scale_tril`` is not a stack of square matrices of size 2 or more.

    >>> acg = AngularCentralGaussian(torch.eye(4))
    >>> acg.log_prob_normalised(torch.tensor([0.0, 1.0, 0.0, 0.0])).abs() < 1e-6
    tensor(True)
    """

    scale_tril: Tensor
    manifold: Sphere = field(init=False)

    def __post_init__(self) -> None:
        shape = tuple(self.scale_tril.shape)
        if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < 2:
            raise ValueError(
                "expected scale_tril as lower triangular matrices of shape (..., n + 1, n + 1) "
                f"with n >= 1, got shape {shape}"
            )
        object.__setattr__(self, "manifold", Sphere(shape[-1] - 1))

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw unit vectors, ``(*batch, *parameter batch, n + 1)``; differentiable in L."""
        factor = self.scale_tril.tril()
        shape = (*batch, *factor.shape[:-1])
        z = torch.randn(shape, generator=generator, dtype=factor.dtype, device=factor.device)
        return self.manifold.projx((factor @ z[..., None]).squeeze(-1))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., n + 1)``; surface measure of S^n, ``(...)``."""
        return self.log_prob_normalised(x) + self.manifold.log_uniform()

    def log_prob_normalised(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., n + 1)`` w.r.t. the uniform law, ``(...)``."""
        white: Tensor = torch.linalg.solve_triangular(self.scale_tril, x[..., None], upper=False)
        log_det = self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        dim = self.scale_tril.shape[-1]
        return -log_det - dim / 2 * (white * white).sum((-2, -1)).log()

    def __repr__(self) -> str:
        return f"AngularCentralGaussian({self.manifold}, {describe(self.scale_tril)})"
