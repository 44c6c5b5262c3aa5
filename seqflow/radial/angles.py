r"""The ratio theta/sin theta as an analytic function of S = sin^2(theta/2).

The logarithm towards a vertex, log_x(e_k) = f (e_k - x_k x), has the factor f = theta/sin theta
with cos theta = x_k. As a function of the cosine it needs a quotient 0/0 at x = e_k; as one of
S = (1 - x_k)/2 it is analytic but at the antipode, S = 1. By halving the angle twice::

    cos(theta/2) = sqrt(1 - S),   cos(theta/4) = sqrt((1 + cos(theta/2))/2),
    u = sin^2(theta/8) = (1 - cos(theta/4))/2 <= 0.147,
    theta/sin theta = [sum_m 4^m (m!)^2/(2m + 1)! u^m] / (cos(theta/4) cos(theta/2)),

values and gradients are those of a short series: no branch, no arc cosine. Since
d theta^2/dS = 4 f, and theta^2 = 4 f^2 S (1 - S), it also serves densities.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import torch
from torch import Tensor

_LARGEST_U = 0.1465
"""sin^2(pi/8), rounded up."""


@lru_cache
def _series(eps: float) -> tuple[float, ...]:
    """Coefficients of the series, highest first, up to the first below half a rounding."""
    coefficients, m = [1.0], 0
    while coefficients[-1] * _LARGEST_U**m > eps / 2:
        m += 1
        coefficients.append(4**m * factorial(m) ** 2 / factorial(2 * m + 1))
    return tuple(reversed(coefficients))


_SERIES = {dtype: _series(torch.finfo(dtype).eps) for dtype in (torch.float32, torch.float64)}


def angle_ratio(S: Tensor) -> Tensor:
    """theta/sin theta, at least 1; 1 at S = 0, about (pi/2)/sqrt(eps) at the antipode, S = 1.

    Elementwise, with finite gradients; S may miss [0, 1] by a rounding.

    Example:
        >>> angle_ratio(torch.tensor([0.0, 0.5]))
        tensor([1.0000, 1.5708])
    """
    half = (1 - S).clamp_min(torch.finfo(S.dtype).eps).sqrt()
    quarter = (0.5 + 0.5 * half).sqrt()
    u = 0.5 - 0.5 * quarter
    first, *rest = _SERIES[S.dtype]
    total = torch.full_like(u, first)
    for coefficient in rest:
        total = total * u + coefficient
    return total / (quarter * half)
