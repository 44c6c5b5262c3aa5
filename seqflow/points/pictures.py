"""Which picture suits which manifold, samples beside data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from pathlib import Path

from torch import Tensor

from geometry.lorentz import Lorentz, lorentz_to_poincare
from geometry.manifold import Manifold
from geometry.mesh import Mesh
from geometry.rotation_conversions import quaternion_to_rotation_vector
from geometry.rotations import SO3
from geometry.sphere import Sphere
from geometry.torus import FlatTorus

from ..likelihood.ode import log_likelihood
from ..solvers import MIDPOINT, FixedSteps
from .models import PointModel
from .plots import Density, plot_angles, plot_coordinates, plot_globe, plot_mesh

DENSITY_STEPS = 8
Panels = Mapping[str, Tensor]


@singledispatch
def draw(manifold: Manifold, path: Path, panels: Panels, density: Density | None = None) -> None:
    """One picture of points ``(N, *point_shape)`` by title: their first two coordinates.

    On the globe and on a torus of two angles the log density lies below.
    """
    plot_coordinates(path, panels)


@draw.register
def _(manifold: Sphere, path: Path, panels: Panels, density: Density | None = None) -> None:
    plot_globe(path, panels, density) if manifold.n == 2 else plot_coordinates(path, panels)


@draw.register
def _(manifold: FlatTorus, path: Path, panels: Panels, density: Density | None = None) -> None:
    plot_angles(path, panels, density)


@draw.register
def _(manifold: Mesh, path: Path, panels: Panels, density: Density | None = None) -> None:
    plot_mesh(path, manifold, panels)


@draw.register
def _(manifold: SO3, path: Path, panels: Panels, density: Density | None = None) -> None:
    plot_coordinates(path, {k: quaternion_to_rotation_vector(q) for k, q in panels.items()})


@draw.register
def _(manifold: Lorentz, path: Path, panels: Panels, density: Density | None = None) -> None:
    plot_coordinates(path, {k: lorentz_to_poincare(x) for k, x in panels.items()})


def model_density(model: PointModel) -> Density:
    """The log density of a model, by few fixed steps: good enough to look at."""

    def log_density(x: Tensor) -> Tensor:
        return log_likelihood(
            model.process,
            model.network,
            x,
            integrator=FixedSteps(DENSITY_STEPS, MIDPOINT),
            t_end=model.stop,
            batch_size=8192,
        )

    return log_density
