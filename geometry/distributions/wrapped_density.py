r"""The density of exp_m(z), z a tangent Gaussian, with respect to the Riemannian volume.

It is the sum over all tangent vectors that arrive at x,

    p(x) = sum over {u: exp_m(u) = x} of N(u; 0, sigma^2 I) / |det d exp_m(u)|.

On a space form (``space_forms``) |det d exp_m(u)| = (s(r)/r)^{n-1}, r = |u|. A compact one has
closed geodesics of length 2D, so that x at distance r is reached by r_k = r + 2Dk, k any
integer, and s(r_k) = +-s(r):

    p = (2 pi sigma^2)^{-n/2} |s(r)|^{1-n} sum_k |r_k|^{n-1} exp(-r_k^2 / 2 sigma^2).

On the flat torus p is the product over coordinates of the sums with n = 1; on a product of
manifolds it is that of the parts' densities, where a weight w of the metric makes the deviation
of its part sigma/sqrt(w) and the volume w^{n/2} times as large.

Where n > 1 the windings focus: the true density is infinite (and integrable) at the antipode
of a sphere and, by the terms k != 0, at the mean of a sphere and of SO(3). There s is floored
at sqrt(eps), and values and gradients stay finite. For sigma well below D/sqrt(n) the terms
k != 0 are zero to rounding and nothing of this is seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch
from typing import Protocol

import torch
from torch import Tensor

from ..manifold import Manifold
from ..product import Factored
from ..torus import FlatTorus
from .space_forms import SpaceForm, space_form


class WrappedDensity(Protocol):
    """What the wrapped normal needs to know of a manifold."""

    def __call__(self, mean: Tensor, x: Tensor, std: Tensor, windings: int) -> Tensor:
        """Log density at ``x``, batch shape; turns |k| <= ``windings`` are counted."""
        ...


@singledispatch
def wrapped_density(manifold: Manifold) -> WrappedDensity:
    """The density of the wrapped normal on ``manifold``; other kinds join with ``register``.

    Raises:
        ValueError: none is known.
    """
    return PolarDensity(manifold, space_form(manifold))


@dataclass(frozen=True)
class PolarDensity:
    """On a space form, by its polar coordinates about the mean."""

    manifold: Manifold
    form: SpaceForm

    def __call__(self, mean: Tensor, x: Tensor, std: Tensor, windings: int) -> Tensor:
        """Log density at ``x``, batch shape."""
        r = self.manifold.dist(mean, x)
        log_p = -((r / std) ** 2) / 2 - self.form.log_det_exp(r)
        if windings and math.isfinite(self.form.diameter):
            log_p = torch.logaddexp(log_p, self._turns(r, std, windings))
        return log_p - _log_normaliser(self.form.dim, std)

    def _turns(self, r: Tensor, std: Tensor, windings: int) -> Tensor:
        """log of the sum over 0 < |k| <= windings of exp(-r_k^2/2 std^2) |r_k/s(r)|^{n-1}."""
        k = torch.arange(1, windings + 1, dtype=r.dtype, device=r.device)
        turns = 2 * self.form.diameter * torch.cat([-k, k])
        r_k = (r[..., None] + turns).abs()
        power = self.form.dim - 1
        terms = power * r_k.log() - (r_k / std[..., None]) ** 2 / 2
        return terms.logsumexp(-1) - power * self.form.log_sine_floored(r)


@wrapped_density.register
def _(manifold: FlatTorus) -> WrappedDensity:
    return TorusDensity(manifold)


@dataclass(frozen=True)
class TorusDensity:
    """On a flat torus, the product over coordinates of the densities on circles."""

    manifold: FlatTorus

    def __call__(self, mean: Tensor, x: Tensor, std: Tensor, windings: int) -> Tensor:
        """Log density at ``x``, batch shape."""
        u = self.manifold.logmap(mean, x)
        k = torch.arange(-windings, windings + 1, dtype=u.dtype, device=u.device)
        z = (u[..., None] + 2 * torch.pi * k) / std[..., None, None]
        return (-z * z / 2).logsumexp(-1).sum(-1) - _log_normaliser(self.manifold.dim, std)


@wrapped_density.register
def _(manifold: Factored) -> WrappedDensity:
    return ProductDensity(manifold, tuple(wrapped_density(part) for part in manifold.parts))


@dataclass(frozen=True)
class ProductDensity:
    """On a product, the product of the parts' ``densities``."""

    manifold: Factored
    densities: tuple[WrappedDensity, ...]

    def __call__(self, mean: Tensor, x: Tensor, std: Tensor, windings: int) -> Tensor:
        """Log density at ``x``, batch shape."""
        product = self.manifold
        pairs = zip(product.split(mean), product.split(x), strict=True)
        laws = zip(self.densities, product.parts, product.part_weights, strict=True)
        terms = [
            density(a, b, std / w**0.5, windings) - part.dim / 2 * math.log(w)
            for (density, part, w), (a, b) in zip(laws, pairs, strict=True)
        ]
        return sum(terms[1:], terms[0])


def _log_normaliser(dim: int, std: Tensor) -> Tensor:
    """log (2 pi std^2)^{dim/2}."""
    return dim * (std.log() + math.log(2 * math.pi) / 2)
