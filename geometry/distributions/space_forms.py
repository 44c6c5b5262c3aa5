r"""Manifolds of constant curvature, seen in polar coordinates about any of their points.

On a space form of dimension n and sectional curvature kappa the volume element at distance
r from a point, in the direction v of the unit sphere S^{n-1}, is s(r)^{n-1} dr dv with

    s(r) = sin(sqrt(kappa) r)/sqrt(kappa),  r,  sinh(sqrt(-kappa) r)/sqrt(-kappa)

for kappa > 0, = 0, < 0. Hence log|det d exp| at a tangent vector of length r is
(n-1) log(s(r)/r), and a law that depends on the distance alone is a law on [0, diameter].

    ============  =====  ========  ==================================
    space         kappa  diameter  log|det d exp|
    ============  =====  ========  ==================================
    R^n           0      inf       0
    S^n           1      pi        (n-1) log(sin r / r)
    SO(3)         1/4    pi        2 log(sin(r/2) / (r/2))
    H^n           -1     inf       (n-1) log(sinh r / r)
    ============  =====  ========  ==================================

SO(3) with |omega|^2 is the 3-sphere of radius 2 with opposite points made one, which halves
the diameter. A closed geodesic is two diameters long in both compact cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor

from ..euclidean import LinearSpace
from ..lorentz import Lorentz
from ..manifold import Manifold
from ..poincare import PoincareBall
from ..rotations import SO3
from ..sphere import Sphere

# Below it five terms of the series leave out less than 2e-16.
_SMALL = 0.03


@dataclass(frozen=True)
class SpaceForm:
    """Dimension, constant sectional curvature and largest distance of a manifold."""

    dim: int
    curvature: float
    diameter: float = math.inf

    def log_sine(self, r: Tensor) -> Tensor:
        """log s(r), ``(...)``; at a zero of s the log of the least normal number."""
        rate = math.sqrt(abs(self.curvature))
        if self.curvature > 0:
            return _log((rate * r).sin()) - math.log(rate)
        if self.curvature < 0:
            # log sinh z = z + log(1 - exp(-2z)) - log 2, which does not overflow.
            return rate * r + _log(-(-2 * rate * r).expm1()) - math.log(2 * rate)
        return _log(r)

    def log_sine_floored(self, r: Tensor) -> Tensor:
        """log max(s(r), sqrt(eps)), for division where geodesics focus; gradient 0 below."""
        return self.log_sine(r).clamp_min(math.log(torch.finfo(r.dtype).eps) / 2)

    def log_det_exp(self, r: Tensor) -> Tensor:
        """(n-1) log(s(r)/r), the log volume factor of exp at length ``r`` >= 0, ``(...)``.

        On the sphere it falls to minus infinity at r = pi, where s is floored at sqrt(eps);
        the gradient at r = 0 is zero.
        """
        z = self.curvature * r * r
        small = z.abs() < _SMALL
        # The branch not taken gets r = 1, the series 0: all gradients are finite.
        near = torch.where(small, z, 0.0)
        r = torch.where(small, 1.0, r)
        far = self.log_sine_floored(r) - r.log()
        return (self.dim - 1) * torch.where(small, _series(near), far)

    def log_sphere(self) -> float:
        """log of the area 2 pi^{n/2}/Gamma(n/2) of the unit sphere of directions."""
        half = self.dim / 2
        return math.log(2) + half * math.log(math.pi) - math.lgamma(half)


@singledispatch
def space_form(manifold: Manifold) -> SpaceForm:
    """The polar geometry of ``manifold``, if it is a space form.

    Another manifold of constant curvature joins with ``space_form.register``.

    Raises:
        ValueError: the manifold has no constant curvature.

    >>> space_form(Sphere(2))
    SpaceForm(dim=2, curvature=1.0, diameter=3.141592653589793)
    """
    raise ValueError(
        f"expected a manifold of constant curvature (Euclidean, Sphere, SO3, Lorentz or "
        f"PoincareBall), got {manifold}; tell its curvature through space_form.register"
    )


@space_form.register
def _(manifold: LinearSpace) -> SpaceForm:
    return SpaceForm(manifold.dim, 0.0)


@space_form.register
def _(manifold: Sphere) -> SpaceForm:
    return SpaceForm(manifold.dim, 1.0, math.pi)


@space_form.register
def _(manifold: SO3) -> SpaceForm:
    return SpaceForm(manifold.dim, 0.25, math.pi)


@space_form.register(Lorentz)
@space_form.register(PoincareBall)
def _(manifold: Lorentz | PoincareBall) -> SpaceForm:
    return SpaceForm(manifold.dim, -1.0)


def _series(z: Tensor) -> Tensor:
    """The even function log(s(r)/r) of r in z = kappa r^2, for either sign of kappa."""
    tail = z / 2835 * (1 + z * (2835 / 37800) * (1 + z * (37800 / 467775)))
    return -z / 6 * (1 + z / 30 + 6 * z * tail)


def _log(x: Tensor) -> Tensor:
    """log of max(x, least normal number), with gradient zero below."""
    return x.clamp_min(torch.finfo(x.dtype).tiny).log()
