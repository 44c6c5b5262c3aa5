r"""Where the bridge is on average, and how far from there: two functions of time.

The mean direction lies on the arc from x_0 to e_k, at the angle phi_s from e_k, and the mean
squared distance from it is K rho_s^2. In the flat limit these are (1 - s) theta_0 and, for rho^2,
v_1 s (1 - s); tabulated are the corrections, which vary slowly::

    phi_s = theta_0 (1 - s) (1 - h),    rho_s^2 = v_1 s (1 - s) g.

They fit a wrapped normal exp_m(rho z) of z ~ N(0, I_K) by maximum likelihood in rho, for
E dist^2 = K rho^2 there: no function has to be inverted. (Jo and Hwang match E cos(rho chi_K)
instead, and their formula for it has a factor exp(-rho^2/2) too many.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .bridge import Bridge
from .particles import particles

NUM_PATHS, NUM_NODES = 4096, 128


class Moments(NamedTuple):
    """At given times, each of their shape.

    Attributes:
        angle: phi, from e_k to the mean direction.
        travelled: theta_0 - phi, from x_0 to it, to full relative precision.
        variance: rho^2.
    """

    angle: Tensor
    travelled: Tensor
    variance: Tensor


@dataclass(frozen=True, eq=False)
class MomentTable:
    """The corrections at equal steps of the time angle, s = sin^2.

    Attributes:
        theta_0: the angle between x_0 and e_k.
        v_1: the total variance.
        corrections: h and g, ``(2, nodes)``, float64.
    """

    theta_0: float
    v_1: float
    corrections: Tensor

    def at(self, time: Tensor) -> Moments:
        """The moments at time angles ``time``, of their shape."""
        s, left = time.sin().square(), time.cos().square()
        h, g = self._interpolate(time)
        travelled = self.theta_0 * (s + left * h)
        return Moments(self.theta_0 * left * (1 - h), travelled, self.v_1 * s * left * g)

    def _interpolate(self, time: Tensor) -> tuple[Tensor, Tensor]:
        table = self.corrections.to(time.device, time.dtype)
        last = table.shape[1] - 1
        place = time * (last / (math.pi / 2))
        node = place.detach().long().clamp(0, last - 1)
        h, g = torch.lerp(table[:, node], table[:, node + 1], place - node)
        return h, g


@lru_cache(maxsize=32)
def moments(bridge: Bridge) -> MomentTable:
    """The moments of a bridge; a quarter of a second for the first time it is asked about."""
    p = particles(bridge, NUM_PATHS, NUM_NODES)
    mean = p.mean(0)
    angle = torch.atan2(mean[:, 1], mean[:, 0])
    direction = torch.stack([angle.cos(), angle.sin()], -1)
    cosine = (p * direction).sum(-1).clamp(-1, 1)
    variance = cosine.acos().square().mean(0) / bridge.num_classes
    time = torch.linspace(0, math.pi / 2, NUM_NODES + 1, dtype=torch.float64)[1:-1]
    s, left = time.sin().square(), time.cos().square()
    h = 1 - angle[1:-1] / (bridge.angle * left)
    g = variance[1:-1] / (bridge.variance * s * left)
    # The limits at the start are known; those at the end are near the last values.
    start = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    inside = torch.stack([h, g])
    corrections = torch.cat([start, inside, inside[:, -1:]], 1)
    return MomentTable(bridge.angle, bridge.variance, corrections)
