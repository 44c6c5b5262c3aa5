r"""Conditional paths that must be simulated: a bank of them, all of their states trained on.

On a mesh the path of a pair (x_0, x_1) takes ``num_steps`` walks, as many as a whole row of
states t_k = k/num_steps along it. So paths are walked once, before training, and

    loss = |v(x_{t_k}, t_k) - u_{t_k}|^2 / dim

is averaged over k and over the bank. Each datum gets about equally many starts. Where the
gradient of the distance vanishes u has no bound; one in a hundred is cut to the length of the
next.
Source: Chen and Lipman 2024, section 3.2 and appendix, who also train on all states.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geometry.mesh import Mesh

from ..objectives import Batch
from ..riemannian import GeodesicFlow, PathPoint
from ..sampling import seeded_generator

BLOCK = 1024
"""Paths walked at once; it bounds the memory."""

KEY = 0x9A74
"""Tells the draws of the starts from those of training."""


@dataclass(frozen=True)
class StoredPaths:
    """The process's loss at states that are stored with their times and velocities.

    Attributes:
        process: judges predictions.
    """

    process: GeodesicFlow

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(batch,)``."""
        del generator  # all was drawn before
        target = PathPoint(batch["x_t"], batch["x_1"], batch["velocity"])
        return self.process.loss(model(target.x_t, batch["t"], None), target, batch["t"])


def simulate_paths(mesh: Mesh, x_1: Tensor, num_paths: int, seed: int) -> dict[str, Tensor]:
    """States of paths from uniform starts to ``x_1``, ``(N, 3)``, for :class:`StoredPaths`.

    Args:
        mesh: the surface.
        x_1: data.
        num_paths: how many paths; data are repeated in order until there are as many.
        seed: of the starts.

    Returns:
        ``x_t``, ``x_1``, ``velocity`` ``(num_paths * num_steps, 3)`` and ``t``.
    """
    generator = seeded_generator(seed, KEY)
    ends = x_1[torch.arange(num_paths) % len(x_1)]
    found = []
    for x in ends.split(BLOCK):
        start = mesh.random_uniform(len(x), generator=generator, dtype=x.dtype)
        points, velocities = mesh.trajectory(start, x)
        t = torch.arange(len(points), dtype=x.dtype) / len(points)
        t = t.unsqueeze(1).expand(points.shape[:2])
        found.append((points, x.expand_as(points), velocities, t))
    columns = zip(*found, strict=True)
    states = [torch.cat([part.flatten(0, 1) for part in column]) for column in columns]
    states[2] = _cut(states[2])
    return dict(zip(("x_t", "x_1", "velocity", "t"), states, strict=True))


def _cut(u: Tensor) -> Tensor:
    """Vectors ``(N, 3)``, none longer than the 99th percentile."""
    length = u.norm(dim=-1, keepdim=True)
    # Not quantile, which refuses many rows.
    longest = length.flatten().kthvalue(max(1, len(u) * 99 // 100)).values
    cut: Tensor = u * (longest / length.clamp_min(torch.finfo(u.dtype).tiny)).clamp_max(1)
    return cut
