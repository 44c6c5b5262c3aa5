"""Which manifold the points live on, and what a row of numbers says about a point.

============  ==================================================  ===========================
kind          a row                                               point
============  ==================================================  ===========================
sphere        latitude, longitude in degrees                      unit vector in R^3
torus         angles in degrees (or radians)                      angles in [0, 2 pi)
so3           quaternion w, x, y, z, or a rotation vector         unit quaternion
hyperbolic    ball coordinates, or x_0, ..., x_n of Lorentz       the same, of that model
mesh          x, y, z                                             nearest point of the surface
============  ==================================================  ===========================

A class a kind; all of them answer the same questions, so that nothing else asks for the kind.
Geographic coordinates are taken as spherical ones; densities are per steradian.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from geometry.hyperbolic import norm
from geometry.lorentz import Lorentz
from geometry.manifold import Manifold
from geometry.mesh import Mesh
from geometry.mesh_spectrum import Biharmonic, CommuteTime, Diffusion, Premetric
from geometry.poincare import PoincareBall
from geometry.rotation_conversions import (
    quaternion_to_rotation_vector,
    rotation_vector_to_quaternion,
)
from geometry.rotations import SO3
from geometry.sphere import Sphere
from geometry.torus import FlatTorus

from ..settings import Settings
from .mesh_files import read_mesh


class SphereSpace(Settings):
    """Places on the globe."""

    kind: Literal["sphere"] = "sphere"

    @property
    def names(self) -> list[str]:
        """Columns of a row."""
        return ["latitude", "longitude"]

    def manifold(self) -> Manifold:
        """``Sphere(2)``."""
        return Sphere(2)

    def fault(self, numbers: Tensor) -> tuple[Tensor, str]:
        """Which rows cannot be points, ``(N,)``, and what was expected."""
        bad = (numbers[:, 0].abs() > 90) | (numbers[:, 1].abs() > 360)
        return bad, "a latitude from -90 to 90 and a longitude from -180 to 360, in degrees"

    def to_points(self, numbers: Tensor) -> Tensor:
        """Unit vectors ``(N, 3)`` of degrees ``(N, 2)``.

        Example:
            >>> SphereSpace().to_points(torch.tensor([[0.0, 90.0]])).round(decimals=4).abs()
            tensor([[0., 1., 0.]])
        """
        latitude, longitude = numbers.deg2rad().unbind(-1)
        ring = latitude.cos()
        return torch.stack([ring * longitude.cos(), ring * longitude.sin(), latitude.sin()], -1)

    def to_numbers(self, points: Tensor) -> Tensor:
        """Degrees ``(N, 2)`` of unit vectors; longitudes from -180 to 180."""
        x, y, z = points.unbind(-1)
        return torch.stack([torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)], -1).rad2deg()


class TorusSpace(Settings):
    """Angles, such as torsions.

    Attributes:
        dim: how many.
        degrees: whether a row holds degrees, from -180 to 180 when written; else radians.
    """

    kind: Literal["torus"] = "torus"
    dim: int = Field(default=2, ge=1, le=1000)
    degrees: bool = True

    @property
    def names(self) -> list[str]:
        """Columns of a row."""
        return [f"angle_{i}" for i in range(1, self.dim + 1)]

    def manifold(self) -> Manifold:
        """``FlatTorus(dim)``."""
        return FlatTorus(self.dim)

    def fault(self, numbers: Tensor) -> tuple[Tensor, str]:
        """Angles beyond a turn, or all of them within radians though degrees were said."""
        turn = 360.0 if self.degrees else 2 * math.pi
        bad = (numbers.abs() > turn * (1 + 1e-6)).any(-1)
        return bad, f"angles of at most {turn:g}, as space.degrees is {self.degrees}"

    def to_points(self, numbers: Tensor) -> Tensor:
        """Angles in [0, 2 pi)."""
        return self.manifold().projx(numbers.deg2rad() if self.degrees else numbers)

    def to_numbers(self, points: Tensor) -> Tensor:
        """Angles in [-180, 180) degrees, or in [0, 2 pi)."""
        centred = torch.remainder(points + math.pi, 2 * math.pi) - math.pi
        return centred.rad2deg() if self.degrees else points


class SO3Space(Settings):
    """Rotations.

    Attributes:
        form: a quaternion (w, x, y, z) of any positive length, or a rotation vector in radians.
    """

    kind: Literal["so3"] = "so3"
    form: Literal["quaternion", "rotation_vector"] = "quaternion"

    @property
    def names(self) -> list[str]:
        """Columns of a row."""
        return ["w", "x", "y", "z"] if self.form == "quaternion" else ["x", "y", "z"]

    def manifold(self) -> Manifold:
        """``SO3()``."""
        return SO3()

    def fault(self, numbers: Tensor) -> tuple[Tensor, str]:
        """Quaternions without a direction."""
        flat = numbers.norm(dim=-1) < 1e-6
        return flat & (self.form == "quaternion"), "a quaternion of positive length"

    def to_points(self, numbers: Tensor) -> Tensor:
        """Unit quaternions ``(N, 4)``."""
        if self.form == "quaternion":
            return SO3().projx(numbers)
        return rotation_vector_to_quaternion(numbers)

    def to_numbers(self, points: Tensor) -> Tensor:
        """The row's form; quaternions with w >= 0."""
        if self.form == "rotation_vector":
            return quaternion_to_rotation_vector(points)
        return torch.where(points[:, :1] < 0, -points, points)


