r"""Families of distributions as manifolds: the Fisher-Rao metric g = E[grad log p grad log p^T].

It is, up to scale, the only metric that sufficient statistics leave unchanged (Chentsov).

* Categorical: a sphere's orthant; that is ``Simplex``, called ``Categorical`` here.
* Gaussian: N(mu, sigma^2) has ds^2 = (dmu^2 + 2 dsigma^2)/sigma^2, twice the hyperbolic
  half-plane in (mu/sqrt 2, sigma), of curvature -1/2 (Atkinson and Mitchell, 1981).
* Dirichlet: no closed form; geodesics are integrated by geomstats (``dirichlet``).

The half-plane is homogeneous, so the first point is moved to i: a = (mu_1 - mu_0)/(sqrt 2
sigma_0), b = sigma_1/sigma_0. With p = ((b - 1)(b + 1) + a^2)/(2b), q = a/b, S = sinh theta =
|(p, q)| and s = sinh(t theta)/S, the geodesic from i is (s q, 1)/D with ::

    D = e^(-t theta) + s (S - p),     S - p = q^2/(S + p) if p > 0

in which nothing cancels; theta comes from sinh(theta/2) = |(a, b - 1)|/(2 sqrt b).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._refusals import refuse_where
from .checks import check_values
from .geomstats_adapter import GeomstatsManifold, geomstats_module
from .hyperbolic import half_angle
from .infinite_volume import InfiniteVolume
from .lengths import length, root
from .manifold import check_point_shape, check_tangent_shape, random_like
from .simplex import Simplex

Categorical = Simplex

_SQRT2 = math.sqrt(2)


def _shoot(p: Tensor, q: Tensor, size: Tensor, theta: Tensor, t: Tensor) -> tuple[Tensor, ...]:
    """The geodesic from i with direction (q, p)/size at arc t theta: (a, b) and derivatives.

    Returns:
        a, b, da/dt, db/dt, each of the batch shape.
    """
    up = p > 0
    # Below zero S - p has no cancellation; above, the quotient has none.
    gap = torch.where(up, q.square() / (size + torch.where(up, p, 0.0)), size - p)
    arc = t * theta
    s, c, decay = torch.sinh(arc) / size, theta * torch.cosh(arc) / size, torch.exp(-arc)
    d = decay + s * gap
    d_dot = c * gap - theta * decay
    return s * q / d, 1 / d, (c * q - s * q * d_dot / d) / d, -d_dot / d.square()


@dataclass(frozen=True, repr=False)
class Gaussian(InfiniteVolume):
    """Univariate normal distributions, points (mu, sigma) with sigma > 0, Fisher-Rao metric.

    Example:
        >>> M = Gaussian()
        >>> x, y = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 4.0])
        >>> M.dist(x, y)  # sqrt 2 log 4
        tensor(1.9605)
        >>> M.geodesic(x, y, torch.tensor(0.5))
        tensor([0., 2.])
    """

    @property
    def dim(self) -> int:
        """2."""
        return 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(2,)."""
        return (2,)

    def projx(self, x: Tensor) -> Tensor:
        """Sigma raised to the rounding unit."""
        floor = torch.finfo(x.dtype).eps
        return torch.stack([x[..., 0], x[..., 1].clamp_min(floor)], -1)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """u: every vector is tangent."""
        return u.expand(torch.broadcast_shapes(x.shape, u.shape))

    def _from_i(self, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """The image of (a, b) under the isometry that takes i to x."""
        return torch.stack([x[..., 0] + _SQRT2 * x[..., 1] * a, x[..., 1] * b], -1)

    def _chord(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(p, q) of y seen from x, and sinh^2(theta/2)."""
        a = (y[..., 0] - x[..., 0]) / (_SQRT2 * x[..., 1])
        b, rise = y[..., 1] / x[..., 1], (y[..., 1] - x[..., 1]) / x[..., 1]
        p = (rise * (b + 1) + a.square()) / (2 * b)
        return p, a / b, (a.square() + rise.square()) / (4 * b)

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """The geodesic from i with velocity (u_mu/sqrt 2, u_sigma)/sigma, moved to x."""
        q, p = u[..., 0] / (_SQRT2 * x[..., 1]), u[..., 1] / x[..., 1]
        size = length(p.square() + q.square())
        a, b, _, _ = _shoot(p, q, size, size, torch.ones_like(size))
        return self._from_i(x, a, b)

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """sigma (sqrt 2 q, p) theta/sinh theta."""
        p, q, chord2 = self._chord(x, y)
        theta = 2 * half_angle(length(chord2))
        scale = x[..., 1] * theta / torch.sinh(theta)
        return torch.stack([_SQRT2 * scale * q, scale * p], -1)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Sqrt 2 theta, batch shape."""
        return 2 * _SQRT2 * half_angle(root(self._chord(x, y)[2]))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """(u_mu v_mu + 2 u_sigma v_sigma)/sigma^2."""
        scale = x[..., 1].square()
        return (u[..., 0] * v[..., 0] + 2 * u[..., 1] * v[..., 1]) / scale

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The frame (sigma d/dmu, sigma d/dsigma) turned by arg((w - z*)/(z - w*)), scaled."""
        a = (y[..., 0] - x[..., 0]) / _SQRT2
        b = x[..., 1] + y[..., 1]
        cos, sin = (b - a) * (b + a), -2 * a * b
        scale = y[..., 1] / x[..., 1] / (a.square() + b.square())
        v0, v1 = v[..., 0] / _SQRT2, v[..., 1]
        turned = torch.stack([_SQRT2 * (cos * v0 - sin * v1), sin * v0 + cos * v1], -1)
        return turned * scale.unsqueeze(-1)

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The half-plane's geodesic and its velocity.

        Args:
            x0: (..., 2).
            x1: (..., 2).
            t: (...).

        Returns:
            x_t and u_t, (..., 2).
        """
        p, q, chord2 = self._chord(x0, x1)
        theta = 2 * half_angle(length(chord2))
        a, b, da, db = _shoot(p, q, torch.sinh(theta), theta, t)
        sigma = x0[..., 1]
        velocity = torch.stack([_SQRT2 * sigma * da, sigma * db], -1)
        return self._from_i(x0, a, b), velocity

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """exp_x of a Gaussian in the frame (sigma d/dmu, sigma d/dsigma / sqrt 2)."""
        noise = random_like(x, self.point_shape, std, generator)
        frame = torch.stack([noise[..., 0], noise[..., 1] / _SQRT2], -1)
        return self.expmap(x, x[..., 1:] * frame)

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each sigma is positive and each number finite."""
        check_point_shape(self, x)
        sigma = x[..., 1]
        mend = "project with projx"
        refuse_where(~(sigma > 0), sigma, self, "points on", "sigma > 0", mend)
        check_values(
            self, "points on", "x - x", (x - x).sum(-1), 0.0, "look for a division by zero"
        )

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each vector is finite: all of them are tangent."""
        check_tangent_shape(self, x, u)
        value, what = (u - u).sum(-1), "tangent vectors of"
        check_values(self, what, "u - u", value, 0.0, "look for a division by zero")


def dirichlet(k: int) -> GeomstatsManifold:
    """Dirichlet distributions on k categories, points alpha in (0, inf)^k, Fisher-Rao metric.

    ds^2 = sum_i psi'(alpha_i) dalpha_i^2 - psi'(sum alpha) (sum dalpha)^2 (Le Brigant, Preston
    and Puechmorel, 2021). geomstats integrates geodesics and solves the boundary value problem
    of the logarithm, one pair at a time, in float64 on the CPU: for study, not for training.

    Raises:
        ValueError: ``k`` is less than 2, or geomstats cannot be used.
    """
    if k < 2:
        raise ValueError(f"expected dirichlet(k) with k >= 2 categories, got k = {k}")
    module = geomstats_module("geomstats.information_geometry.dirichlet")
    return GeomstatsManifold.build(module.DirichletDistributions, k)
