r"""Kernel densities on spheres and tori: what a flow has to beat.

With the chord embedding e(x) (the unit vector; cosines and sines of the angles) every kernel is

    k_kappa(x, c) = exp(kappa (<e(x), e(c)> - a)) / Z(kappa),     a = <e(c), e(c)>

the von Mises-Fisher law on S^2, a product of von Mises laws on T^d, so that all pairs cost one
matrix product. The scale mixture is

    p(x) = sum_m w_m (1/n) sum_i k_{kappa_m}(x, c_i)

with weights w by expectation maximisation on held-out points; one width is the special case of
a single positive weight. Densities are with respect to the Riemannian volume.
Source: Silverman 1986, Density Estimation; Mardia and Jupp 2000, Directional Statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor

from geometry.manifold import Manifold
from geometry.sphere import Sphere
from geometry.torus import FlatTorus

CONCENTRATIONS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5)
"""Ten widths: 57 to 0.18 degrees."""

PAIRS = 1 << 21
"""Pairs of points compared at once; it bounds the memory."""


@singledispatch
def embed(manifold: Manifold, x: Tensor) -> Tensor:
    """e(x), ``(N, *point_shape)`` to ``(N, m)``."""
    raise ValueError(f"expected a sphere or a torus for a kernel density, got {manifold}")


@embed.register
def _(manifold: Sphere, x: Tensor) -> Tensor:
    return x


@embed.register
def _(manifold: FlatTorus, x: Tensor) -> Tensor:
    return torch.cat([x.cos(), x.sin()], -1)


@singledispatch
def log_normaliser(manifold: Manifold, kappa: Tensor) -> Tensor:
    """log Z(kappa), of the shape of ``kappa``."""
    raise ValueError(f"expected a sphere or a torus for a kernel density, got {manifold}")


@log_normaliser.register
def _(manifold: Sphere, kappa: Tensor) -> Tensor:
    if manifold.n != 2:
        raise ValueError(f"expected Sphere(2) for a kernel density, got {manifold}")
    return math.log(2 * math.pi) + torch.log(-torch.expm1(-2 * kappa) / kappa)


@log_normaliser.register
def _(manifold: FlatTorus, kappa: Tensor) -> Tensor:
    value: Tensor = manifold.n * (math.log(2 * math.pi) + torch.special.i0e(kappa).log())
    return value


@dataclass(frozen=True)
class ScaleMixture:
    """A kernel at every centre, in several widths.

    Attributes:
        manifold: ``Sphere(2)`` or ``FlatTorus(n)``.
        centres: ``(n, *point_shape)``.
        concentrations: kappa of each width, ``(m,)``.
        weights: w, ``(m,)``.
    """

    manifold: Manifold
    centres: Tensor
    concentrations: Tensor
    weights: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x``, ``(N, *point_shape)`` to ``(N,)``."""
        return mix(self._scales(x), self.weights)

    def _scales(self, x: Tensor) -> Tensor:
        return log_scales(self.manifold, self.centres, self.concentrations, x)


def log_scales(manifold: Manifold, centres: Tensor, kappa: Tensor, x: Tensor) -> Tensor:
    """Log density of each width alone, ``(N, m)``."""
    e, c = embed(manifold, x), embed(manifold, centres)
    at_centre = c.square().sum(-1)
    log_z = log_normaliser(manifold, kappa)
    rows = max(1, PAIRS // len(centres))
    found = []
    for part in e.split(rows):
        chord = part @ c.T - at_centre
        scales = [(k * chord).logsumexp(-1) for k in kappa]
        found.append(torch.stack(scales, -1) - log_z - math.log(len(centres)))
    return torch.cat(found)


def mix(log_parts: Tensor, weights: Tensor) -> Tensor:
    """log sum_m w_m p_m(x), ``(N, m)`` and ``(m,)`` to ``(N,)``."""
    return (log_parts + weights.log()).logsumexp(-1)


def fit_weights(log_parts: Tensor, *, rounds: int = 300, least: float = 1e-12) -> Tensor:
    """Weights of greatest likelihood by expectation maximisation, ``(N, m)`` to ``(m,)``.

    A weight never falls below ``least``, so that a point far from all has a density.

    Example:
        >>> fit_weights(torch.tensor([[0.0, -9.0], [-9.0, 0.0]])).round(decimals=3)
        tensor([0.5000, 0.5000])
    """
    weights = torch.full_like(log_parts[0], 1 / log_parts.shape[1])
    for _ in range(rounds):
        weights = (log_parts + weights.log()).softmax(-1).mean(0).clamp_min(least)
        weights = weights / weights.sum()
    return weights


def one_width(
    manifold: Manifold,
    train: Tensor,
    validation: Tensor,
    concentrations: Sequence[float] = CONCENTRATIONS,
) -> ScaleMixture:
    """A kernel density of the one width that suits the validation points best."""
    kappa = torch.tensor(concentrations, dtype=train.dtype)
    best = log_scales(manifold, train, kappa, validation).mean(0).argmax()
    weights = torch.ones(1, dtype=train.dtype)
    return ScaleMixture(manifold, train, kappa[best].reshape(1), weights)


def scale_mixture(
    manifold: Manifold,
    train: Tensor,
    validation: Tensor,
    concentrations: Sequence[float] = CONCENTRATIONS,
) -> ScaleMixture:
    """All widths, weighted by expectation maximisation on the validation points."""
    kappa = torch.tensor(concentrations, dtype=train.dtype)
    weights = fit_weights(log_scales(manifold, train, kappa, validation))
    return ScaleMixture(manifold, train, kappa, weights)
