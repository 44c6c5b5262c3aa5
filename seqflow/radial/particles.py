"""A table of walks of (a, b) of the logarithm bridge, made once for each law."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from .bridge import Bridge, Noise, advance
from .strides import stride


def particles(bridge: Bridge, num_paths: int, num_nodes: int) -> Tensor:
    """Walks (a, b) at ``num_nodes`` + 1 equal steps of phi, ``(num_paths, nodes + 1, 2)``.

    In opposite pairs, which makes averages over the paths more accurate, from a seed of its own.
    Float64 inside, so that the table is the same for every dtype.
    """
    generator = torch.Generator().manual_seed(0)
    half = torch.zeros(num_paths // 2, dtype=torch.float64)
    point = bridge.departure(half.repeat(2))
    nodes = [torch.stack(point[:2], -1)]
    times = torch.linspace(0, math.pi / 2, num_nodes + 1, dtype=torch.float64)
    for first, last in pairwise(times):
        a, b, u, rest = bridge.noise(half, generator)
        a, b, u = (torch.cat([v, -v]) for v in (a, b, u))
        opposite = Noise(a, b, u, rest.repeat(2))
        point = advance(point, *stride(bridge.variance, first, last), opposite)
        nodes.append(torch.stack(point[:2], -1))
    return torch.stack(nodes, 1)
