r"""The flat torus T^n = R^n / (2 pi Z)^n: n angles in [0, 2 pi).

The shortest difference of two angles is delta = d - 2 pi round(d / 2 pi) with d = y - x, and::

    exp_x(u)   = wrap(x + u)
    log_x(y)   = delta,        dist = |delta|
    x_t        = wrap(x_0 + t delta),   u_t = delta
    volume     = (2 pi)^n

Angles half a turn apart have two shortest arcs; rounding half to even takes the one that does
not cross zero, so log_x(y) = -log_y(x) holds there too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_finite, check_size, check_values
from .lengths import dot, root
from .manifold import Manifold, check_point_shape, check_tangent_shape, random_like
from .stages import spread

TURN = 2 * math.pi
PER_TURN = 1 / TURN
# 2 pi in two parts: the product of the first with a small integer is exact in any dtype.
HIGH = 6.28125
LOW = 0.0019353071795864769


def less_turns(x: Tensor, turns: Tensor) -> Tensor:
    """The difference x - 2 pi turns, rounded as if 2 pi were exact."""
    return torch.add(torch.add(x, turns, alpha=-HIGH), turns, alpha=-LOW)


def wrap(x: Tensor) -> Tensor:
    """``x`` modulo 2 pi, in [0, 2 pi), with gradient 1.

    Rounding makes x - 2 pi floor(x / 2 pi) miss that interval by one unit at either end, as it
    makes ``torch.remainder(-1e-9, 2 * pi)`` return 2 pi in float32; both ends are mended.

    Example:
        >>> wrap(torch.tensor([-1e-9, 7.0]))
        tensor([0.0000, 0.7168])
    """
    x = less_turns(x, (x * PER_TURN).floor())
    x = x - x.detach().clamp_max(0)
    return torch.add(x, x >= TURN, alpha=-TURN)


def shortest(d: Tensor) -> Tensor:
    """The difference of angles ``d`` modulo 2 pi, in [-pi, pi]."""
    return less_turns(d, (d * PER_TURN).round())


@dataclass(frozen=True, repr=False)
class FlatTorus(Manifold):
    """T^n, n angles in [0, 2 pi); points ``(..., n)``.

    Raises:
        ValueError: ``n`` is not a positive integer.

    Example:
        >>> torus = FlatTorus(1)
        >>> torus.interpolant(torch.tensor([6.0]), torch.tensor([1.0]), torch.tensor(0.5))
        (tensor([0.3584]), tensor([1.2832]))
    """

    n: int

    def __post_init__(self) -> None:
        check_size("FlatTorus", "n", self.n, 1)

    @property
    def dim(self) -> int:
        """Intrinsic dimension n."""
        return self.n

    @property
    def point_shape(self) -> tuple[int, ...]:
        """``(n,)``."""
        return (self.n,)

    def projx(self, x: Tensor) -> Tensor:
        """``x`` modulo 2 pi."""
        return wrap(x)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """``u`` itself: every vector is tangent."""
        return u

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """The angles x + u modulo 2 pi."""
        return wrap(x + u)

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """The shortest difference, in [-pi, pi]."""
        return shortest(y - x)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Length of the shortest difference, batch shape."""
        delta = shortest(y - x)
        return root(dot(delta, delta))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Scalar product, batch shape."""
        return dot(u, v)

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """``v`` itself."""
        return v

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The pair (wrap(x_0 + t delta), delta)."""
        delta = shortest(x1 - x0)
        x_t = wrap(torch.addcmul(x0, spread(t, self.n), delta))
        return x_t, delta.expand_as(x_t)

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Independent uniform angles: ``batch + (n,)``."""
        shape = (*batch, self.n)
        return wrap(TURN * torch.rand(shape, generator=generator, dtype=dtype, device=device))

    def log_uniform(self) -> float:
        """Minus n log 2 pi."""
        return -self.n * math.log(TURN)

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The angles x plus a Gaussian, modulo 2 pi."""
        return wrap(x + random_like(x, self.point_shape, std, generator))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless all angles are finite and in [0, 2 pi)."""
        check_point_shape(self, x)
        check_finite(self, "points on", x, 1)
        value = torch.where((x >= 0) & (x < TURN), 0.0, (x / TURN).floor()).abs().amax(-1)
        check_values(self, "points on", "|floor(x / 2 pi)|", value, 0.0, "wrap with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless all numbers are finite."""
        check_tangent_shape(self, x, u)
        check_finite(self, "tangent vectors of", u, 1)
