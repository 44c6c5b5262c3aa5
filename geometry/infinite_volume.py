"""What manifolds of infinite volume have in common: no uniform law."""

from __future__ import annotations

import torch
from torch import Tensor

from .manifold import Manifold


class InfiniteVolume(Manifold):
    """A manifold on which nothing is uniform; draw from ``random_normal`` instead."""

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """There is no uniform law.

        Raises:
            ValueError: always; the volume is infinite.
        """
        raise ValueError(
            f"expected a manifold of finite volume, got {self}; draw from random_normal(x, std)"
        )

    def log_uniform(self) -> float:
        """There is no uniform law.

        Raises:
            ValueError: always; the volume is infinite.
        """
        raise ValueError(
            f"expected a manifold of finite volume, got {self}; its uniform law has no density"
        )
