r"""The hyperbolic plane's family in both its models: what no formula here may do is cancel.

Curvature is -1. On the hyperboloid -x_0^2 + |x'|^2 = -1, x_0 > 0, written x = (x_0, x'), the
distance theta between x and y satisfies::

    4 sinh^2(theta/2) = 4 sinh^2((rho_x - rho_y)/2)  +  |x'||y'| |x'/|x'| - y'/|y'||^2
    sinh(rho_x - rho_y) = (|x'|^2 - |y'|^2) / (|x'| y_0 + x_0 |y'|),      sinh(rho_x) = |x'|

a radial and an angular part, both positive and each computed from the differences of the
coordinates, so the chord keeps its relative accuracy whether the points are 1e-7 or 16 apart
(the usual -<x, y>_L loses e^(2 rho) roundings). With h = theta/2 = log1p(r + r^2/(1 + q)),
r = sinh h, q = sqrt(1 + r^2), n the endpoint nearer in time, m = min(t, 1 - t) and
S = sinh theta, the mid-point frame about n reads::

    x_t = k n + s (x_1 - x_0)     k = cosh((2t-1)h)/cosh h,         s = +-sinh(m theta)/S
    u_t = c (x_1 - x_0) + g n     g = theta sinh((2t-1)h)/cosh h,   c = theta cosh(m theta)/S

All of them follow from the expm1 of a = m h and of b = (1 - m) h, with |2t - 1| h = b - a and
sinh theta = 2 r q, since a product costs a tenth of a hyperbolic function. Both ends are hit
exactly; every coefficient is smooth in theta^2 or multiplies a difference, so a cut of the chord
at eps is all that coincident points need. Source: the slerp in chords of the notes on geometry
(appendix), carried to the Lorentz form.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .stages import blend, numbers, stage


def norm(v: Tensor) -> Tensor:
    """|v| over the last axis, kept: (..., n) to (..., 1), at least 1e-18.

    The cut lies far below ``lengths.length``'s: here lengths are divided by one another.
    """
    return v.square().sum(-1, keepdim=True).clamp_min(1e-36).sqrt()


def half_angle(r: Tensor) -> Tensor:
    """h = asinh(r) = log1p(r + r^2/(1 + sqrt(1 + r^2))), for r >= 0, any shape."""
    return torch.log1p(r + r.square() / (1 + (1 + r.square()).sqrt()))


class Weights(NamedTuple):
    """x_t = k n + s (x_1 - x_0) and u_t = c (x_1 - x_0) + g n, all of batch shape.

    Attributes:
        k: of the endpoint nearer in time, n.
        s: of the difference; positive until t = 1/2, then negative.
        c: of the difference.
        g: of n.
        late: 1 where n is the end, else 0.
        far: sinh((1 - m) theta)/sinh theta.
        sag: 1 - k.
    """

    k: Tensor
    s: Tensor
    c: Tensor
    g: Tensor
    late: Tensor
    far: Tensor
    sag: Tensor


def weights(r: Tensor, t: Tensor) -> Weights:
    """The coefficients at time ``t`` from r = sinh h > 0; the shapes broadcast."""
    q = (1 + r.square()).sqrt()
    h = torch.log1p(r + r.square() / (1 + q))
    # Products instead of ``where``, which is many times slower on a CPU.
    late = (t >= 0.5).to(r.dtype)
    m, side = t + late * (1 - 2 * t), 1 - 2 * late
    e_a, e_b = torch.expm1(m * h), torch.expm1(h - m * h)
    (sinh_a, cosh_a), (sinh_b, cosh_b) = _sinh_cosh(e_a), _sinh_cosh(e_b)
    sinh_phi, cosh_phi = _sinh_cosh((e_b - e_a) / (1 + e_a))
    per_q, per_sinh = 1 / q, 1 / (r * q)
    return Weights(
        cosh_phi * per_q,
        side * (sinh_a * cosh_a * per_sinh),
        h * (1 + 2 * sinh_a.square()) * per_sinh,
        -2 * side * h * sinh_phi * per_q,
        late,
        sinh_b * cosh_b * per_sinh,
        2 * sinh_a * sinh_b * per_q,
    )


def _sinh_cosh(e: Tensor) -> tuple[Tensor, Tensor]:
    """(sinh x, cosh x) from expm1(x), without cancellation for x >= 0."""
    shrunk = e / (1 + e)
    return 0.5 * (e + shrunk), 1 + 0.5 * e * shrunk


def near_end(x0: Tensor, x1: Tensor, *weights: Tensor) -> list[Tensor]:
    """a (x_1 - x_0) + b_0 x_0 + b_1 x_1 for triples of weights (a, b_0, b_1) in (...)."""
    vectors = [numbers(v) for v in (x1 - x0, x0, x1)]
    flat = stage(*weights)
    return [blend(flat[i : i + 3], *vectors) for i in range(0, len(flat), 3)]


def gyrate(p: Tensor, q: Tensor, gap_p: Tensor, gap_q: Tensor, d: Tensor, v: Tensor) -> Tensor:
    r"""The rotation by which parallel transport from p to q differs from the identity.

    In the frame (conformal to the ball's coordinates) transport is the gyration gyr[q, -p], a
    rotation in the plane of p and q by 2 atan2(|p ^ q|, 1 - <p, q>)::

        z = d <p, v> - p <d, v>,   v' = v + (2/D) (d <p, z> - p <d, z> - (1 - <p, q>) z)
        D = (1-|p|^2)(1-|q|^2) + |d|^2,   1 - <p, q> = ((1-|p|^2) + (1-|q|^2) + |d|^2)/2

    Args:
        p: (..., n) in the ball.
        q: (..., n) in the ball.
        gap_p: 1 - |p|^2, (..., 1).
        gap_q: 1 - |q|^2, (..., 1).
        d: q - p, from wherever it is most accurate.
        v: (..., n).

    Returns:
        (..., n), of the length of ``v``.
    """
    d2 = d.square().sum(-1, keepdim=True)
    alpha = (gap_p + gap_q + d2) / 2
    z = d * (p * v).sum(-1, keepdim=True) - p * (d * v).sum(-1, keepdim=True)
    zz = d * (p * z).sum(-1, keepdim=True) - p * (d * z).sum(-1, keepdim=True)
    return v + 2 * (zz - alpha * z) / (gap_p * gap_q + d2)
