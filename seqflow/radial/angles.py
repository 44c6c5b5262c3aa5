r"""Angles theta on the sphere, by S = sin^2(theta/2), and the ratio f = theta/sin theta.

The logarithm towards a vertex, log_x(e_k) = f (e_k - x_k x), has the factor f with cos theta =
x_k, and densities have theta^2. Both are analytic in S = (1 - x_k)/2 but at the antipode, S = 1::

    theta/2 = asin(sqrt S),     f = asin(sqrt S)/sqrt(S (1 - S)).

S counts as at least eps^2, where f is 1, and as at most 1 - eps.
"""

from __future__ import annotations

import torch
from torch import Tensor


def angle_ratio(S: Tensor) -> Tensor:
    """f = theta/sin theta, elementwise: 1 at S = 0, (pi/2)/sqrt(eps) at the antipode, S = 1.

    Example:
        >>> angle_ratio(torch.tensor([0.0, 0.5]))
        tensor([1.0000, 1.5708])
    """
    return half_angle_and_ratio(S)[1]


def half_angle_and_ratio(S: Tensor) -> tuple[Tensor, Tensor]:
    """(theta/2, theta/sin theta), elementwise.

    Gradients are finite everywhere; that of the ratio, near 2/3, is known to eps/S, which in a
    density is a rounding beside that of theta^2/rho^2, for there S is as small as rho^2 or so.
    """
    eps = torch.finfo(S.dtype).eps
    inside = S.clamp(eps**2, 1 - eps)
    half = inside.sqrt().asin()
    # In place where no gradient needs the old value: large alphabets make temporaries dear.
    return half, (1 - inside).mul(inside).rsqrt_() * half
