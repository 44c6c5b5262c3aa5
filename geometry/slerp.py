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
antipodal. Spheres, simplices and their products share this file.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .lengths import dot, length, root


class Frame(NamedTuple):
    """The mid-point frame of a pair of unit vectors.

    Attributes:
        s: x_1 + x_0 made orthogonal to ``d``, ``(..., n)``.
        d: x_1 - x_0 made orthogonal to ``s``, ``(..., n)``.
        s_length: |s|, ``(...)``.
        d_length: |d|, cut off at eps, ``(...)``.
        half: half the angle between the points, ``(...)``.
    """

    s: Tensor
    d: Tensor
    s_length: Tensor
    d_length: Tensor
    half: Tensor


def orthogonal_chords(s: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """(s', d'): the chords of the pair scaled to one common length."""
    alpha = (0.25 * dot(s, d)).unsqueeze(-1)
    return s - alpha * d, d - alpha * s


def frame(s: Tensor, d: Tensor) -> Frame:
    """The frame from orthogonal chords; ``s`` must not be zero, as on an orthant."""
    s_length = dot(s, s).sqrt()
    d_length = length(dot(d, d))
    return Frame(s, d, s_length, d_length, torch.atan2(d_length, s_length))


def frame_with_antipodes(s: Tensor, d: Tensor) -> Frame:
    """The frame from orthogonal chords, in which a vanishing ``s`` gets a direction.

    Where |s| < eps, the mid-point is the image of the second axis under the reflection that
    takes the first axis to -+d/|d|: a unit vector orthogonal to d, without branch or search.
    """
    squared = dot(s, s)
    antipodal = (squared < torch.finfo(s.dtype).eps ** 2).to(s.dtype)
    # |d| = 2 wherever this counts, so that d/2 is a unit vector.
    first, second = 0.5 * d[..., 0], 0.5 * d[..., 1]
    weight = antipodal * second / (1 + first.abs())
    s = s - (0.5 * weight).unsqueeze(-1) * d
    s[..., 0] -= weight * torch.copysign(torch.ones_like(first), first)
    s[..., 1] += antipodal
    d_length = length(dot(d, d))
    half = torch.atan2(d_length, root(squared))
    return Frame(s, d, (squared + antipodal).sqrt(), d_length, half)


def along(pair: Frame, t: Tensor) -> tuple[Tensor, Tensor]:
    """(x_t, dx_t/dt) on the great circle; ``t`` has the batch shape."""
    h = pair.half
    phi = (2 * t - 1) * h
    a, b = phi.cos() / pair.s_length, phi.sin() / pair.d_length
    speed = 2 * h
    forward, back = speed * phi.cos() / pair.d_length, speed * phi.sin() / pair.s_length
    s, d = pair.s, pair.d
    x_t = a.unsqueeze(-1) * s + b.unsqueeze(-1) * d
    return x_t, forward.unsqueeze(-1) * d - back.unsqueeze(-1) * s


def departure(pair: Frame) -> Tensor:
    """du_t/dt at t = 0, i.e. log_{x_0}(x_1)."""
    h = pair.half
    forward, back = 2 * h * h.cos() / pair.d_length, 2 * h * h.sin() / pair.s_length
    return forward.unsqueeze(-1) * pair.d + back.unsqueeze(-1) * pair.s


def reflect(pair: Frame, v: Tensor) -> Tensor:
    """``v`` tangent at x_0 carried in parallel to x_1: the reflection v - 2 <v, s> s/|s|^2.

    It maps x_0 to -x_1 and the tangent space at one to that at the other.
    """
    weight = 2 * dot(pair.s, v) / (pair.s_length * pair.s_length)
    return v - weight.unsqueeze(-1) * pair.s


def angle(s: Tensor, d: Tensor) -> Tensor:
    """Angle 2 atan2(|d|, |s|) between the points; exactly 0 where d = 0 and pi where s = 0."""
    return 2 * torch.atan2(root(dot(d, d)), root(dot(s, s)))


def shoot(x: Tensor, u: Tensor) -> Tensor:
    """exp_x(u) = cos|u| x + sin|u|/|u| u for a unit vector ``x`` and ``u`` orthogonal to it."""
    r = length(dot(u, u))
    return r.cos().unsqueeze(-1) * x + (r.sin() / r).unsqueeze(-1) * u
