r"""What a state says of its own token: Bayes' rule with a wrapped normal for the bridge.

With the mean m_k = A e_k + A' x_0 of token k and the spread rho of `moments`, theta_k the angle
between x and m_k, and n = K,

    log p(x | k) = -theta_k^2/(2 rho^2) + (n - 1) log(theta_k/sin theta_k) + constant.

All terms are functions of S_k = sin^2(theta_k/2) = S_0 - A x_k/2, where

    S_0 = (1 - A' <x, x_0>)/2 = ((1 - A') + A' |x - x_0|^2/2)/2

has its full relative precision however early, when rho^2 and S_0 are small together. The bridge is
not quite a wrapped normal, but the bound of single tokens with this evidence is their entropy to
within the 0.6% that it has been measured to (``benchmarks/radial_exactness.py``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..process import expand_time
from .angles import half_angle_and_ratio
from .bridge import Bridge
from .moments import MomentTable


def log_evidence(bridge: Bridge, table: MomentTable, x_t: Tensor, time: Tensor) -> Tensor:
    """Log p(x_t | k) less that of the likeliest k, ``(batch, length, K)``.

    Finite everywhere: rho^2 counts as at least eps v_1.

    Args:
        bridge: the law.
        table: its moments.
        x_t: ``(batch, length, K + 1)``.
        time: the angles of the times, ``(batch,)``.
    """
    mean = table.at(time)
    sine = bridge.sine
    A, A_0 = mean.travelled.sin() / sine, mean.angle.sin() / sine
    middle = (bridge.angle + mean.angle) / 2
    # 1 - A', from sin theta_0 - sin phi as a product.
    rest = 2 * middle.cos() * (mean.travelled / 2).sin() / sine
    S_0 = (expand_time(rest, x_t) + expand_time(A_0, x_t) * _half_chord(bridge, x_t)) / 2
    S = torch.addcmul(S_0, x_t[..., :-1], expand_time(-A / 2, x_t))
    floor = bridge.variance * torch.finfo(time.dtype).eps
    rho2 = expand_time(mean.variance.clamp_min(floor), x_t)
    half, ratio = half_angle_and_ratio(S)
    density = torch.addcmul(ratio.log().mul_(bridge.num_classes - 1), half.square(), -2 / rho2)
    return density - density.amax(-1, keepdim=True).detach()


def _half_chord(bridge: Bridge, x: Tensor) -> Tensor:
    """1 - <x, x_0> as |x - x_0|^2/2, ``(batch, length, 1)``."""
    tokens = x[..., :-1] - bridge.cosine if bridge.start else x[..., :-1]
    mask = x[..., -1:] - math.sqrt(1 - bridge.start)
    return (tokens.square().sum(-1, keepdim=True) + mask.square()) / 2
