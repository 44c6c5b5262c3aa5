r"""The isotropic Gaussian on SO(3): rotational Brownian motion stopped at time sigma^2.

    p(q) = f(w) / 8 pi^2,     w = dist(mean, q) the angle of mean^-1 q,

with f the heat kernel of ``so3_heat_kernel`` (density with respect to normalised Haar measure) and
8 pi^2 the Riemannian volume for |omega|^2. The angle has the density f(w)(1 - cos w)/pi on
[0, pi] and is drawn by inverting its tabulated distribution function; the axis is uniform.
Two such draws compose: IG(sigma_1) IG(sigma_2) = IG(sqrt(sigma_1^2 + sigma_2^2)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from ..lengths import expand
from ..rotations import SO3
from .distribution import Distribution, check_mean, check_positive, describe, number_like
from .radial import sample_polar
from .radial_table import RadialTable, tabulate
from .so3_heat_kernel import heat_kernel_slope, log_heat_kernel

# From here on f is 1 to 1e-130: a larger sigma would only overflow when squared.
_UNIFORM = 25.0


@dataclass(frozen=True, eq=False, repr=False)
class IsotropicGaussianSO3(Distribution):
    """IG_SO(3)(mean, std): the heat kernel about ``mean``.

    Args:
        mean: unit quaternions ``(*batch, 4)``.
        std: sigma > 0, a number; deviation of each component of the rotation vector while it
            is small, Haar measure as it grows.

    Raises:
        ValueError: shape of the mean, or ``std`` <= 0.

    >>> gaussian = IsotropicGaussianSO3(torch.tensor([1.0, 0.0, 0.0, 0.0]), 0.5)
    >>> gaussian.sample(3, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([3, 4])
    """

    mean: Tensor
    std: float
    manifold: SO3 = field(default=SO3(), init=False)

    def __post_init__(self) -> None:
        check_mean(self.manifold, self.mean)
        check_positive("std", self.std)

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw unit quaternions, ``(*batch, *mean.shape)``; differentiable in the mean."""
        table = _angles(min(self.std, _UNIFORM))
        return sample_polar(self.manifold, self.mean, table, batch, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., 4)``; Riemannian volume (total 8 pi^2), ``(...)``."""
        return self.log_prob_normalised(x) + self.manifold.log_uniform()

    def log_prob_normalised(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., 4)`` w.r.t. normalised Haar measure, ``(...)``."""
        angle = self.manifold.dist(self.mean, x)
        return log_heat_kernel(angle, number_like(min(self.std, _UNIFORM), angle))

    def score(self, x: Tensor) -> Tensor:
        """Riemannian gradient of log p at ``x``, ``(..., 4)`` to tangent vectors ``(..., 3)``.

        (d log f/dw) times the axis, in the body frame; at angle 0 and pi it is zero.
        """
        angle = self.manifold.dist(self.mean, x)
        slope = heat_kernel_slope(angle, number_like(min(self.std, _UNIFORM), angle))
        return -expand(slope, 1) * self.manifold.logmap(x, self.mean)

    def __repr__(self) -> str:
        return f"IsotropicGaussianSO3(mean={describe(self.mean)}, std={self.std})"


@lru_cache(maxsize=64)
def _angles(std: float) -> RadialTable:
    """Angles of the law, built once for each deviation."""
    scale = torch.tensor(std, dtype=torch.float64)

    def log_density(w: Tensor) -> Tensor:
        # 2 sin^2(w/2) = 1 - cos w, without cancellation at small angles.
        return log_heat_kernel(w, scale) + 2 * (w / 2).sin().log()

    return tabulate(log_density, min(math.pi, 14 * std))
