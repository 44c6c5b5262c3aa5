r"""Angles theta on the sphere, by S = sin^2(theta/2): theta^2 and f = theta/sin theta.

The logarithm towards a vertex, log_x(e_k) = f (e_k - x_k x), has the factor f with cos theta =
x_k, and densities have theta^2. Both are analytic in S = (1 - x_k)/2 but at the antipode, S = 1::

    theta^2 = 4 asin(sqrt S)^2,                 d theta^2/dS = 4 f,
    f = asin(sqrt S)/sqrt(S (1 - S)),           df/dS = (1 - f (1 - 2 S))/(2 S (1 - S)),
    f = sum_m c_m S^m,   c_m = 4^m (m!)^2/(2m + 1)!.

With S within [eps, 1 - eps], f is right to a rounding at x = e_k too, where it is 1. The
derivative is not, so below S = 0.02 it is summed as a series. A function with its own backward,
since alphabets can be so large that a temporary of theirs costs more than an arc sine of it.
"""

from __future__ import annotations

from math import factorial
from typing import Any

import torch
from torch import Tensor

_SMALL = 0.02
_SERIES = [4**m * factorial(m) ** 2 / factorial(2 * m + 1) for m in range(10)]
"""The coefficients c_m; 0.02^9 is below the rounding of f' in float64."""


def angle_ratio(S: Tensor) -> Tensor:
    """f = theta/sin theta, elementwise: 1 at S = 0, (pi/2)/sqrt(eps) at the antipode, S = 1.

    Example:
        >>> angle_ratio(torch.tensor([0.0, 0.5]))
        tensor([1.0000, 1.5708])
    """
    return squared_angle_and_ratio(S)[1]


def squared_angle_and_ratio(S: Tensor) -> tuple[Tensor, Tensor]:
    """(theta^2, theta/sin theta), elementwise, with finite gradients for all S."""
    square, ratio = _Angle.apply(S)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return square, ratio


class _Angle(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(S: Tensor) -> tuple[Tensor, Tensor]:
        eps = torch.finfo(S.dtype).eps
        inside = S.clamp(eps, 1 - eps)
        scale = (1 - inside).mul_(inside).rsqrt_()
        half = inside.sqrt_().asin_()
        ratio = scale.mul_(half)
        return half.square_().mul_(4), ratio

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        of_square, of_ratio = gradients
        S, f = ctx.saved_tensors
        gradient: Tensor = of_square * 4 * f + of_ratio * _derivative(S, f)
        return gradient


def _derivative(S: Tensor, f: Tensor) -> Tensor:
    """df/dS."""
    eps = torch.finfo(S.dtype).eps
    near = S.clamp(0, _SMALL)
    series = torch.zeros_like(S)
    for m in range(len(_SERIES) - 1, 0, -1):
        series = series * near + m * _SERIES[m]
    far = S.clamp(_SMALL, 1 - eps)
    return torch.where(S < _SMALL, series, (1 - f * (1 - 2 * far)) / (2 * far * (1 - far)))
