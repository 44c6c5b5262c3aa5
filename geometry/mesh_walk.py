r"""Straight lines on a triangulated surface.

A geodesic is straight inside a face and straight across an edge once the two faces are unfolded
into one plane (Polthier and Schmies, 1998). With e the unit edge, m_f the unit vector in face f
that is orthogonal to the edge and points into f, and m_g the same in the next face g::

    u  ->  <u, e> e - <u, m_f> m_g

so lengths and angles with the edge are conserved. Inside a face the barycentric coordinates
l_k(x) fall linearly along the walk, and the edge k left first is the one with the least
l_k/(-dl_k). At a boundary the walk slides: u loses its part along m_f, and goes on along the
edge with what is left, around corners too. All of this is vectorised over points, with a fixed
number of crossings.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .mesh_topology import Adjacency, adjacency


class Triangles(NamedTuple):
    """A mesh, face by face.

    Attributes:
        corners: ``(F, 3, 3)``.
        slopes: gradients of the barycentric coordinates, ``(F, 3, 3)``.
        normals: unit normals, ``(F, 3)``.
        areas: ``(F,)``.
        across: what lies behind each edge.
    """

    corners: Tensor
    slopes: Tensor
    normals: Tensor
    areas: Tensor
    across: Adjacency

    def to(self, x: Tensor) -> Triangles:
        """The same in the dtype and on the device of ``x``."""
        across = Adjacency(*(part.to(x.device) for part in self.across))
        corners, slopes, normals, areas = (part.to(x) for part in self[:4])
        return Triangles(corners, slopes, normals, areas, across)


def triangles(vertices: Tensor, faces: Tensor) -> Triangles:
    """Faces of ``(V, 3)`` vertices and ``(F, 3)`` numbers: slopes (n x e_k)/(2 area)."""
    corners = vertices[faces]
    opposite = corners.roll(-2, 1) - corners.roll(-1, 1)
    normals = torch.linalg.cross(opposite[:, 0], opposite[:, 1])
    double = normals.square().sum(-1, keepdim=True).sqrt()
    normals = normals / double
    slopes = torch.linalg.cross(normals.unsqueeze(1).expand_as(opposite), opposite)
    return Triangles(
        corners, slopes / double.unsqueeze(-1), normals, double.squeeze(-1) / 2, adjacency(faces)
    )


def barycentric(tri: Triangles, face: Tensor, x: Tensor) -> Tensor:
    """l_k = <slope_k, x - c_(k+1)>, ``(N,), (N, 3) -> (N, 3)``."""
    from_next = x.unsqueeze(-2) - tri.corners[face].roll(-1, -2)
    return (tri.slopes[face] * from_next).sum(-1)


def _across(tri: Triangles, face: Tensor, edge: Tensor, u: Tensor) -> tuple[Tensor, ...]:
    """Unfold over an edge: the next face, the edge in it, and u turned into it.

    Behind a boundary is the same face, and u slides.
    """
    behind = tri.across.faces[face, edge]
    wall = behind < 0
    next_face = torch.where(wall, face, behind)
    entry = torch.where(wall, edge, tri.across.edges[face, edge])
    m_f = tri.slopes[face, edge]
    m_g = tri.slopes[next_face, entry]
    m_f = m_f / m_f.square().sum(-1, keepdim=True).sqrt()
    m_g = m_g / m_g.square().sum(-1, keepdim=True).sqrt()
    depth = (u * m_f).sum(-1, keepdim=True)
    turned = u - depth * m_f
    return next_face, entry, torch.where(wall.unsqueeze(-1), turned, turned - depth * m_g)


def walk(
    tri: Triangles, face: Tensor, x: Tensor, u: Tensor, crossings: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Follow u from x straight for unit time, over at most ``crossings`` edges.

    Args:
        tri: the mesh.
        face: where x lies, (N,).
        x: (N, 3).
        u: tangent to that face, (N, 3).
        crossings: bound on the edges crossed; a longer walk stops on the way.

    Returns:
        The face reached, the point, and u there; shorter after sliding along a boundary.
    """
    left = torch.ones_like(x[:, 0])
    entry = torch.full_like(face, -1)
    numbers = torch.arange(3, device=face.device)
    for _ in range(crossings + 1):
        rate = (tri.slopes[face] * u.unsqueeze(-2)).sum(-1)
        leaving = (rate < 0) & (numbers != entry.unsqueeze(-1))
        height = barycentric(tri, face, x).clamp_min(0)
        times = torch.where(leaving, height / torch.where(leaving, -rate, 1.0), torch.inf)
        time, edge = times.min(-1)
        crosses = time < left
        step = torch.where(crosses, time, left)
        x = x + step.unsqueeze(-1) * u
        next_face, next_entry, turned = _across(tri, face, edge, u)
        left = left - step
        u = torch.where(crosses.unsqueeze(-1), turned, u)
        entry = torch.where(crosses, next_entry, entry)
        face = torch.where(crosses, next_face, face)
    return face, x, u
