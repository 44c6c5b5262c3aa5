r"""The probability simplex with the Fisher-Rao metric <u, v>_p = sum_i u_i v_i / p_i.

The square root y = sqrt(p) maps it onto the part of the unit sphere where no coordinate is
negative, doubling lengths: |u|_p = 2 |dy|. Geodesics are the squares of great circles (see
``slerp``)::

    p_t = y_t^2,   u_t = 2 y_t dy_t/dt,   dist(p, q) = 2 arccos sum_i sqrt(p_i q_i)
    volume = pi^{K/2} / Gamma(K/2)

The chord is taken as (q - p)/(sqrt(p) + sqrt(q)), which no rounding of square roots spoils.
Points of the orthant are at most a quarter turn apart, so nothing is singular: geodesics between
vertices and along the boundary are exact. The uniform law of this metric is the Dirichlet law
with all parameters 1/2, not 1.

On the boundary p_i = 0 the coordinates themselves degenerate: the velocity u_i = 2 y_i dy_i
vanishes there whatever dy_i is, so expmap and logmap invert each other inside only. The orthant,
``PositiveOrthant``, has no such fault. The slope of sqrt at p_i = 0 is infinite; here it ends at
1/eps, with an error of sqrt(p) below eps/4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_finite, check_size, check_values
from .lengths import dot, length
from .manifold import Manifold, check_point_shape, check_tangent_shape, random_like
from .slerp import along, angle, departure, frame, reflect, shoot


def square_root(p: Tensor) -> Tensor:
    """Square root, exactly 0 at 0, with slope 1/eps there: p / max(sqrt(p), eps)."""
    return p / length(p)


def chords(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and difference of sqrt(p) and sqrt(q); the difference from q - p."""
    s = square_root(p) + square_root(q)
    return s, (q - p) / s.clamp_min(torch.finfo(s.dtype).eps)


@dataclass(frozen=True, repr=False)
class Simplex(Manifold):
    """Distributions over ``K`` categories with the Fisher-Rao metric; points ``(..., K)``.

    Raises:
        ValueError: ``K`` is not an integer above 1.

    Example:
        >>> simplex = Simplex(3)
        >>> p_t, u_t = simplex.interpolant(*torch.eye(3)[:2], torch.tensor(0.5))
        >>> p_t
        tensor([0.5000, 0.5000, 0.0000])
        >>> simplex.dist(*torch.eye(3)[:2]), simplex.norm(p_t, u_t)
        (tensor(3.1416), tensor(3.1416))
    """

    K: int

    def __post_init__(self) -> None:
        check_size("Simplex", "K", self.K, 2)

    @property
    def dim(self) -> int:
        """Intrinsic dimension K - 1."""
        return self.K - 1

    @property
    def point_shape(self) -> tuple[int, ...]:
        """``(K,)``."""
        return (self.K,)

    def projx(self, x: Tensor) -> Tensor:
        """Negative numbers set to 0, then scaled to sum 1: the nearest in square roots."""
        x = x.clamp_min(0)
        return x / x.sum(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """The nearest in this metric: zero where p_i = 0, then u - (sum_i u_i) p."""
        u = u * (x > 0)
        return u - u.sum(-1, keepdim=True) * x

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """Square of the great circle; beyond the boundary it is reflected."""
        y = square_root(x)
        return shoot(y, 0.5 * u / length(x)).square()

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """The velocity 2 sqrt(p) dy/dt at the start."""
        return 2 * square_root(x) * departure(frame(*chords(x, y)))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Twice the angle between the square roots, batch shape; pi between vertices."""
        return 2 * angle(*chords(x, y))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """The sum of u_i v_i / p_i, batch shape; terms 0/0 of the boundary count 0."""
        y = length(x)
        return dot(u / y, v / y)

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Carried along the great circle of the square roots."""
        return square_root(y) * reflect(frame(*chords(x, y)), v / length(x))

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The pair (y_t^2, 2 y_t dy_t/dt)."""
        y, dy = along(frame(*chords(x0, x1)), t)
        return y * y, 2 * y * dy

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Dirichlet(1/2, ..., 1/2), the uniform law of this metric: ``batch + (K,)``."""
        shape = (*batch, self.K)
        gauss = torch.randn(shape, generator=generator, dtype=dtype, device=device)
        return self.projx(gauss.square())

    def log_uniform(self) -> float:
        """Log of Gamma(K/2) / pi^{K/2}."""
        return math.lgamma(self.K / 2) - self.K / 2 * math.log(math.pi)

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The point exp_p of a tangent Gaussian, reflected at the boundary."""
        y = square_root(x)
        w = 0.5 * random_like(x, self.point_shape, std, generator)
        return shoot(y, w - dot(y, w).unsqueeze(-1) * y).square()

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless no number is negative and each sum is 1."""
        check_point_shape(self, x)
        least = x.amin(-1).clamp_max(0)
        check_values(self, "points on", "min(p, 0)", least, 0.0, "project with projx")
        check_values(self, "points on", "sum(p)", x.sum(-1), 1.0, "project with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless ``u`` is finite, sums to 0, and is 0 where p is."""
        check_tangent_shape(self, x, u)
        what, mend = "tangent vectors of", "project with proju"
        check_finite(self, what, u, 1)
        total = u.sum(-1) / (1 + u.abs().sum(-1))
        check_values(self, what, "sum(u)/(1 + sum|u|)", total, 0.0, mend)
        outside = torch.where(x > 0, 0.0, u.abs()).amax(-1)
        check_values(self, what, "max of |u| where p = 0", outside, 0.0, mend)
