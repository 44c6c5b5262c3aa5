r"""The ball model: PoincareBall(n) = {x in R^n : |x| < 1} with metric lambda_x^2 |dx|^2.

lambda_x = 2/(1 - |x|^2), curvature -1. With r = |y - x| sqrt(lambda_x lambda_y)/2 = sinh h and
theta = 2h the distance (no cancellation, since r is a product), n and f the endpoints nearer and
farther in time, m = min(t, 1 - t), and the coefficients k, s, c, g of hyperbolic.py::

    N = s l_f (f - n) - (1 - k) n      D = (1 - k) + a l_n + s l_f      x_t = n + N/D
    a = sinh((1 - m) theta)/sinh theta, 1 - k = 2 sinh(t h) sinh((1 - t) h)/cosh h

which is the hyperboloid's geodesic pushed down, with the endpoint subtracted by hand: all
terms of D are positive, and N is small when the points are near, also at the edge. Of the
quotient rule, what cancels is taken out, so that all terms of v are positive as well::

    u_t = v (x_1 - x_0) + w n
    v   = l_f [c (1 - k + k l_n) + s |g| (l_n - 1)]/D^2
    w   = [g (a l_n + s l_f + (1 - k) l_n) + (1 - k) c (l_1 - l_0)]/D^2

exp is the Mobius sum x (+) tanh(L/2) e in the same form, with L = lambda_x |u|, e = u/|u|::

    exp_x(u) = x + (1 - |x|^2) sinh(L/2) w/|w|^2,    w = cosh(L/2) e + sinh(L/2) x

1 - |x|^2 is summed in float64, since float32 would lose 1e-7/(1 - |x|) of it. Points are
stored as coordinates, so the edge is at distance 14 in float32 and 34 in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._refusals import refuse_where
from .checks import check_size, check_values
from .hyperbolic import gyrate, half_angle, near_end, norm, weights
from .infinite_volume import InfiniteVolume
from .lengths import dot, length, root
from .manifold import check_point_shape, check_tangent_shape, random_like
from .stages import product, stage


def _gap(x: Tensor) -> Tensor:
    """1 - |x|^2 in (..., 1), summed in float64, at least one rounding."""
    wide = x.double()
    gap = 1 - product(wide, wide).unsqueeze(-1)
    return gap.to(x.dtype).clamp_min(torch.finfo(x.dtype).eps)


def _chord2(x: Tensor, y: Tensor, gap_x: Tensor, gap_y: Tensor) -> Tensor:
    """sinh^2 h = |y - x|^2/((1 - |x|^2)(1 - |y|^2)), (..., 1)."""
    # Divided twice: the product of two gaps at the edge would be subnormal in half precision.
    return (y - x).square().sum(-1, keepdim=True) / gap_x / gap_y


@dataclass(frozen=True, repr=False)
class PoincareBall(InfiniteVolume):
    """Hyperbolic space of dimension ``n`` in the conformal unit ball.

    Example:
        >>> M = PoincareBall(2)
        >>> M.dist(torch.zeros(2), torch.tensor([0.5, 0.0]))  # 2 atanh(1/2) = log 3
        tensor(1.0986)

    Args:
        n: dimension, at least 1.

    Raises:
        ValueError: ``n`` is not a positive integer.
    """

    n: int

    def __post_init__(self) -> None:
        check_size("PoincareBall", "n", self.n, 1)

    @property
    def dim(self) -> int:
        """n."""
        return self.n

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(n,)."""
        return (self.n,)

    def projx(self, x: Tensor) -> Tensor:
        """x, or the point 8 roundings inside the edge on its ray (1e-6 in float32)."""
        edge = 1 - 8 * torch.finfo(x.dtype).eps
        return x * (edge / norm(x)).clamp_max(1.0)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """u: every vector is tangent."""
        return u.expand(torch.broadcast_shapes(x.shape, u.shape))

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """x + (1 - |x|^2) sinh(L/2) w/|w|^2, w = cosh(L/2) u/|u| + sinh(L/2) x."""
        gap, eps = _gap(x), torch.finfo(x.dtype).eps
        v = u / gap
        half2 = v.square().sum(-1, keepdim=True)
        moves = half2 > eps**2
        half = torch.where(moves, half2, eps**2).sqrt()
        # A unit vector also at u = 0 keeps |w| = 1 there; its direction then does not matter.
        axis = torch.zeros_like(v)
        axis[..., 0] = 1.0
        e = torch.where(moves, v / half, axis)
        cosh, sinh = torch.cosh(half), torch.sinh(half)
        w2 = (cosh * e + sinh * x).square().sum(-1, keepdim=True)
        return self.projx(x + (cosh * (sinh / half) * u + gap * sinh.square() * x) / w2)

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """((theta/sinh theta) l_y (y - x) - theta tanh(theta/2) x)/l_x."""
        gap_x, gap_y = _gap(x), _gap(y)
        h = half_angle(length(_chord2(x, y, gap_x, gap_y)))
        c = 2 * h / torch.sinh(2 * h)
        return c * (y - x) * (gap_x / gap_y) - h * torch.tanh(h) * gap_x * x

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """2 asinh(|y - x| sqrt(l_x l_y)/2), 0 with gradient 0 at coincident points."""
        return 2 * half_angle(root(_chord2(x, y, _gap(x), _gap(y)).squeeze(-1)))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """l_x^2 <u, v>."""
        return 4 * dot(u, v) / _gap(x).squeeze(-1).square()

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """(l_x/l_y) gyr[y, -x] v."""
        gap_x, gap_y = _gap(x), _gap(y)
        return gyrate(x, y, gap_x, gap_y, y - x, v) * (gap_y / gap_x)

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t = n + N/D and u_t = v d + w n: see the head of this file.

        Args:
            x0: (..., n).
            x1: (..., n).
            t: (...).

        Returns:
            x_t and u_t, (..., n).
        """
        d = x1 - x0
        gaps = (_gap(x).squeeze(-1) for x in (x0, x1))
        x_t, u_t = near_end(x0, x1, *_coefficients(*stage(*gaps, product(d, d), t)))
        return x_t, u_t

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """exp_x(std * N(0, I)/l_x); ``std`` has the batch shape."""
        noise = random_like(x, self.point_shape, std, generator)
        return self.expmap(x, noise * (_gap(x) / 2))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each |x| < 1."""
        check_point_shape(self, x)
        size = dot(x.double(), x.double()).sqrt()
        refuse_where(~(size < 1), size, self, "points on", "|x| < 1", "project with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each vector is finite: all of them are tangent."""
        check_tangent_shape(self, x, u)
        value = (u - u).sum(-1)
        law = "u - u"
        check_values(self, "tangent vectors of", law, value, 0.0, "look for a division by zero")


def _coefficients(gap0: Tensor, gap1: Tensor, dd: Tensor, t: Tensor) -> tuple[Tensor, ...]:
    """Weights of x1 - x0, x0 and x1 in x_t, then in u_t."""
    k, s, c, g, late, a, sag = weights(length(dd / gap0 / gap1), t)
    l0, l1, early = 2 / gap0, 2 / gap1, 1 - late
    l_n, l_f = early * l0 + late * l1, late * l0 + early * l1
    far = (early - late) * s * l_f
    over = 1 / (sag + a * l_n + far)
    stay = 1 - sag * over
    # far |g| (l_n - 1), of which both factors are positive.
    v = (l_f * c * (sag + k * l_n) - s * l_f * g * (l_n - 1)) * over * over
    w = (g * (a * l_n + far + sag * l_n) + sag * c * (l1 - l0)) * over * over
    return s * l_f * over, early * stay, late * stay, v, early * w, late * w


def poincare_to_lorentz(x: Tensor) -> Tensor:
    """The point (l - 1, l x) of the hyperboloid, l = 2/(1 - |x|^2), (..., n) to (..., n + 1).

    Example:
        >>> poincare_to_lorentz(torch.tensor([0.5]))
        tensor([1.6667, 1.3333])
    """
    scale = 2 / _gap(x)
    space = scale * x
    return torch.cat([(1 + space.square().sum(-1, keepdim=True)).sqrt(), space], -1)
