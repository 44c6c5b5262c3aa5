r"""Great circles in the mid-point frame: spherical interpolation without cancellation.

Unit vectors x_0, x_1 have the chords d = x_1 - x_0 and s = x_1 + x_0, which are orthogonal and
satisfy |d|^2 + |s|^2 = 4. With half the angle between the points, h, and phi = (2t - 1) h::

    h   = atan2(|d|, |s|)
    x_t = cos(phi)/|s| s + sin(phi)/|d| d
    u_t = 2h [ cos(phi)/|d| d - sin(phi)/|s| s ]

Both awkward cases separate: coincident points only need |d| cut off at eps (every quotient
keeps its relative accuracy), and antipodal points are those with s = 0. Nothing takes an arc
cosine, which would lose half the digits at either end.

Rounded points miss the sphere by eps, so that <d, s> = |x_1|^2 - |x_0|^2 is not zero and the
shorter chord, of length r, is tilted by eps/r. The orthogonal chords of the pair scaled to one
common length are, to first order::

    d' = d - alpha s,   s' = s - alpha d,   alpha = <d, s>/4

which gives directions to full precision however near the points are to each other or to being
antipodal. They are never formed: their lengths follow from the three scalar products of s and
d, and a s' + b d' = (a - alpha b) s + (b - alpha a) d. Spheres, simplices and their products
share this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .lengths import dot, length, root
from .stages import blend, numbers, product, stage


class Frame(NamedTuple):
    """The mid-point frame of a pair of unit vectors, s' = s - s_tilt d and d' = d - d_tilt s.

    Attributes:
        s: x_1 + x_0, ``(..., n)``.
        d: x_1 - x_0, ``(..., n)``.
        s_tilt: ``(...)``.
        d_tilt: ``(...)``.
        per_s: 1/|s'|, ``(...)``.
        per_d: 1/|d'|, with |d'| cut off at eps, ``(...)``.
        half: half the angle between the points, ``(...)``.
        nudge: what is to be added to the first two numbers of ``s``, ``(...)`` each; or none.
    """

    s: Tensor
    d: Tensor
    s_tilt: Tensor
    d_tilt: Tensor
    per_s: Tensor
    per_d: Tensor
    half: Tensor
    nudge: tuple[Tensor, ...] = ()


def orthogonal(s: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(alpha, |s'|^2, |d'|^2), batch shape; the squares are not negative."""
    return from_products(*stage(product(s, s), product(d, d), product(s, d)))


