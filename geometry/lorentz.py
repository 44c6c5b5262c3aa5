r"""The hyperboloid model: Lorentz(n) = {x in R^{n+1} : <x, x>_L = -1, x_0 > 0}.

With <u, v>_L = -u_0 v_0 + u_1 v_1 + ... + u_n v_n, of curvature -1::

    cosh d(x, y) = -<x, y>_L                       (never computed so: see hyperbolic.py)
    exp_x(u)     = cosh|u| x + (sinh|u|/|u|) u
    log_x(y)     = (theta/sinh theta) (y - x) - theta tanh(theta/2) x
    u~           = u' - u_0 x'/(1 + x_0)           in R^n, the isometric frame at x

Norms, inner products and parallel transport go through the frame u~, where the form is
positive: -u_0 v_0 + <u', v'> cancels e^(2 rho) roundings at distance rho from the origin, the
frame e^rho. Points and vectors are read by their space parts, which are coordinates of the
sheet; time parts are recomputed, so that points stay on it, and projections keep the space part
(the Lorentz-orthogonal u + <x, u>_L x would enlarge what is off the sheet by e^(2 rho)).
float32 carries points to distance 8 comfortably; beyond, use float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_size, check_values
from .hyperbolic import gyrate, half_angle, near_end, weights
from .infinite_volume import InfiniteVolume
from .lengths import dot, expand, length, root
from .manifold import check_point_shape, check_tangent_shape, random_like
from .stages import product, stage


def _lift(space: Tensor) -> Tensor:
    """The point (sqrt(1 + |x'|^2), x') over a space part (..., n)."""
    return torch.cat([(1 + space.square().sum(-1, keepdim=True)).sqrt(), space], -1)


def _lift_vector(x: Tensor, space: Tensor) -> Tensor:
    """The tangent vector at x with this space part: u_0 = <x', u'>/x_0."""
    time = (x[..., 1:] * space).sum(-1, keepdim=True) / x[..., :1]
    return torch.cat([time, space], -1)


def _to_frame(x: Tensor, u: Tensor) -> Tensor:
    """u~ = u' - u_0 x'/(1 + x_0), u_0 = <x', u'>/x_0: (..., n + 1) to (..., n), an isometry."""
    time = (x[..., 1:] * u[..., 1:]).sum(-1, keepdim=True) / x[..., :1]
    return u[..., 1:] - x[..., 1:] * (time / (1 + x[..., :1]))


def _from_frame(x: Tensor, v: Tensor) -> Tensor:
    """The inverse: u_0 = <x', v>, u' = v + x' u_0/(1 + x_0)."""
    time = (x[..., 1:] * v).sum(-1, keepdim=True)
    return torch.cat([time, v + x[..., 1:] * (time / (1 + x[..., :1]))], -1)


def _chord(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(y' - x', its time part y_0 - x_0, |y - x|_L^2), none by a cancelling difference.

    The first is ``(..., n)``, the others have the batch shape.
    """
    a, b = x[..., 1:], y[..., 1:]
    d = b - a
    # The scalar product with d is |y'|^2 - |x'|^2.
    rise, aa, bb, x_0, y_0 = stage(
        product(d, a + b), product(a, a), product(b, b), x[..., 0], y[..., 0]
    )
    norm_a, norm_b = aa.clamp_min(1e-36).sqrt(), bb.clamp_min(1e-36).sqrt()
    w2 = (rise / (norm_a * y_0 + x_0 * norm_b)).square()
    ratio = (norm_b / norm_a).sqrt()
    radial, rise, *ratios = stage(
        2 * w2 / (1 + (1 + w2).sqrt()), rise / (x_0 + y_0), 1 / ratio, ratio
    )
    shrink, grow = (r.unsqueeze(-1) for r in ratios)
    e = shrink * b - grow * a
    return d, rise, radial + product(e, e)


@dataclass(frozen=True, repr=False)
class Lorentz(InfiniteVolume):
    """Hyperbolic space of dimension ``n`` as a hyperboloid in R^{n+1}, time coordinate first.

    Example:
        >>> M = Lorentz(2)
        >>> x = M.projx(torch.tensor([0.0, 0.0, 0.0]))
        >>> y = M.projx(torch.tensor([0.0, 3.0, 4.0]))
        >>> M.dist(x, y)  # asinh 5
        tensor(2.3124)

    Args:
        n: intrinsic dimension, at least 1.

    Raises:
        ValueError: ``n`` is not a positive integer.
    """

    n: int

    def __post_init__(self) -> None:
        check_size("Lorentz", "n", self.n, 1)

    @property
    def dim(self) -> int:
        """n."""
        return self.n

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(n + 1,)."""
        return (self.n + 1,)

    def projx(self, x: Tensor) -> Tensor:
        """The point of the sheet over the same space part: x_0 = sqrt(1 + |x'|^2)."""
        return _lift(x[..., 1:])

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """The tangent vector over the same space part, the differential of ``projx``."""
        return _lift_vector(x, u[..., 1:])

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """cosh|u| x + (sinh|u|/|u|) u."""
        frame = _to_frame(x, u)
        theta = expand(length(dot(frame, frame)), 1)
        return _lift(torch.cosh(theta) * x[..., 1:] + torch.sinh(theta) / theta * u[..., 1:])

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """(theta/sinh theta)(y - x) - theta tanh(theta/2) x."""
        d, _, chord2 = _chord(x, y)
        h = expand(half_angle(length(chord2) / 2), 1)
        c = 2 * h / torch.sinh(2 * h)
        return _lift_vector(x, c * d - 2 * h * torch.tanh(h) * x[..., 1:])

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """2 asinh(|y - x|_L / 2), 0 with gradient 0 at coincident points."""
        return 2 * half_angle(root(_chord(x, y)[2]) / 2)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """<u, v>_L = <u~, v~>, positive on tangent vectors."""
        return dot(_to_frame(x, u), _to_frame(x, v))

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """v + <y, v>_L/(1 - <x, y>_L) (x + y), as the gyration of the frames."""
        (d, rise, _), up_x, up_y = _chord(x, y), 1 + x[..., :1], 1 + y[..., :1]
        p, q = x[..., 1:] / up_x, y[..., 1:] / up_y
        frame = gyrate(
            p, q, 2 / up_x, 2 / up_y, (d - p * rise.unsqueeze(-1)) / up_y, _to_frame(x, v)
        )
        return _from_frame(y, frame)

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t = k n + s (x1 - x0), u_t = c (x1 - x0) + g n: see hyperbolic.py.

        Args:
            x0: (..., n + 1).
            x1: (..., n + 1).
            t: (...).

        Returns:
            x_t and u_t, (..., n + 1).
        """
        r, t = stage(length(_chord(x0, x1)[2]) / 2, t)
        w = weights(r, t)
        early = 1 - w.late
        flat = (w.s, early * w.k, w.late * w.k, w.c, early * w.g, w.late * w.g)
        x_t, u_t = near_end(x0[..., 1:], x1[..., 1:], *flat)
        rise, fall = stage(product(x_t, x_t), product(x_t, u_t))
        time = (1 + rise).sqrt()
        return (
            torch.cat((time.unsqueeze(-1), x_t), -1),
            torch.cat(((fall / time).unsqueeze(-1), u_t), -1),
        )

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """exp_x(u) with u~ = std * N(0, I) in the frame at x; ``std`` has the batch shape."""
        return self.expmap(x, _from_frame(x, random_like(x[..., 1:], (self.n,), std, generator)))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each x_0 is sqrt(1 + |x'|^2), relative to it."""
        check_point_shape(self, x)
        ratio = x[..., 0] / self.projx(x)[..., 0]
        law = "x_0/sqrt(1 + |x'|^2)"
        check_values(self, "points on", law, ratio, 1.0, "project with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each u_0 is <x', u'>/x_0, relative to 1 + |u|."""
        check_tangent_shape(self, x, u)
        off = u[..., 0] - _lift_vector(x, u[..., 1:])[..., 0]
        value = off / (1 + dot(u, u).sqrt())
        law = "(u_0 - <x', u'>/x_0)/(1 + |u|)"
        check_values(self, "tangent vectors of", law, value, 0.0, "project with proju")


def lorentz_to_poincare(x: Tensor) -> Tensor:
    """The point x'/(1 + x_0) of the ball, (..., n + 1) to (..., n).

    Example:
        >>> lorentz_to_poincare(torch.tensor([1.25, 0.75]))
        tensor([0.3333])
    """
    return x[..., 1:] / (1 + x[..., :1])
