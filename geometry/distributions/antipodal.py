r"""From the double cover to rotations: what a law on S^3 says about SO(3).

Unit quaternions q and -q are one rotation R(q), so a law on S^3 pushes forward to SO(3) as a sum
over both. With respect to normalised measures (uniform on S^3, Haar on SO(3))

    p_SO3(R(q)) = (p_S3(q) + p_S3(-q)) / 2,

which is p_S3(q) where that is symmetric, and Haar has log density 0. With respect to Riemannian
volumes, S^3 of total 2 pi^2 and SO(3) with |omega|^2 of total 8 pi^2 (angles double, so lengths
double and volumes take a factor 8; identification halves),

    p_SO3 = (p_S3(q) + p_S3(-q)) / 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..rotations import SO3
from ..sphere import Sphere
from .distribution import Distribution


@dataclass(frozen=True, eq=False)
class Antipodal(Distribution):
    """The law on SO(3) of the rotation of a quaternion drawn from ``base``.

    Args:
        base: a distribution on ``Sphere(3)``.

    Raises:
        ValueError: ``base`` lives elsewhere.

    >>> from geometry.distributions.uniform import Uniform
    >>> haar = Antipodal(Uniform(Sphere(3)))
    >>> haar.log_prob_normalised(torch.tensor([1.0, 0.0, 0.0, 0.0])).abs() < 1e-6
    tensor(True)
    """

    base: Distribution
    manifold: SO3 = field(default=SO3(), init=False, repr=False)

    def __post_init__(self) -> None:
        if self.base.manifold != Sphere(3):
            raise ValueError(
                f"expected a distribution on Sphere(3), got one on {self.base.manifold}"
            )

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw unit quaternions from the base, ``(*batch, ..., 4)``."""
        return self.base.sample(*batch, generator=generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., 4)``; volume of |omega|^2, total 8 pi^2, ``(...)``."""
        both = torch.logaddexp(self.base.log_prob(x), self.base.log_prob(-x))
        return both - math.log(8)

    def log_prob_normalised(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., 4)``; normalised Haar measure, ``(...)``."""
        p, q = self.base.log_prob_normalised(x), self.base.log_prob_normalised(-x)
        return torch.logaddexp(p, q) - math.log(2)
