r"""The power spherical law on S^n: as von Mises-Fisher, with everything in closed form.

    p(x) = C (1 + <m, x>)^kappa
    C    = Gamma(n + kappa) / (2^{n+kappa} pi^{n/2} Gamma(n/2 + kappa))

with respect to the surface measure (De Cao and Aziz, arXiv 2006.04437). If

    z ~ Beta(n/2 + kappa, n/2),   c = 2z - 1,

then x = c m + sqrt(1 - c^2) v with v uniform among the unit vectors orthogonal to m. The sample
is exact and differentiable in m and kappa: z = g_1/(g_1 + g_2) with two gamma variables, and
1 - z = g_2/(g_1 + g_2) keeps the angle precise when kappa is large.

With w = (1 + <m, x>)/2 = |x + m|^2/4 the density is w^kappa times

    2^{-n} pi^{-n/2} Gamma(n + kappa)/Gamma(n/2 + kappa),

in which no two large numbers cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..lengths import root
from ..sphere import Sphere
from .distribution import Distribution, check_mean, check_positive, describe, number_like
from .radial import random_direction


@dataclass(frozen=True, eq=False, repr=False)
class PowerSpherical(Distribution):
    """Density proportional to (1 + <mean, x>)^concentration on a sphere.

    Args:
        manifold: a ``Sphere``.
        mean: ``(*batch, n + 1)``, unit vectors.
        concentration: kappa >= 0, a number or a tensor that broadcasts against ``batch``; 0 is
            uniform.

    Raises:
        ValueError: shape of the mean, or a negative concentration.

    >>> law = PowerSpherical(Sphere(2), torch.tensor([0.0, 0.0, 1.0]), 10.0)
    >>> law.log_prob(torch.tensor([0.0, 0.0, 1.0]))
    tensor(-0.1331)
    """

    manifold: Sphere
    mean: Tensor
    concentration: Tensor | float

    def __post_init__(self) -> None:
        check_mean(self.manifold, self.mean)
        check_positive("concentration", self.concentration, zero=True)

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points, ``(*batch, *mean.shape)``; differentiable in mean and concentration."""
        mean = self.mean.expand(*batch, *self.mean.shape)
        kappa = number_like(self.concentration, mean).expand(mean.shape[:-1])
        half = torch.full_like(kappa, self.manifold.n / 2)
        # torch.distributions takes no generator, this function beneath it (torch 2.13) does.
        g1 = torch._standard_gamma(half + kappa, generator=generator)
        g2 = torch._standard_gamma(half, generator=generator)
        # z - (1 - z), and 2 sqrt(z (1 - z)) with a finite slope where z rounds to 0 or 1.
        cosine = (g1 - g2) / (g1 + g2)
        sine = 2 * root(g1 * g2) / (g1 + g2)
        v = random_direction(self.manifold, mean, generator)
        return self.manifold.projx(cosine[..., None] * mean + sine[..., None] * v)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., n + 1)``; surface measure of S^n, ``(...)``.

        At the antipode of the mean w is floored at the least normal number.
        """
        kappa, n = number_like(self.concentration, x), self.manifold.n
        constant = -n * math.log(2) - n / 2 * math.log(math.pi)
        return kappa * self._log_w(x) + constant + _log_gamma_ratio(n / 2 + kappa, n / 2)

    def _log_w(self, x: Tensor) -> Tensor:
        """log |x + m|^2/4, as log1p(-|x - m|^2/4) in the nearer half."""
        far = (x - self.mean).square().sum(-1) / 4
        w = (x + self.mean).square().sum(-1) / 4
        near = far < 0.5
        w = torch.where(near, 1.0, w.clamp_min(torch.finfo(x.dtype).tiny))
        return torch.where(near, (-torch.where(near, far, 0.0)).log1p(), w.log())

    def __repr__(self) -> str:
        mean, kappa = describe(self.mean), describe(self.concentration)
        return f"PowerSpherical({self.manifold}, mean={mean}, kappa={kappa})"


def _log_gamma_ratio(a: Tensor, b: float) -> Tensor:
    """log Gamma(a + b)/Gamma(a), to rounding for large ``a``, where lgamma would cancel.

    Above 16 by the difference of two Stirling series,
    (a - 1/2) log1p(b/a) + b (log(a + b) - 1) + c(a + b) - c(a).
    """
    large = a > 16
    s = torch.where(large, a, 16.0)
    stirling = (s - 0.5) * (b / s).log1p() + b * ((s + b).log() - 1)
    stirling = stirling + _stirling_rest(s + b) - _stirling_rest(s)
    a = torch.where(large, 16.0, a)
    return torch.where(large, stirling, torch.lgamma(a + b) - torch.lgamma(a))


def _stirling_rest(a: Tensor) -> Tensor:
    """c(a) = 1/12a - 1/360a^3 + ..., below 1e-15 wrong at 16."""
    s = 1 / (a * a)
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / a