class HyperbolicSpace(Settings):
    """Points of hyperbolic space of curvature -1.

    Attributes:
        dim: of the space.
        form: coordinates in the Poincare ball, or x_0, ..., x_n on the hyperboloid.
    """

    kind: Literal["hyperbolic"] = "hyperbolic"
    dim: int = Field(default=2, ge=1, le=1000)
    form: Literal["ball", "lorentz"] = "ball"

    @property
    def names(self) -> list[str]:
        """Columns of a row."""
        first = 1 if self.form == "ball" else 0
        return [f"x_{i}" for i in range(first, self.dim + 1)]

    def manifold(self) -> Manifold:
        """``PoincareBall(dim)`` or ``Lorentz(dim)``."""
        return PoincareBall(self.dim) if self.form == "ball" else Lorentz(self.dim)

    def fault(self, numbers: Tensor) -> tuple[Tensor, str]:
        """Points outside the ball, or off the hyperboloid by more than 1e-3 of x_0."""
        if self.form == "ball":
            return numbers.norm(dim=-1) >= 1, "coordinates inside the unit ball"
        height = (1 + norm(numbers[:, 1:])[:, 0].square()).sqrt()
        off = (numbers[:, 0] - height).abs() > 1e-3 * height
        return off, "x_0 = sqrt(1 + x_1^2 + ... + x_n^2)"

    def to_points(self, numbers: Tensor) -> Tensor:
        """Points of the model."""
        return self.manifold().projx(numbers)

    def to_numbers(self, points: Tensor) -> Tensor:
        """The coordinates themselves."""
        return points


class MeshSpace(Settings):
    """Points of a triangulated surface.

    Attributes:
        path: an OFF or OBJ file.
        tolerance: how far a row may be from the surface, in parts of the surface's diameter.
        distance: that falls along the conditional paths: ``biharmonic``; ``commute``, which
            resolves the width of narrow corridors; ``diffusion``, which sees no farther than
            its time.
        tau: that time, for ``diffusion``; areas are measured in the units of the file.
        num_eigenpairs: of the distance, and eigenfunctions that the network sees.
        num_steps: of the conditional paths.
        num_paths: walked before training; all of their steps are trained on.
    """

    kind: Literal["mesh"] = "mesh"
    path: Path
    tolerance: float = Field(default=0.05, gt=0)
    distance: Literal["biharmonic", "commute", "diffusion"] = "biharmonic"
    tau: float = Field(default=0.25, gt=0)
    num_eigenpairs: int = Field(default=50, ge=1)
    num_steps: int = Field(default=48, ge=1)
    num_paths: int = Field(default=8192, ge=1)

    @property
    def names(self) -> list[str]:
        """Columns of a row."""
        return ["x", "y", "z"]

    def manifold(self) -> Mesh:
        """The surface in the file."""
        vertices, faces = read_mesh(self.path)
        premetric = _PREMETRICS[self.distance](self.tau)
        return Mesh(vertices, faces, premetric, self.num_eigenpairs, self.num_steps)

    def fault(self, numbers: Tensor) -> tuple[Tensor, str]:
        """Rows far from the surface."""
        mesh = self.manifold()
        diameter = (mesh.vertices.amax(0) - mesh.vertices.amin(0)).norm()
        off = (mesh.projx(numbers) - numbers).norm(dim=-1) > self.tolerance * diameter
        return off, f"a point within {self.tolerance:g} diameters of {self.path}"

    def to_points(self, numbers: Tensor) -> Tensor:
        """The nearest points of the surface."""
        return self.manifold().projx(numbers)

    def to_numbers(self, points: Tensor) -> Tensor:
        """The coordinates themselves."""
        return points


_PREMETRICS: dict[str, Callable[[float], Premetric]] = {
    "biharmonic": lambda tau: Biharmonic(),
    "commute": lambda tau: CommuteTime(),
    "diffusion": Diffusion,
}

Space = Annotated[
    SphereSpace | TorusSpace | SO3Space | HyperbolicSpace | MeshSpace, Field(discriminator="kind")
]