def from_products(ss: Tensor, dd: Tensor, sd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same from <s, s>, <d, d> and <s, d>."""
    alpha, twice = 0.25 * sd, 2 * sd
    s_squared = ss - alpha * (twice - alpha * dd)
    d_squared = dd - alpha * (twice - alpha * ss)
    return alpha, s_squared.clamp_min(0), d_squared.clamp_min(0)


def frame(s: Tensor, d: Tensor) -> Frame:
    """The frame from chords; ``s`` must not be zero, as on an orthant."""
    alpha, s_squared, d_squared = orthogonal(s, d)
    return Frame(s, d, alpha, alpha, *polar(s_squared, s_squared.rsqrt(), d_squared))


def polar(s_squared: Tensor, per_s: Tensor, d_squared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(1/|s'|, 1/|d'|, h), with |d'| cut off at eps."""
    d_squared = d_squared.clamp_min(torch.finfo(d_squared.dtype).eps ** 2)
    per_d = d_squared.rsqrt()
    return per_s, per_d, torch.atan2(d_squared * per_d, s_squared * per_s)


def frame_with_antipodes(x: Tensor, y: Tensor) -> Frame:
    """The frame of two points, in which a vanishing ``s`` gets a direction.

    Where |s| < eps, the mid-point is the image of the second axis under the reflection that
    takes the first axis to -+d/|d|: a unit vector orthogonal to d, without branch or search.
    """
    s, d = y + x, y - x
    *products, first, second = stage(
        product(s, s), product(d, d), product(s, d), d[..., 0], d[..., 1]
    )
    alpha, s_squared, d_squared = from_products(*products)
    antipodal = (s_squared < torch.finfo(d.dtype).eps ** 2).to(d.dtype)
    # |d| = 2 wherever this counts, so that d/2 is a unit vector.
    weight = antipodal * second / (2 + first.abs())
    nudge = (-weight * torch.copysign(torch.ones_like(first), first), antipodal)
    per_s = (s_squared + antipodal).rsqrt()
    lengths = polar(s_squared, per_s, d_squared)
    return Frame(s, d, alpha + 0.5 * weight, alpha, *lengths, nudge)


def nudged(v: list[Tensor], amounts: Sequence[Tensor]) -> list[Tensor]:
    """A vector, as ``numbers`` gives it, with these ``(...)`` added to its first numbers."""
    if not amounts:
        return v
    if len(v) > 1:
        first, second = amounts
        return [v[0] + first, v[1] + second, *v[2:]]
    (s,) = v
    axes = stage(*torch.eye(len(amounts), s.shape[-1], dtype=s.dtype, device=s.device).unbind(0))
    for amount, axis in zip(amounts, axes, strict=True):
        s = torch.addcmul(s, amount.unsqueeze(-1), axis)
    return [s]


def combine(pair: Frame, *weights: tuple[Tensor, Tensor]) -> list[Tensor]:
    """The vectors a s' + b d' for pairs of weights (a, b) of batch shape."""
    own = [w for a, b in weights for w in (a - pair.d_tilt * b, b - pair.s_tilt * a)]
    flat = stage(*own, *pair.nudge)
    count = 2 * len(weights)
    s, d = nudged(numbers(pair.s), flat[count:]), numbers(pair.d)
    return [blend(flat[i : i + 2], s, d) for i in range(0, count, 2)]


def along(pair: Frame, t: Tensor) -> tuple[Tensor, Tensor]:
    """(x_t, dx_t/dt) on the great circle; ``t`` has the batch shape."""
    speed = 2 * pair.half
    phi = (t - 0.5) * speed
    cos, sin = phi.cos(), phi.sin()
    there = (cos * pair.per_s, sin * pair.per_d)
    onward = (-speed * sin * pair.per_s, speed * cos * pair.per_d)
    x_t, u_t = combine(pair, there, onward)
    return x_t, u_t


def departure(pair: Frame) -> Tensor:
    """du_t/dt at t = 0, i.e. log_{x_0}(x_1)."""
    h = pair.half
    weights = (2 * h * h.sin() * pair.per_s, 2 * h * h.cos() * pair.per_d)
    return combine(pair, weights)[0]


def reflect(pair: Frame, v: Tensor) -> Tensor:
    """``v`` tangent at x_0 carried in parallel to x_1: the reflection v - 2 <v, s'> s'/|s'|^2.

    It maps x_0 to -x_1 and the tangent space at one to that at the other.
    """
    (s,), d, tilt = nudged([pair.s], pair.nudge), pair.d, pair.s_tilt
    weight = 2 * (dot(s, v) - tilt * dot(d, v)) * pair.per_s.square()
    return v - weight.unsqueeze(-1) * s + (weight * tilt).unsqueeze(-1) * d


def angle(s: Tensor, d: Tensor) -> Tensor:
    """Angle 2 atan2(|d'|, |s'|) between the points; exactly 0 where d = 0 and pi where s = 0."""
    _, s_squared, d_squared = orthogonal(s, d)
    return 2 * torch.atan2(root(d_squared), root(s_squared))


def shoot(x: Tensor, u: Tensor) -> Tensor:
    """exp_x(u) = cos|u| x + sin|u|/|u| u for a unit vector ``x`` and ``u`` orthogonal to it."""
    r = length(dot(u, u))
    return r.cos().unsqueeze(-1) * x + (r.sin() / r).unsqueeze(-1) * u
