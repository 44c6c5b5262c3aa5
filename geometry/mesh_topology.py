r"""Which triangles meet where, and what a mesh must be to carry a geometry.

Edge k of a face lies opposite its corner k and runs from corner k + 1 to corner k + 2 (mod 3).
A surface is a set of triangles of positive area in which every edge belongs to one face (the
boundary) or two, and every vertex to some face.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Adjacency(NamedTuple):
    """The faces across the edges.

    Attributes:
        faces: face across edge k of face f, -1 at the boundary, ``(F, 3)``.
        edges: number of that edge within that face, ``(F, 3)``.
    """

    faces: Tensor
    edges: Tensor


def _edges(faces: Tensor) -> Tensor:
    """The two vertices of each edge, smaller first, ``(3 F, 2)``, face by face."""
    ends = torch.stack([faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]], -1)
    return ends.reshape(-1, 2).sort(-1).values


def adjacency(faces: Tensor) -> Adjacency:
    """Pair up the edges of ``(F, 3)`` vertex numbers; every edge has at most two faces."""
    ends = _edges(faces)
    order = torch.argsort(ends[:, 0] * (int(faces.max()) + 1) + ends[:, 1], stable=True)
    first, second = order[:-1], order[1:]
    same = (ends[first] == ends[second]).all(-1)
    first, second = first[same], second[same]
    across = torch.full((ends.shape[0],), -1, dtype=torch.long, device=faces.device)
    across[first], across[second] = second, first
    across = across.reshape(-1, 3)
    return Adjacency(torch.where(across < 0, -1, across // 3), across.clamp_min(0) % 3)


def _first(bad: Tensor) -> int:
    return int(bad.nonzero()[0, 0])


def check_mesh(vertices: Tensor, faces: Tensor) -> None:
    """Raise ``ValueError`` for what is not a surface, naming the vertex, edge or face.

    Args:
        vertices: ``(V, 3)``.
        faces: ``(F, 3)`` vertex numbers.

    Raises:
        ValueError: on shapes, dtypes, numbers out of range, vertices that are not finite or not
            used, faces without area or given twice, edges of more than two faces.
    """
    if vertices.ndim != 2 or vertices.shape[-1] != 3 or not vertices.is_floating_point():
        raise ValueError(
            f"expected Mesh vertices as floating-point (V, 3), "
            f"got {vertices.dtype} {tuple(vertices.shape)}"
        )
    if faces.ndim != 2 or faces.shape[-1] != 3 or not faces.shape[0] or faces.dtype != torch.long:
        raise ValueError(
            f"expected Mesh faces as int64 (F, 3) with F >= 1, "
            f"got {faces.dtype} {tuple(faces.shape)}; triangulate, convert with .long()"
        )
    _check_vertices(vertices, faces)
    _check_faces(vertices, faces)


def _check_vertices(vertices: Tensor, faces: Tensor) -> None:
    bad = ~vertices.isfinite().all(-1)
    if bad.any():
        raise ValueError(f"expected finite Mesh vertices, got vertex {_first(bad)} not finite")
    count = vertices.shape[0]
    bad = ((faces < 0) | (faces >= count)).any(-1)
    if bad.any():
        k = _first(bad)
        raise ValueError(
            f"expected Mesh faces of vertices 0 to {count - 1}, "
            f"got face {k} = {faces[k].tolist()}; number vertices from 0"
        )
    bad = torch.bincount(faces.reshape(-1), minlength=count) == 0
    if bad.any():
        raise ValueError(
            f"expected each Mesh vertex in a face, got vertex {_first(bad)} unreferenced; "
            f"remove it and renumber the faces"
        )


def _check_faces(vertices: Tensor, faces: Tensor) -> None:
    corners = vertices[faces].double()
    sides = corners.roll(-1, 1) - corners
    area = torch.linalg.cross(sides[:, 0], sides[:, 1]).square().sum(-1).sqrt() / 2
    bad = ~(area > 1e-12 * sides.square().sum((-2, -1)))
    if bad.any():
        k = _first(bad)
        raise ValueError(
            f"expected Mesh faces of positive area, got face {k} = {faces[k].tolist()} "
            f"of area {float(area[k]):.3g}; remove it or merge its vertices"
        )
    _, inverse, counts = faces.sort(-1).values.unique(
        dim=0, return_inverse=True, return_counts=True
    )
    bad = counts[inverse] > 1
    if bad.any():
        k = _first(bad)
        raise ValueError(
            f"expected each Mesh face once, got face {k} = {faces[k].tolist()} again; "
            f"remove the copies"
        )
    ends, counts = _edges(faces).unique(dim=0, return_counts=True)
    bad = counts > 2
    if bad.any():
        k = _first(bad)
        raise ValueError(
            f"expected Mesh edges of one or two faces, got edge {ends[k].tolist()} "
            f"of {int(counts[k])}; split the surface there"
        )
