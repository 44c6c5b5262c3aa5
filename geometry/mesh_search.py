r"""Which face a point belongs to.

A point p of face f lies in the ball of radius r_f about the middle c_f of that face, with r_f
the distance of its farthest corner. So the only candidates are the faces with |p - c_f| <= r_f,
the ones of least |p - c_f| - r_f, and there are never more than

    K = max_f #{g : |c_f - c_g| <= r_f + max r}

of them. ``nearest_face`` compares a point with every face, and is right for any point;
``FaceFinder`` compares it with K, and is right for points of the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .mesh_walk import Triangles

SLACK = 1.01
"""By how much radii are enlarged, for points that are on the surface up to rounding."""


def closest(corners: Tensor, slopes: Tensor, x: Tensor) -> Tensor:
    """The point of a triangle nearest to x.

    Args:
        corners: (..., 3, 3).
        slopes: (..., 3, 3).
        x: (..., 3).

    Returns:
        (..., 3): the foot of the perpendicular if it lies inside, else the best on an edge.
    """
    offset = x.unsqueeze(-2) - corners
    inside = (slopes * offset.roll(-1, -2)).sum(-1)
    foot = (inside.unsqueeze(-1) * corners).sum(-2)
    sides = corners.roll(-1, -2) - corners
    along = (offset * sides).sum(-1) / sides.square().sum(-1)
    on_edges = corners + along.clamp(0, 1).unsqueeze(-1) * sides
    best = (x.unsqueeze(-2) - on_edges).square().sum(-1).argmin(-1)
    index = best[..., None, None].expand(*best.shape, 1, 3)
    on_edge = on_edges.gather(-2, index).squeeze(-2)
    return torch.where((inside >= 0).all(-1, keepdim=True), foot, on_edge)


def squared_gaps(tri: Triangles, x: Tensor) -> Tensor:
    """Squared distances of points from faces, ``(N, 3) -> (N, F)``, up to rounding of |x|^2.

    The height above the plane of a face, the distance s_k from the line of an edge and how far
    e_k one is beyond its ends are affine in x: d^2 = h^2 + min_k(s_k^2 + e_k^2), or h^2 inside.
    """
    start, corner = tri.corners.roll(-1, 1), tri.corners[:, 0]
    side = tri.corners.roll(-2, 1) - start
    length = side.square().sum(-1).sqrt()
    inward = tri.slopes / tri.slopes.square().sum(-1, keepdim=True).sqrt()
    outside = x.new_full((x.shape[0], corner.shape[0]), torch.inf)
    inside = torch.ones_like(outside, dtype=torch.bool)
    for k in range(3):
        along = _affine(side[:, k] / length[:, k, None], start[:, k], x)
        across = _affine(inward[:, k], start[:, k], x)
        beyond = along - along.clamp_min(0).minimum(length[:, k])
        outside = outside.minimum(across.square() + beyond.square())
        inside = inside & (across >= 0)
    height = _affine(tri.normals, corner, x).square()
    return height + torch.where(inside, 0.0, outside)


def _affine(direction: Tensor, origin: Tensor, x: Tensor) -> Tensor:
    """<direction_f, x_n - origin_f>, ``(N, F)``."""
    return x @ direction.T - (direction * origin).sum(-1)


def nearest_face(tri: Triangles, x: Tensor, budget: int = 1 << 20) -> Tensor:
    """The face nearest to each x, ``(N, 3) -> (N,)``, the first of several.

    All pairs are compared, in chunks of at most ``budget`` of them.
    """
    chunk = max(1, budget // tri.corners.shape[0])
    parts = x.detach().split(chunk) if x.shape[0] else ()
    found = [squared_gaps(tri, part).argmin(-1) for part in parts]
    return torch.cat([x.new_zeros(0, dtype=torch.long), *found])


@dataclass(frozen=True)
class FaceFinder:
    """Finds the faces of points of the surface.

    Attributes:
        middles: of the faces, (F, 3).
        radii: of balls about them, (F,).
        num_candidates: K, at most F.
    """

    middles: Tensor
    radii: Tensor
    num_candidates: int

    @classmethod
    def of(cls, tri: Triangles) -> FaceFinder:
        """The finder of a mesh; counts neighbours once, with a tree of the middles."""
        from scipy.spatial import cKDTree

        middles = tri.corners.mean(1)
        radii = SLACK * (tri.corners - middles.unsqueeze(1)).square().sum(-1).amax(-1).sqrt()
        points, reach = middles.cpu().numpy(), (radii + radii.max()).cpu().numpy()
        counts = cKDTree(points).query_ball_point(points, reach, return_length=True)
        return cls(middles, radii, int(counts.max()))

    def __call__(self, tri: Triangles, x: Tensor, budget: int = 1 << 22) -> Tensor:
        """The face of each x, ``(N, 3) -> (N,)``; the nearest candidate off the surface."""
        chunk = max(1, budget // len(self.radii))
        parts = x.detach().split(chunk) if x.shape[0] else ()
        found = [self._find(tri, part) for part in parts]
        return torch.cat([x.new_zeros(0, dtype=torch.long), *found])

    def _find(self, tri: Triangles, x: Tensor) -> Tensor:
        bound = torch.cdist(x, self.middles.to(x)) - self.radii.to(x)
        chosen = bound.topk(self.num_candidates, -1, largest=False, sorted=False).indices
        p = x.unsqueeze(1)
        gap = (p - closest(tri.corners[chosen], tri.slopes[chosen], p)).square().sum(-1)
        return chosen.gather(1, gap.argmin(-1, keepdim=True)).squeeze(1)
