r"""How (a, b, r) of a noisy token are drawn at a given time: by a walk, or from a table of walks.

========================  ====================================================================
:class:`FreshWalk`        a walk for every token, all draws independent: for bounds, any use
:class:`ParticleTable`    a path of a table, shared by all tokens: for training
:class:`TangentNormal`    the wrapped normal of the same mean and spread: K beyond a thousand
========================  ====================================================================

Times are angles phi from 0 to pi/2 with s = sin^2 phi, which is fine at both ends.

Between two nodes of the table a path is a Brownian bridge: with w the share of the way in s,

    p = (1 - w) p_i + w p_{i+1} + sqrt(v_1 (s_{i+1} - s_i) w (1 - w)) (I - p p^T)^{1/2} xi,

p = (a, b), so that few nodes do. A table of N paths gives every average the error sd/sqrt(N) of
those paths, however many tokens are averaged: a bound needs fresh walks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from .bridge import Bridge, Radial, advance, on_sphere
from .moments import moments
from .particles import particles
from .strides import between, stride


class Walk(Protocol):
    """A way to draw (a, b, r)."""

    def __call__(
        self, bridge: Bridge, phi: Tensor, length: int, generator: torch.Generator | None
    ) -> Radial:
        """Numbers of shape ``(batch, length)`` at the times ``phi``, ``(batch,)``."""
        ...


@dataclass(frozen=True)
class FreshWalk:
    """A walk for every token, of ``num_steps`` steps from s = 0 to its time.

    Raises:
        ValueError: for no step.
    """

    num_steps: int = 32

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"expected at least one step, got {self.num_steps}")

    def __call__(
        self, bridge: Bridge, phi: Tensor, length: int, generator: torch.Generator | None
    ) -> Radial:
        """Numbers of shape ``(batch, length)`` at the times ``phi``, ``(batch,)``."""
        phi = phi[:, None]
        point = bridge.departure(phi.expand(-1, length))
        for i in range(self.num_steps):
            first, last = (phi * (j / self.num_steps) for j in (i, i + 1))
            share, std = stride(bridge.variance, first, last)
            point = advance(point, share, std, bridge.noise(point.a, generator))
        return point


@dataclass(frozen=True)
class ParticleTable:
    """A random path of a table for every token, and the noise between its nodes.

    The table is made on first use, in less than a second, and kept in memory.

    Attributes:
        num_paths: N, even.
        num_nodes: how many intervals of time, at least 2.

    Raises:
        ValueError: for an odd number of paths, or fewer than two intervals.
    """

    num_paths: int = 2048
    num_nodes: int = 64

    def __post_init__(self) -> None:
        if self.num_paths < 2 or self.num_paths % 2:
            raise ValueError(f"expected an even number of paths, got {self.num_paths}")
        if self.num_nodes < 2:
            raise ValueError(f"expected at least two intervals, got {self.num_nodes}")

    def __call__(
        self, bridge: Bridge, phi: Tensor, length: int, generator: torch.Generator | None
    ) -> Radial:
        """Numbers of shape ``(batch, length)`` at the times ``phi``, ``(batch,)``."""
        width = math.pi / 2 / self.num_nodes
        node = (phi / width).floor().clamp(0, self.num_nodes - 1)
        first, last = node * width, (node + 1) * width
        step = between(first, last)
        w = (between(first, phi) / step).clamp(0, 1)
        shape = (len(phi), length)
        path = torch.randint(self.num_paths, shape, generator=generator, device=phi.device)
        row = path.add_(node.long()[:, None] * self.num_paths)
        table = _placed(bridge, self.num_paths, self.num_nodes, phi.dtype, phi.device)
        a, b = (torch.lerp(p.take(row), p.take(row + self.num_paths), w[:, None]) for p in table)
        std = (bridge.variance * step * w * (1 - w)).sqrt()
        return _jiggle(a, b, std[:, None], generator)


@lru_cache(maxsize=16)
def _placed(
    bridge: Bridge, num_paths: int, num_nodes: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The numbers a and b of all paths, node by node: what an example reads lies together."""
    a, b = particles(bridge, num_paths, num_nodes).to(device, dtype).unbind(-1)
    return a.T.flatten(), b.T.flatten()


def _jiggle(a: Tensor, b: Tensor, std: Tensor, generator: torch.Generator | None) -> Radial:
    """The point of p = (a, b) after noise of deviation ``std``, tangent to the sphere.

    (I - p p^T)^{1/2} = I - p p^T/(1 + sqrt(1 - |p|^2)).
    """
    xi, eta = a.new_empty((2, *a.shape)).normal_(generator=generator)
    inward = (a * xi + b * eta) / (1 + _rest(a, b))
    a, b = a + std * (xi - inward * a), b + std * (eta - inward * b)
    return on_sphere(a, b, _rest(a, b))


def _rest(a: Tensor, b: Tensor) -> Tensor:
    return (1 - a.square() - b.square()).clamp_min(0).sqrt()


@dataclass(frozen=True)
class TangentNormal:
    """A normal vector of the tangent space at the mean, carried to the sphere by exp.

    The mean direction and the spread are those of the bridge (`moments`), the law is not: at
    K = 27 the deviation of a is too large by up to 9%; for K beyond a thousand it is good.
    """

    def __call__(
        self, bridge: Bridge, phi: Tensor, length: int, generator: torch.Generator | None
    ) -> Radial:
        """Numbers of shape ``(batch, length)`` at the times ``phi``, ``(batch,)``."""
        mean = moments(bridge).at(phi)
        noise = bridge.noise(phi[:, None].expand(-1, length).contiguous(), generator)
        rho = mean.variance.sqrt()[:, None]
        angle = mean.angle[:, None]
        across = rho * (noise.u.square() + noise.rest.square()).sqrt()
        along = rho * noise.a
        tiny = torch.finfo(phi.dtype).tiny
        N = (along.square() + across.square()).clamp_min(tiny).sqrt()
        cos, sinc = N.cos(), N.sin() / N
        a = cos * angle.cos() + sinc * along * angle.sin()
        b = cos * angle.sin() - sinc * along * angle.cos()
        return on_sphere(a, b, sinc * across)
