r"""A triangulated surface in R^3 with the metric of its flat faces.

Points are points of R^3 on the surface, vectors are tangent to the face of their point. The
exponential walks straight over the edges (``mesh_walk``). Shortest paths have no closed form,
so ``dist`` is a spectral premetric (``mesh_spectrum``) instead of the geodesic distance, and
``interpolant`` follows the field of Chen and Lipman (2024) along which it falls linearly::

    u_t(x | x_1) = -d(x_0, x_1) grad d / |grad d|^2,     d(x_t, x_1) = (1 - t) d(x_0, x_1)

with d = d(., x_1): a path, not a geodesic. It is integrated on the times k/num_steps by straight
walks, each aimed at the distance due at its end, so that errors do not add up; u_t is the field
at x_t, which is the path's velocity up to O(1/num_steps), and jumps where an edge is
crossed. ``logmap`` and ``transp`` do not exist and say so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from .checks import check_size, check_values
from .lengths import expand, root
from .manifold import Manifold, check_point_shape, check_tangent_shape, random_like
from .mesh_search import FaceFinder, closest, nearest_face
from .mesh_spectrum import Biharmonic, Premetric, eigenpairs
from .mesh_topology import check_mesh
from .mesh_walk import Triangles, barycentric, triangles, walk


@dataclass(frozen=True, repr=False, eq=False)
class Mesh(Manifold):
    """A surface of flat triangles; meshes of equal content are equal.

    Args:
        vertices: (V, 3).
        faces: (F, 3), int64 numbers of vertices.
        premetric: what ``dist`` is.
        num_eigenpairs: of the Laplacian in ``dist``; at most V - 1 are used.
        num_steps: walks in an ``interpolant``.

    Raises:
        ValueError: what is not a surface, naming the vertex, edge or face.

    Example:
        >>> square = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
        >>> mesh = Mesh(square, torch.tensor([[0, 1, 2], [0, 2, 3]]))
        >>> mesh
        Mesh(4 vertices, 2 faces)
        >>> mesh.expmap(torch.tensor([0.5, 0.25, 0.0]), torch.tensor([0.0, 0.5, 0.0]))
        tensor([0.5000, 0.7500, 0.0000])
    """

    vertices: Tensor
    faces: Tensor
    premetric: Premetric = field(default_factory=Biharmonic)
    num_eigenpairs: int = 200
    num_steps: int = 64
    _key: tuple[object, ...] = field(init=False)
    _triangles: Triangles = field(init=False)

    def __post_init__(self) -> None:
        check_mesh(self.vertices, self.faces)
        check_size("Mesh", "num_eigenpairs", self.num_eigenpairs, 1)
        check_size("Mesh", "num_steps", self.num_steps, 1)
        object.__setattr__(self, "vertices", self.vertices.detach().double().clone())
        object.__setattr__(self, "faces", self.faces.clone())
        digest = hashlib.sha256(self.vertices.cpu().numpy().tobytes())
        digest.update(self.faces.cpu().numpy().tobytes())
        key = (digest.hexdigest(), self.premetric, self.num_eigenpairs, self.num_steps)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "_triangles", triangles(self.vertices, self.faces))

    @classmethod
    def from_obj(cls, path: str | Path) -> Mesh:
        """Read the ``v`` and ``f`` lines of a Wavefront OBJ file of triangles.

        Raises:
            ValueError: names the line of a face that is not a triangle.
        """
        vertices: list[list[float]] = []
        faces: list[list[int]] = []
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            kind, *words = line.split() or [""]
            if kind == "v":
                vertices.append([float(word) for word in words[:3]])
            elif kind == "f":
                if len(words) != 3:
                    raise ValueError(
                        f"expected triangles in {path}, got {len(words)} corners on line "
                        f"{number}; triangulate the mesh"
                    )
                # Numbers count from 1, or backwards from the last vertex read.
                corners = [int(word.split("/")[0]) for word in words]
                faces.append([i - 1 if i > 0 else len(vertices) + i for i in corners])
        return cls(torch.tensor(vertices).reshape(-1, 3), torch.tensor(faces, dtype=torch.long))

    def __repr__(self) -> str:
        return f"Mesh({self.vertices.shape[0]} vertices, {self.faces.shape[0]} faces)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mesh) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def dim(self) -> int:
        """2."""
        return 2

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(3,)."""
        return (3,)

    @property
    def area(self) -> float:
        """The surface's."""
        return float(self._triangles.areas.sum())

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (k,) after the constant's and eigenfunctions (V, k); computed once."""
        count = min(self.num_eigenpairs, self.vertices.shape[0] - 1)
        return eigenpairs(self.vertices, self.faces, count)

    @cached_property
    def _features(self) -> Tensor:
        """sqrt(w_i) phi_i at the corners of each face, (F, 3, k)."""
        values, functions = self.spectrum
        scaled = functions * self.premetric.weights(values).sqrt()
        return scaled.to(self.vertices.device)[self.faces]

    @cached_property
    def _finder(self) -> FaceFinder:
        """Finds the faces of points of the surface."""
        return FaceFinder.of(self._triangles)

    @property
    def _crossings(self) -> int:
        """A bound on the edges of a walk once around: a face is 1/sqrt(F) of it, or more."""
        return 16 + 4 * math.isqrt(self.faces.shape[0])

    def _locate(self, x: Tensor) -> tuple[Triangles, Tensor, Tensor]:
        """The mesh like x, x as (N, 3), and the faces of these points of the surface."""
        tri, flat = self._triangles.to(x), x.reshape(-1, 3)
        return tri, flat, self._finder(tri, flat)

    def _embed(self, tri: Triangles, face: Tensor, x: Tensor) -> Tensor:
        """The features at x, (N, k)."""
        corners = self._features.to(x)[face]
        return (barycentric(tri, face, x).unsqueeze(-1) * corners).sum(-2)

    def _slope(
        self, tri: Triangles, face: Tensor, x: Tensor, goal: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The distance (N,) to a point of features ``goal`` (N, k) and grad d/|grad d|^2."""
        difference = self._embed(tri, face, x) - goal
        distance = root(difference.square().sum(-1))
        per_corner = (self._features.to(x)[face] * difference.unsqueeze(-2)).sum(-1)
        ascent = (per_corner.unsqueeze(-1) * tri.slopes[face]).sum(-2)  # d grad d
        tiny = torch.finfo(x.dtype).tiny
        steepness = ascent.square().sum(-1).clamp_min(tiny)
        return distance, ascent * (distance / steepness).unsqueeze(-1)

    def projx(self, x: Tensor) -> Tensor:
        """The nearest point, by comparison with all faces, in chunks."""
        tri, flat = self._triangles.to(x), x.reshape(-1, 3)
        face = nearest_face(tri, flat)
        return closest(tri.corners[face], tri.slopes[face], flat).reshape(x.shape)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """u without its part along the normal of the face of ``x``."""
        tri, _, face = self._locate(x)
        normal = tri.normals[face].reshape(x.shape)
        return u - (u * normal).sum(-1, keepdim=True) * normal

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """The end of the straight walk; at most 16 + 4 sqrt(F) edges; slides along boundaries."""
        x, u = torch.broadcast_tensors(x, u)
        tri, flat, face = self._locate(x)
        step, normal = u.reshape(-1, 3), tri.normals[face]
        step = step - (step * normal).sum(-1, keepdim=True) * normal
        return walk(tri, face, flat, step, self._crossings)[1].reshape(x.shape)

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(
            f"expected a manifold with {what}, got {self}, whose shortest paths have no closed "
            f"form; use interpolant(x0, x1, t), which follows the premetric"
        )

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """Not available.

        Raises:
            ValueError: always; use ``interpolant``.
        """
        self._refuse("a logarithm")

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Not available.

        Raises:
            ValueError: always; use ``interpolant``.
        """
        self._refuse("parallel transport along geodesics")

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """The spectral premetric, batch shape: symmetric, zero at x = y, a metric for large k."""
        return root((self.embed(x) - self.embed(y)).square().sum(-1))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Scalar product of the ambient space, batch shape."""
        return (u * v).sum(-1)

    def eigenfunctions(self, x: Tensor) -> Tensor:
        """phi_i at x times the root of the area, so that their mean square is one, (..., k)."""
        scale = self.premetric.weights(self.spectrum[0]).rsqrt() * math.sqrt(self.area)
        return self.embed(x) * scale.to(x)

    def embed(self, x: Tensor) -> Tensor:
        """sqrt(w_i) phi_i at x, (..., k): ``dist`` is the Euclidean distance of these."""
        tri, flat, face = self._locate(x)
        found = self._embed(tri, face, flat)
        return found.reshape(*x.shape[:-1], found.shape[-1])

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t on the path of the premetric from x0 to x1 and its velocity, by ``num_steps`` walks.

        Args:
            x0: (..., 3).
            x1: (..., 3).
            t: (...).

        Returns:
            x_t and u_t, (..., 3), with d(x_t, x1) = (1 - t) d(x0, x1) up to O(1/num_steps).
        """
        *_, (x, u) = self._follow(x0, x1, t)
        return x, u

    def trajectory(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        """All that ``interpolant`` passes on its way: x and u at t = k/num_steps, k < num_steps.

        The work of one point of a path, for all of them.

        Args:
            x0: (..., 3).
            x1: (..., 3).

        Returns:
            Points and velocities, (num_steps, ..., 3).
        """
        passed = list(self._follow(x0, x1, x0.new_ones(())))[:-1]
        points, velocities = zip(*passed, strict=True)
        return torch.stack(points), torch.stack(velocities)

    def _follow(self, x0: Tensor, x1: Tensor, t: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Points and velocities at min(t, k/num_steps), k = 0, ..., num_steps."""
        x0, x1, time = torch.broadcast_tensors(x0, x1, expand(t, 1))
        tri, x, face = self._locate(x0)
        _, end, end_face = self._locate(x1)
        goal = self._embed(tri, end_face, end)
        time = time.reshape(-1, 3)[:, 0]
        total, slope = self._slope(tri, face, x, goal)
        distance = total
        # Many times the mean, for mazes; a step cut short is made up for by the next ones, as
        # is one that overshoots where the gradient nearly vanishes.
        crossings = 2 + 32 * math.isqrt(self.faces.shape[0]) // self.num_steps
        for k in range(1, self.num_steps + 1):
            yield x.reshape(x0.shape), (-total.unsqueeze(-1) * slope).reshape(x0.shape)
            due = (1 - time.clamp_max(k / self.num_steps)) * total
            step = (due - distance).unsqueeze(-1) * slope
            face, x, _ = walk(tri, face, x, step, crossings)
            distance, slope = self._slope(tri, face, x, goal)
        yield x.reshape(x0.shape), (-total.unsqueeze(-1) * slope).reshape(x0.shape)

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform by area: a face with probability its area, then uniform in it."""
        device = device or self.vertices.device
        numbers = torch.rand(*batch, 3, generator=generator, dtype=torch.float64, device=device)
        cumulative = self._triangles.areas.cumsum(0).to(device)
        face = torch.searchsorted(cumulative / cumulative[-1], numbers[..., 0].contiguous())
        side, share = numbers[..., 1].sqrt(), numbers[..., 2]
        weights = torch.stack([1 - side, side * (1 - share), side * share], -1)
        corners = self._triangles.corners.to(device)[face.clamp_max(self.faces.shape[0] - 1)]
        x = (weights.unsqueeze(-1) * corners).sum(-2)
        cast: Tensor = x.to(dtype or torch.get_default_dtype())
        return cast

    def log_uniform(self) -> float:
        """-log area."""
        return -math.log(self.area)

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The walk along a Gaussian vector in the plane of the face."""
        return self.expmap(x, random_like(x, self.point_shape, std, generator))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each point is on the surface, relative to its size."""
        check_point_shape(self, x)
        size = float((self.vertices.amax(0) - self.vertices.amin(0)).norm())
        gap = (x - self.projx(x)).square().sum(-1).sqrt() / size
        law = "distance to it/diameter"
        check_values(self, "points on", law, gap, 0.0, "project with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each vector lies in its face, relative to 1 + |u|."""
        check_tangent_shape(self, x, u)
        off = (u - self.proju(x, u)).square().sum(-1).sqrt() / (1 + u.square().sum(-1).sqrt())
        law = "normal part/(1 + |u|)"
        check_values(self, "tangent vectors of", law, off, 0.0, "project with proju")
