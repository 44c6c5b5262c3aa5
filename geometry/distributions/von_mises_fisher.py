r"""The von Mises-Fisher law on the sphere S^n: the exponential family of <mean, x>.

    p(x) = exp(kappa (<m, x> - 1)) / Z        w.r.t. the surface measure of S^n

(Mardia and Jupp, Directional Statistics, 2000). No Bessel function is needed: Z is a
one-dimensional integral over the angle r, <m, x> = cos r, and the angle is drawn by inverting
its tabulated distribution function (``radial_table``). For n = 2 it is known in closed form,

    Z = 2 pi (1 - exp(-2 kappa)) / kappa.

<m, x> - 1 = -|m - x|^2/2 has no cancellation, however large the concentration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor

from ..sphere import Sphere
from .distribution import Distribution, check_mean, check_positive, describe
from .radial import sample_polar, tabulate_polar
from .radial_table import RadialTable
from .space_forms import SpaceForm, space_form


@dataclass(frozen=True, eq=False, repr=False)
class VonMisesFisher(Distribution):
    """Density proportional to exp(concentration <mean, x>) on a sphere.

    Args:
        manifold: a ``Sphere``.
        mean: ``(*batch, n + 1)``, unit vectors.
        concentration: kappa >= 0, a number; 0 is uniform.

    Attributes:
        log_normaliser: log Z, the integral of exp(kappa (<m, x> - 1)) over the sphere.

    Raises:
        ValueError: shape of the mean, or a negative concentration.

    >>> vmf = VonMisesFisher(Sphere(2), torch.tensor([0.0, 0.0, 1.0]), 10.0)
    >>> vmf.log_prob(torch.tensor([0.0, 0.0, 1.0]))
    tensor(0.4647)
    """

    manifold: Sphere
    mean: Tensor
    concentration: float
    log_normaliser: float = field(init=False)
    _angles: RadialTable = field(init=False)

    def __post_init__(self) -> None:
        check_mean(self.manifold, self.mean)
        check_positive("concentration", self.concentration, zero=True)
        form = space_form(self.manifold)
        angles = _angles(form, self.concentration)
        object.__setattr__(self, "_angles", angles)
        object.__setattr__(self, "log_normaliser", form.log_sphere() + angles.log_mass)

    def sample(self, *batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points, ``(*batch, *mean.shape)``; differentiable in the mean."""
        return sample_polar(self.manifold, self.mean, self._angles, batch, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x`` ``(..., n + 1)``; surface measure of S^n, ``(...)``."""
        chord = x - self.mean
        return -self.concentration / 2 * (chord * chord).sum(-1) - self.log_normaliser

    def __repr__(self) -> str:
        mean = describe(self.mean)
        return f"VonMisesFisher({self.manifold}, mean={mean}, kappa={self.concentration})"


@lru_cache(maxsize=64)
def _angles(form: SpaceForm, kappa: float) -> RadialTable:
    """The angles of the law, built once for each dimension and concentration."""
    return tabulate_polar(form, lambda r: -2 * kappa * (r / 2).sin() ** 2, form.diameter)
