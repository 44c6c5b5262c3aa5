r"""The flow map: where an ODE takes points from one time to another, in either direction.

    phi_{s,t}(x_s) = x_t,    dx/dt = v_t(x),    phi_{t,s} = phi_{s,t}^{-1}

From 0 to 1 it turns noise into data; from 1 to 0 it finds the noise that a datum comes from,
its latent. Solved with error control or on a grid, by steps that stay on the manifold.
"""

from __future__ import annotations

from itertools import repeat

import torch
from torch import Tensor

from geometry.checks import check_shape

from .adaptive import AdaptiveSteps
from .process import Condition
from .sampling import Predictor
from .solvers import FlowProcess, Integrator
from .state import map_state, split


@torch.no_grad()
def flow_map(
    process: FlowProcess,
    predictor: Predictor,
    x: Tensor,
    start: float,
    end: float,
    *,
    condition: Condition = None,
    integrator: Integrator | None = None,
    batch_size: int = 1024,
) -> Tensor:
    """Points ``(num, *point_shape)`` of time ``start`` carried to time ``end``.

    Args:
        process: such as ``VelocityFlow``.
        predictor: a network, or guidance around one.
        x: ``(num, ..., *point_shape)``.
        start: where the points are, in [0, 1].
        end: where they go; earlier than ``start`` to go back.
        condition: one row a point, or None.
        integrator: ``AdaptiveSteps()`` if None, or ``FixedSteps``.
        batch_size: points at once.

    Raises:
        ValueError: a time outside [0, 1], or what are no points.

    Example:
        >>> from geometry import FlatTorus
        >>> from seqflow.riemannian import VelocityFlow
        >>> flow, spin = VelocityFlow(FlatTorus(1)), lambda x, t, condition: torch.ones_like(x)
        >>> flow_map(flow, spin, torch.tensor([[0.5]]), 1.0, 0.0)  # back across zero
        tensor([[5.7832]])
    """
    if not (0 <= start <= 1 and 0 <= end <= 1):
        raise ValueError(f"expected times from 0 to 1, got {start} and {end}")
    check_shape(process.manifold, "points on", x, process.manifold.point_shape)
    solve = integrator or AdaptiveSteps()
    conditions = repeat(None) if condition is None else split(condition, batch_size)
    found = []
    for part, own in zip(x.split(batch_size), conditions, strict=False):

        def field(y: Tensor, t: Tensor, rows: Tensor, own: Condition = own) -> Tensor:
            seen = None if own is None else map_state(lambda c: c[rows], own)
            return process.velocity(y, predictor(y, t, seen), t)

        found.append(solve(process.manifold, field, part, start, end))
    return torch.cat(found)
