r"""The uniform law of a manifold of finite volume; on a group, Haar measure.

    p(x) = 1 / vol(M)        with respect to the Riemannian volume

On SO(3) this is -log 8 pi^2; with respect to normalised Haar measure the log density is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..manifold import Manifold
from .distribution import Distribution


@dataclass(frozen=True)
class Uniform(Distribution):
    """The uniform law on ``manifold``.

    Raises ``ValueError`` if the volume is infinite.

    >>> from geometry.sphere import Sphere
    >>> Uniform(Sphere(2))
    Uniform(Sphere(2))
    >>> Uniform(Sphere(2)).log_prob(torch.tensor([0.0, 0.0, 1.0]))
    tensor(-2.5310)
    """

    manifold: Manifold

    def __post_init__(self) -> None:
        self.manifold.log_uniform()

    def sample(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw points, ``(*batch, *point_shape)``."""
        return self.manifold.random_uniform(
            *batch, generator=generator, dtype=dtype, device=device
        )

    def log_prob(self, x: Tensor) -> Tensor:
        """-log vol(M) for each point ``(..., *point_shape)``; Riemannian volume, ``(...)``."""
        batch = x.shape[: x.ndim - len(self.manifold.point_shape)]
        return x.new_full(batch, self.manifold.log_uniform())

    def __repr__(self) -> str:
        return f"Uniform({self.manifold})"
