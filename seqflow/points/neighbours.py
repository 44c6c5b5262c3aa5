"""Which points of a set are nearest, by the chord of the embedding (``kernels.embed``)."""

from __future__ import annotations

import torch
from torch import Tensor

from geometry.manifold import Manifold

from .kernels import PAIRS, embed


def nearest(manifold: Manifold, centres: Tensor, x: Tensor, count: int) -> Tensor:
    """The ``count`` centres with the least chord to each point, ``(N, count)``, nearest first."""
    e, c = embed(manifold, x), embed(manifold, centres)
    rows = max(1, PAIRS // len(centres))
    return torch.cat([(part @ c.T).topk(count, -1).indices for part in e.split(rows)])


def neighbours(manifold: Manifold, points: Tensor, count: int) -> Tensor:
    """The ``count`` others nearest to each point, ``(n, count)``; a duplicate is another."""
    near = nearest(manifold, points, points, count + 1)
    own = near == torch.arange(len(near), device=near.device).unsqueeze(1)
    own[:, -1] |= ~own.any(1)  # among many duplicates the point itself may not be found
    return near[~own].reshape(len(near), count)
