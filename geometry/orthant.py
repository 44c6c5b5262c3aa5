r"""Square roots of distributions: the part of the unit sphere without negative numbers.

The points are y = sqrt(p) with p on the simplex, the metric is the sphere's (see ``slerp``), so
that lengths are half of those of ``Simplex(K)``. Geodesics between points stay inside and, being
at most a quarter turn long, are never singular. A geodesic shot beyond the boundary is
reflected: its numbers lose their signs. The uniform law is that of |g|/|g|_2 with g Gaussian::

    volume = 2^{1-K} pi^{K/2} / Gamma(K/2)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_size, check_values
from .lengths import dot, length
from .slerp import Frame, frame, shoot
from .sphere import UnitVectors, log_area


@dataclass(frozen=True, repr=False)
class PositiveOrthant(UnitVectors):
    """Unit vectors of ``K`` numbers, none negative; points ``(..., K)``.

    Raises:
        ValueError: ``K`` is not an integer above 1.

    Example:
        >>> PositiveOrthant(2).dist(*torch.eye(2))
        tensor(1.5708)
    """

    K: int

    def __post_init__(self) -> None:
        check_size("PositiveOrthant", "K", self.K, 2)

    @property
    def dim(self) -> int:
        """Intrinsic dimension K - 1."""
        return self.K - 1

    @property
    def point_shape(self) -> tuple[int, ...]:
        """``(K,)``."""
        return (self.K,)

    def projx(self, x: Tensor) -> Tensor:
        """Negative numbers set to 0, then scaled to length 1."""
        x = x.clamp_min(0)
        return x / length(dot(x, x)).unsqueeze(-1)

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """The point |cos r x + sin(r)/r u|, number by number, with r = |u|."""
        return shoot(x, u).abs()

    def _frame(self, x: Tensor, y: Tensor) -> Frame:
        return frame(y + x, y - x)

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Square roots of Dirichlet(1/2, ..., 1/2): ``batch + (K,)``."""
        shape = (*batch, self.K)
        gauss = torch.randn(shape, generator=generator, dtype=dtype, device=device)
        return self.projx(gauss.abs())

    def log_uniform(self) -> float:
        """Log of 2^K over the area of the sphere."""
        return self.K * math.log(2) - log_area(self.K - 1)

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each |x| is 1 and no number is negative."""
        super().check_point(x)
        least = x.amin(-1).clamp_max(0)
        check_values(self, "points on", "min(x, 0)", least, 0.0, "project with projx")
