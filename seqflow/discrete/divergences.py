r"""How fast the paths of a prediction part from those of the datum, per position and in nats.

Two Markov chains with rates R and R' to the states y != z part, in relative entropy, at

    l = sum_{y != z} R' - R + R log(R/R') >= 0.

On a mixture path there are two natural pairs of rates, which give two bounds on -log p(x_1)
for the same prediction p. With the exact posterior a bound is tight if the paths, over all
data, are Markov: the second always is, the first for masks only, for a visible token that has
jumped is known to be the datum, and x_t does not tell.

**Jumps** of noise to the datum, R = kappa'/(1 - kappa) 1[y = x_1], as the sampler makes them:

    l = kappa'/(1 - kappa) (1[z != x_1] (-log p(x_1) - p(z)) + 1[z = x_1] (1 - p(z))).

**Reversed noising**, for uniform noise: R = kappa'/(K kappa) xbar_y/xbar_z with
xbar = K kappa x_1 + 1 - kappa, and R' the same with p for x_1 (Schiff et al. 2025, UDLM), where p
is what the other positions say, the logits less the evidence of z: then R' is the mean of R. With
h_y = log(1 + kappa (K p_y - 1)), and g the same for x_1, one sum over K is left, S = sum_y h_y::

    l = kappa'/(K kappa) (K e^{-h_z} - K e^{-g_z} + e^{-g_z} (E - (1 - kappa) S
                          - K kappa h_{x_1} - K g_z + K h_z)),
    E = (K - 1)(1 - kappa) log(1 - kappa) + (K kappa + 1 - kappa) log(K kappa + 1 - kappa).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..process import expand_time
from ..schedules import Schedule, hazard


class Divergence(Protocol):
    """The rate l of one position."""

    def __call__(
        self, logits: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule
    ) -> Tensor:
        """Nats per unit of time, ``(batch, length)``, for logits ``(batch, length, K)``."""
        ...


@dataclass(frozen=True)
class JumpRates:
    """Of jumps to the datum; masks, tokens beyond the last, have p(z) = 0."""

    def __call__(
        self, logits: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule
    ) -> Tensor:
        """Nats per unit of time, ``(batch, length)``."""
        total = logits.logsumexp(-1)
        log_p_1 = _at(logits, x_1) - total
        log_p_z = _at(logits, x_t.clamp_max(logits.shape[-1] - 1)) - total
        p_z = log_p_z.exp().masked_fill(x_t >= logits.shape[-1], 0)
        each = torch.where(x_t == x_1, -log_p_z.expm1(), -log_p_1 - p_z)
        return expand_time(hazard(schedule, t), each) * each.clamp_min(0)


JUMP_RATES = JumpRates()
"""Those of the plain sampler."""


@dataclass(frozen=True)
class ReversedNoising:
    """Of the time reversal of uniform noising."""

    def __call__(
        self, logits: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor, schedule: Schedule
    ) -> Tensor:
        """Nats per unit of time, ``(batch, length)``; finite at t = 0 and t = 1."""
        K, eps = logits.shape[-1], torch.finfo(t.dtype).eps
        # At the ends l is 0/0 and has finite limits, which a rounding's distance away has too.
        t = t.clamp(eps, 1 - eps)
        kappa = expand_time(schedule.kappa(t), logits).clamp(eps, 1 - eps)
        # p without what z itself says, see above: its logits less the evidence of z.
        odds = torch.log1p(K * kappa / (1 - kappa)).expand(*x_t.shape, 1)
        prior = logits.scatter_add(-1, x_t[..., None], -odds).softmax(-1)
        h = torch.log1p(kappa * (K * prior - 1))
        h_z, h_1, kappa = _at(h, x_t), _at(h, x_1), kappa[..., 0]
        # log xbar of x_1 at x_1 and elsewhere.
        near, far = torch.log1p(kappa * (K - 1)), torch.log1p(-kappa)
        g_z = torch.where(x_t == x_1, near, far)
        E = (K - 1) * far.exp() * far + near.exp() * near
        rest = E - (1 - kappa) * h.sum(-1) - K * kappa * h_1 - K * (g_z - h_z)
        each = K * ((-h_z).exp() - (-g_z).exp()) + (-g_z).exp() * rest
        return expand_time(schedule.derivative(t), each) / (K * kappa) * each.clamp_min(0)


REVERSED_NOISING = ReversedNoising()
"""Those of uniform noise that is run backwards."""


def _at(table: Tensor, tokens: Tensor) -> Tensor:
    """The entry of each token, ``(batch, length)`` out of ``(batch, length, K)``."""
    return table.gather(-1, tokens[..., None]).squeeze(-1)
