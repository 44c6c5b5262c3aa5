r"""The wrapped normal: a Gaussian in the tangent space, carried to the manifold by exp.

    x = exp_m(z),   z ~ N(0, sigma^2 I) in T_m M

It is drawn at the cost of one exponential map and is differentiable in m and sigma. Its density
holds the Jacobian of exp and, on a compact manifold, every way around that ends at x: see
``wrapped_density``. Turns |k| <= ``windings`` are counted; on a space form of diameter D what is
neglected has mass P(chi_n > (2 windings + 1) D/sigma).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..manifold import Manifold
from .distribution import Distribution, check_mean, check_positive, describe, number_like
from .wrapped_density import WrappedDensity, wrapped_density


@dataclass(frozen=True, eq=False, repr=False)
class WrappedNormal(Distribution):
    """exp_mean of an isotropic Gaussian of deviation ``std``; ``manifold.random_normal``.

    Args:
        manifold: a space form (Euclidean, Sphere, SO3, Lorentz, PoincareBall), a FlatTorus or a
            product of these.
        mean: ``(*batch, *point_shape)``.
        std: a number, or a tensor that broadcasts against ``batch``.
        windings: how many turns around a closed geodesic the density counts.

    Raises:
        ValueError: shape of the mean, ``std`` <= 0, ``windings`` < 0, or a manifold on which
            the density is not known.

    >>> from geometry.sphere import Sphere
    >>> normal = WrappedNormal(Sphere(2), torch.tensor([0.0, 0.0, 1.0]), 0.1)
    >>> normal
    WrappedNormal(Sphere(2), mean=<(3,) float32>, std=0.1)
    >>> x = normal.sample(5, generator=torch.Generator().manual_seed(0))
    >>> normal.log_prob(x).shape
    torch.Size([5])
    """

    manifold: Manifold
    mean: Tensor
    std: Tensor | float
    windings: int = 2
    # Chosen here once, so that log_prob compiles: dynamo cannot trace a singledispatch.
    _density: WrappedDensity = field(init=False)

    def __post_init__(self) -> None:
        check_mean(self.manifold, self.mean)
        check_positive("std", self.std)
        check_positive("windings", self.windings, zero=True)
        object.__setattr__(self, "_density", wrapped_density(self.manifold))

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points, ``(*batch, *mean.shape)``; differentiable in mean and std."""
        mean = self.mean.expand(*batch, *self.mean.shape)
        return self.manifold.random_normal(mean, self.std, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., *point_shape)``; Riemannian volume, ``(...)``."""
        return self._density(self.mean, x, number_like(self.std, x), self.windings)

    def __repr__(self) -> str:
        std = describe(self.std)
        return f"WrappedNormal({self.manifold}, mean={describe(self.mean)}, std={std})"
