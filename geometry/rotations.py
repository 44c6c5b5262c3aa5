r"""Rotations of space, SO(3), as unit quaternions (w, x, y, z); q and -q are one rotation.

The velocity of a curve q_t is its body angular velocity, omega in R^3 (left-trivialised)::

    dq/dt = q (0, omega)/2,   |omega| in radians per unit time,   <omega, eta> = scalar product

so the distance is the rotation angle, at most pi. With r = |omega| and rho = p* q of sign w >= 0::

    exp_q(omega)     = q (cos(r/2), sin(r/2)/r omega)
    log_p(q)         = 2 atan2(|v|, w)/|v| v,   rho = (w, v)
    transp(p, q, eta) = eta turned by the inverse of sqrt(rho)
    volume           = 8 pi^2

The metric is 4 times that of S^3 (angles double), whose volume is 2 pi^2, and the two signs are
one point: 2^3 2 pi^2 / 2 = 8 pi^2. It is invariant from both sides.

The path is a great circle in the mid-point frame (see ``slerp``) from p to the sign of q that is
nearer; then |p + q| >= sqrt(2) and nothing is singular. v is computed as the vector part of
p* (q - p), without cancellation. Rotations half a turn apart (<p, q> = 0) have two shortest
paths; the given sign of q decides, -0 counting as negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_finite, check_values
from .lengths import dot, length, root
from .manifold import Manifold, check_point_shape, check_tangent_shape, random_like
from .quaternions import (
    conjugate_product,
    quaternion_multiply,
    quaternion_rotate,
)
from .slerp import polar
from .stages import blend, numbers, product, stage


def chord(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """The chord from ``p`` to the nearer of q and -q, ``(..., 4)``, and |<p, q>|, ``(...)``."""
    cosine = product(p, q)
    sign = torch.copysign(torch.ones_like(cosine), cosine)
    return sign.unsqueeze(-1) * q - p, cosine.abs()


@dataclass(frozen=True, repr=False)
class SO3(Manifold):
    """Rotations as unit quaternions ``(..., 4)``, with angular velocities ``(..., 3)``.

    Example:
        >>> so3 = SO3()
        >>> still, half_turn = torch.eye(4)[:2]
        >>> q_t, omega = so3.interpolant(still, half_turn, torch.tensor(0.5))
        >>> q_t, omega
        (tensor([0.7071, 0.7071, 0.0000, 0.0000]), tensor([3.1416, 0.0000, 0.0000]))
        >>> so3.dist(half_turn, -half_turn)
        tensor(0.)
    """

    @property
    def dim(self) -> int:
        """Intrinsic dimension 3."""
        return 3

    @property
    def point_shape(self) -> tuple[int, ...]:
        """``(4,)``, a quaternion (w, x, y, z)."""
        return (4,)

    @property
    def tangent_shape(self) -> tuple[int, ...]:
        """``(3,)``, a body angular velocity."""
        return (3,)

    def projx(self, x: Tensor) -> Tensor:
        """The quaternion q/|q|; lengths below eps are divided by eps."""
        return x / length(dot(x, x)).unsqueeze(-1)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """``u`` itself: every angular velocity is tangent."""
        return u

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """The product q (cos(r/2), sin(r/2)/r omega), r = |omega|."""
        half = 0.5 * length(dot(u, u))
        scale = (0.5 * half.sin() / half).unsqueeze(-1)
        return quaternion_multiply(x, torch.cat((half.cos().unsqueeze(-1), scale * u), -1))

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """Body angular velocity of the shortest turn from ``x`` to ``y``, ``(..., 3)``."""
        d, cosine = chord(x, y)
        v = conjugate_product(x, d)
        sine = length(dot(v, v))
        return (2 * torch.atan2(sine, cosine) / sine).unsqueeze(-1) * v

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Angle of the rotation between them, in [0, pi], batch shape."""
        d, cosine = chord(x, y)
        v = conjugate_product(x, d)
        return 2 * torch.atan2(root(dot(v, v)), cosine)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Scalar product of angular velocities, batch shape."""
        return dot(u, v)

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """``v`` turned back by half the rotation from ``x`` to ``y``."""
        d, cosine = chord(x, y)
        half = torch.cat(((1 + cosine).unsqueeze(-1), -conjugate_product(x, d)), -1)
        return quaternion_rotate(half / (2 + 2 * cosine).sqrt().unsqueeze(-1), v)

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(q_t, omega) at constant angular velocity: ``(..., 4)`` and ``(..., 3)``."""
        d, cosine = chord(x0, x1)
        cosine, squared = stage(cosine, product(d, d))
        s_squared = 2 + 2 * cosine
        per_s, per_d, h = polar(s_squared, s_squared.rsqrt(), squared)
        phi = (2 * t - 1) * h
        a, b = phi.cos() * per_s, phi.sin() * per_d
        # a s + b d with s = 2 x_0 + d.
        a, b, scale = stage(2 * a, a + b, 8 * h * per_s * per_d)
        omega = conjugate_product(scale.unsqueeze(-1) * x0, d)
        return blend((a, b), numbers(x0), numbers(d)), omega.expand(*a.shape, 3)

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Rotations of the Haar law, Gaussian quaternions normalised: ``batch + (4,)``."""
        shape = (*batch, 4)
        return self.projx(torch.randn(shape, generator=generator, dtype=dtype, device=device))

    def log_uniform(self) -> float:
        """Minus log 8 pi^2."""
        return -math.log(8 * math.pi**2)

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The rotation exp_q of a Gaussian angular velocity."""
        return self.expmap(x, random_like(x, self.tangent_shape, std, generator))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each |q| is 1."""
        check_point_shape(self, x)
        norm = dot(x, x).sqrt()
        check_values(self, "points on", "|q|", norm, 1.0, "normalise with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless all numbers are finite."""
        check_tangent_shape(self, x, u)
        check_finite(self, "tangent vectors of", u, 1)
