r"""Which noise goes with which datum.

==========================  =============================================================
:class:`Independent`        any with any; the process draws for itself
:class:`OptimalTransport`   within a batch, the permutation s of least sum_b c(x_0[s_b], x_1[b])
:class:`Paired`             that which is stored with it, such as the start of a sampled path
==========================  =============================================================

Transport makes paths shorter and the marginal field straighter, while both ends keep their
laws: each noise of the batch is used once (drawing pairs from the plan with replacement would
lose a third of them). Data and their conditions stay in order, and the noise is permuted.
Source: Tong et al. 2024, "Minibatch optimal transport"; Pooladian et al. 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from geometry.manifold import Manifold

from .process import Process

Batch = Mapping[str, Tensor]
"""``x_1`` and what goes with it, the batch first."""

Cost = Callable[[Tensor, Tensor], Tensor]
"""Noise ``(n, ...)`` and data ``(n, ...)`` to the cost of each pair, ``(n, n)``, noise first."""


class Coupling(Protocol):
    """Chooses the noise of each datum."""

    def __call__(self, process: Process[Any], batch: Batch, generator: torch.Generator) -> Any:
        """x_0 in the order of the batch, or None where the process shall draw it."""
        ...


@dataclass(frozen=True)
class Independent:
    """Noise that knows nothing of the data."""

    def __call__(self, process: Process[Any], batch: Batch, generator: torch.Generator) -> None:
        """None: the process draws."""


@dataclass(frozen=True)
class Paired:
    """The noise stored in the batch.

    Attributes:
        name: its key.
    """

    name: str = "x_0"

    def __call__(self, process: Process[Any], batch: Batch, generator: torch.Generator) -> Tensor:
        """``batch[name]``.

        Raises:
            ValueError: the batch has none.
        """
        del process, generator
        if self.name not in batch:
            raise ValueError(
                f"expected batches with {self.name!r}, the noise of each datum, got {list(batch)}"
            )
        return batch[self.name]


@dataclass(frozen=True)
class SquaredDistance:
    """c = d(x_0, x_1)^2 on ``manifold``, summed over the points of a row.

    Example:
        >>> from geometry import FlatTorus
        >>> x_0, x_1 = torch.tensor([[0.0], [1.0]]), torch.tensor([[6.0], [3.0]])
        >>> SquaredDistance(FlatTorus(1))(x_0, x_1)
        tensor([[0.0802, 9.0000],
                [1.6466, 4.0000]])
    """

    manifold: Manifold

    def __call__(self, x_0: Tensor, x_1: Tensor) -> Tensor:
        """``(n, n)``, noise first."""
        squared = self.manifold.dist(x_0.unsqueeze(1), x_1.unsqueeze(0)).square()
        return squared.unsqueeze(-1).flatten(2).sum(-1)


@dataclass(frozen=True)
class OptimalTransport:
    """Exact transport within groups of a batch, by the Hungarian method on the CPU.

    Args:
        cost: of each pair, such as ``SquaredDistance(manifold)``.
        group: rows that are matched with one another; the time of n rows grows like n^3 (about
            0.1 s for 1024).

    Raises:
        ValueError: groups below one row; later, costs that are not finite numbers.
    """

    cost: Cost
    group: int = 512

    def __post_init__(self) -> None:
        if self.group < 1:
            raise ValueError(f"expected groups of at least 1 row, got {self.group}")

    def __call__(self, process: Process[Any], batch: Batch, generator: torch.Generator) -> Tensor:
        """Draws of the prior, permuted within each group of rows."""
        x_1 = batch["x_1"]
        dtype = x_1.dtype if x_1.is_floating_point() else None
        x_0 = process.sample_prior(x_1.shape, generator=generator, dtype=dtype, device=x_1.device)
        pairs = zip(x_0.split(self.group), x_1.split(self.group), strict=True)
        matched: Tensor = torch.cat([noise[self.match(noise, data)] for noise, data in pairs])
        return matched

    @torch.no_grad()
    def match(self, x_0: Tensor, x_1: Tensor) -> Tensor:
        """The permutation s: x_0[s[b]] goes with x_1[b], ``(n,)``."""
        return least_cost_permutation(self.cost(x_0, x_1))


def least_cost_permutation(cost: Tensor) -> Tensor:
    """The s of least sum_b cost[s[b], b], ``(n,)``, of costs ``(n, n)``; on the CPU.

    Raises:
        ValueError: for costs that are not finite numbers.

    Example:
        >>> least_cost_permutation(torch.tensor([[5.0, 1.0], [2.0, 4.0]]))
        tensor([1, 0])
    """
    from scipy.optimize import linear_sum_assignment

    if not cost.isfinite().all():
        raise ValueError("expected finite costs of transport, got NaN or inf; look at the data")
    _, chosen = linear_sum_assignment(cost.T.double().cpu().numpy())
    return torch.from_numpy(chosen).to(cost.device)
