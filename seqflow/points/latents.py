"""Where data come from: the flow solved backwards, to the noise of each point."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path

import torch
from torch import Tensor

from geometry.manifold import Manifold
from geometry.mesh import Mesh

from ..flow_map import flow_map
from ..solvers import Integrator
from .models import PointModel
from .tables import write_table


@singledispatch
def latents(
    manifold: Manifold, model: PointModel, points: Tensor, integrator: Integrator | None = None
) -> Tensor:
    """The noise x_0 that the flow takes to ``points``, ``(N, *point_shape)``.

    Args:
        manifold: of the model.
        model: the model.
        points: ``(N, *point_shape)``.
        integrator: of the ODE; adaptive steps if None.
    """
    return flow_map(model.process, model.network, points, model.stop, 0.0, integrator=integrator)


@latents.register
def _(
    manifold: Mesh, model: PointModel, points: Tensor, integrator: Integrator | None = None
) -> Tensor:
    raise ValueError(
        "expected a manifold without walls and edges for --latent, got a mesh: what slides along "
        "a wall cannot be traced back"
    )


def write_latents(path: Path, model: PointModel, points: Tensor) -> None:
    """A CSV file with a row a point: its numbers, then those of its latent."""
    space = model.spec.space
    found = latents(model.process.manifold, model, points)
    both = torch.cat([space.to_numbers(points), space.to_numbers(found)], 1)
    write_table(path, [*space.names, *(f"latent_{name}" for name in space.names)], both)
