r"""The unit sphere S^n in R^{n+1}, with the metric of the ambient space.

Closed forms, with r = |u| and the chords s = x + y, d = y - x (see ``slerp``)::

    exp_x(u)        = cos r x + sin(r)/r u
    dist(x, y)      = 2 atan2(|d|, |s|)
    transp(x, y, v) = v - <y, v>/(1 + <x, y>) (x + y)
    volume          = 2 pi^{(n+1)/2} / Gamma((n+1)/2)

Antipodal points (|x + y| < eps) have no shortest geodesic of their own: a fixed perpendicular
great circle, a function of the pair, is taken by every method.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_size, check_values
from .lengths import dot, length
from .manifold import Manifold, check_point_shape, check_tangent_shape, random_like
from .slerp import (
    Frame,
    along,
    angle,
    departure,
    frame_with_antipodes,
    reflect,
    shoot,
)


def log_area(n: int) -> float:
    """Logarithm of the volume of S^n, 2 pi^{(n+1)/2} / Gamma((n+1)/2).

    Example:
        >>> round(math.exp(log_area(2)) / math.pi, 12)
        4.0
    """
    return math.log(2) + (n + 1) / 2 * math.log(math.pi) - math.lgamma((n + 1) / 2)


class UnitVectors(Manifold):
    """A part of a unit sphere with the metric of the ambient space.

    A subclass says how it makes the mid-point frame of two points, and what lies outside.
    """

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """The tangent part u - <x, u> x."""
        return u - dot(x, u).unsqueeze(-1) * x

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """The tangent vector of length dist(x, y) towards ``y``."""
        return departure(self._frame(x, y))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Angle 2 atan2(|y - x|, |y + x|), batch shape."""
        return angle(y + x, y - x)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Scalar product of the ambient space, batch shape."""
        return dot(u, v)

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The vector v - <y, v>/(1 + <x, y>) (x + y)."""
        return reflect(self._frame(x, y), v)

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(x_t, dx_t/dt) on the great circle."""
        return along(self._frame(x0, x1), t)

    @abstractmethod
    def _frame(self, x: Tensor, y: Tensor) -> Frame:
        """The mid-point frame of two points."""

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The point exp_x of a Gaussian in the tangent space."""
        return self.expmap(x, self.proju(x, random_like(x, self.point_shape, std, generator)))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each |x| is 1."""
        check_point_shape(self, x)
        norm = dot(x, x).sqrt()
        check_values(self, "points on", "|x|", norm, 1.0, "project with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each ``u`` is orthogonal to ``x``, relative to 1 + |u|."""
        check_tangent_shape(self, x, u)
        value = dot(x, u) / (1 + dot(u, u).sqrt())
        law = "<x, u>/(1 + |u|)"
        check_values(self, "tangent vectors of", law, value, 0.0, "project with proju")


@dataclass(frozen=True, repr=False)
class Sphere(UnitVectors):
    """S^n = {x in R^{n+1}: |x| = 1}; points ``(..., n + 1)``.

    Raises:
        ValueError: ``n`` is not a positive integer.

    Example:
        >>> sphere = Sphere(2)
        >>> x, y = torch.eye(3)[:2]
        >>> x_t, u_t = sphere.interpolant(x, y, torch.tensor(0.5))
        >>> x_t
        tensor([0.7071, 0.7071, 0.0000])
        >>> sphere.dist(x, y), sphere.norm(x_t, u_t)
        (tensor(1.5708), tensor(1.5708))
    """

    n: int

    def __post_init__(self) -> None:
        check_size("Sphere", "n", self.n, 1)

    @property
    def dim(self) -> int:
        """Intrinsic dimension n."""
        return self.n

    @property
    def point_shape(self) -> tuple[int, ...]:
        """``(n + 1,)``."""
        return (self.n + 1,)

    def projx(self, x: Tensor) -> Tensor:
        """The point x/|x|; lengths below eps, which have no direction, are divided by eps."""
        return x / length(dot(x, x)).unsqueeze(-1)

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """The point cos r x + sin(r)/r u, with r = |u|."""
        return shoot(x, u)

    def _frame(self, x: Tensor, y: Tensor) -> Frame:
        return frame_with_antipodes(x, y)

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Gaussian vectors, normalised: ``batch + (n + 1,)``."""
        shape = (*batch, self.n + 1)
        return self.projx(torch.randn(shape, generator=generator, dtype=dtype, device=device))

    def log_uniform(self) -> float:
        """Minus the logarithm of the volume of S^n."""
        return -log_area(self.n)
