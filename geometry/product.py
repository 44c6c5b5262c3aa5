r"""Products of manifolds, M_1 x ... x M_k, flattened along the last axis.

A point is the concatenation of its parts, each flattened to one axis; everything is done part
by part, and the metric is a weighted sum::

    <u, v> = sum_i w_i <u_i, v_i>,   dist^2 = sum_i w_i dist_i^2
    volume = prod_i w_i^{dim_i / 2} volume_i

Weights change lengths, and with them densities and the deviation of normal laws in each part,
but no geodesic. Where the parts of a state are better kept apart, in a mapping of named tensors,
use the factors themselves; ``split`` and ``join`` go between the two.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .lengths import root
from .manifold import Manifold, check_point_shape, check_tangent_shape


class Factored(Manifold):
    """A product of ``factors``, to be given by a subclass together with their ``weights``."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Manifold, ...]:
        """The factors, in order."""

    @property
    @abstractmethod
    def part_weights(self) -> tuple[float, ...]:
        """Weight of each factor's metric."""

    @property
    def dim(self) -> int:
        """Sum of the dimensions."""
        return sum(part.dim for part in self.parts)

    @property
    def point_shape(self) -> tuple[int, ...]:
        """One axis: the sizes of the parts' points together."""
        return (sum(math.prod(part.point_shape) for part in self.parts),)

    @property
    def tangent_shape(self) -> tuple[int, ...]:
        """One axis: the sizes of the parts' tangent vectors together."""
        return (sum(math.prod(part.tangent_shape) for part in self.parts),)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """The parts of points ``(..., n)``, each in its own trailing shape."""
        return _split(x, [part.point_shape for part in self.parts])

    def split_tangent(self, u: Tensor) -> tuple[Tensor, ...]:
        """The parts of tangent vectors ``(..., m)``, each in its own trailing shape."""
        return _split(u, [part.tangent_shape for part in self.parts])

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Points from their parts, whose batch shapes broadcast: ``(..., n)``."""
        return _join(parts, [part.point_shape for part in self.parts])

    def join_tangent(self, parts: Sequence[Tensor]) -> Tensor:
        """Tangent vectors from their parts: ``(..., m)``."""
        return _join(parts, [part.tangent_shape for part in self.parts])

    def projx(self, x: Tensor) -> Tensor:
        """Each part projected."""
        return self.join([m.projx(a) for m, a in self._points(x)])

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """Each part projected."""
        return self.join_tangent([m.proju(a, b) for m, a, b in self._vectors(x, u)])

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """Each part's exp."""
        return self.join([m.expmap(a, b) for m, a, b in self._vectors(x, u)])

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """Each part's log."""
        return self.join_tangent([m.logmap(a, b) for m, a, b in self._pairs(x, y)])

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Square root of the weighted sum of squared distances, batch shape."""
        return root(self._weigh([m.dist(a, b).square() for m, a, b in self._pairs(x, y)]))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Weighted sum of the parts' scalar products, batch shape."""
        triples = zip(self._vectors(x, u), self.split_tangent(v), strict=True)
        return self._weigh([m.inner(a, b, c) for (m, a, b), c in triples])

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Each part carried along its own geodesic."""
        triples = zip(self._pairs(x, y), self.split_tangent(v), strict=True)
        return self.join_tangent([m.transp(a, b, c) for (m, a, b), c in triples])

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(x_t, dx_t/dt), each part's with the same ``t``."""
        both = [m.interpolant(a, b, t) for m, a, b in self._pairs(x0, x1)]
        return self.join([x for x, _ in both]), self.join_tangent([u for _, u in both])

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Independent uniform parts: ``batch + (n,)``."""
        draws = [
            m.random_uniform(*batch, generator=generator, dtype=dtype, device=device)
            for m in self.parts
        ]
        return self.join(draws)

    def log_uniform(self) -> float:
        """Sum of the parts', less dim_i/2 log w_i for the scaled volumes."""
        pairs = zip(self.parts, self.part_weights, strict=True)
        return sum(m.log_uniform() - m.dim / 2 * math.log(w) for m, w in pairs)

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Independent normal parts, of deviation std/sqrt(w_i) in the part's own metric."""
        pairs = zip(self._points(x), self.part_weights, strict=True)
        return self.join([m.random_normal(a, std / w**0.5, generator) for (m, a), w in pairs])

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` that says which part is off its manifold."""
        check_point_shape(self, x)
        for i, (m, a) in enumerate(self._points(x)):
            try:
                m.check_point(a)
            except ValueError as error:
                raise ValueError(f"part {i} of {self}: {error}") from None

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` that says which part is not tangent."""
        check_tangent_shape(self, x, u)
        for i, (m, a, b) in enumerate(self._vectors(x, u)):
            try:
                m.check_tangent(a, b)
            except ValueError as error:
                raise ValueError(f"part {i} of {self}: {error}") from None

    def _points(self, x: Tensor) -> list[tuple[Manifold, Tensor]]:
        return list(zip(self.parts, self.split(x), strict=True))

    def _pairs(self, x: Tensor, y: Tensor) -> list[tuple[Manifold, Tensor, Tensor]]:
        return list(zip(self.parts, self.split(x), self.split(y), strict=True))

    def _vectors(self, x: Tensor, u: Tensor) -> list[tuple[Manifold, Tensor, Tensor]]:
        return list(zip(self.parts, self.split(x), self.split_tangent(u), strict=True))

    def _weigh(self, terms: Sequence[Tensor]) -> Tensor:
        weighted = [w * term for w, term in zip(self.part_weights, terms, strict=True)]
        return torch.stack(torch.broadcast_tensors(*weighted), -1).sum(-1)


@dataclass(frozen=True, repr=False, init=False)
class Product(Factored):
    """Product of any manifolds, with a positive weight for each one's metric (default 1).

    Raises:
        ValueError: there is no factor, or the weights are not one positive number a factor.

    Example:
        >>> from geometry import FlatTorus, Sphere
        >>> product = Product(Sphere(2), FlatTorus(3), weights=(1.0, 0.5))
        >>> product, product.dim, product.point_shape
        (Product(Sphere(2), FlatTorus(3), weights=(1.0, 0.5)), 5, (6,))
        >>> [part.shape for part in product.split(torch.zeros(7, 6))]
        [torch.Size([7, 3]), torch.Size([7, 3])]
    """

    factors: tuple[Manifold, ...]
    weights: tuple[float, ...]

    def __init__(self, *factors: Manifold, weights: Sequence[float] | None = None) -> None:
        if not factors or not all(isinstance(m, Manifold) for m in factors):
            raise ValueError(f"expected Product(*factors) of one or more manifolds, got {factors}")
        chosen = (1.0,) * len(factors) if weights is None else tuple(map(float, weights))
        if len(chosen) != len(factors) or not all(0 < w < math.inf for w in chosen):
            raise ValueError(
                f"expected {len(factors)} positive weights, one a factor, got {weights}"
            )
        object.__setattr__(self, "factors", factors)
        object.__setattr__(self, "weights", chosen)

    @property
    def parts(self) -> tuple[Manifold, ...]:
        """The factors, in order."""
        return self.factors

    @property
    def part_weights(self) -> tuple[float, ...]:
        """Weight of each factor's metric."""
        return self.weights

    def __repr__(self) -> str:
        weights = "" if set(self.weights) == {1.0} else f", weights={self.weights}"
        return f"Product({', '.join(map(repr, self.factors))}{weights})"


def _split(x: Tensor, shapes: Sequence[tuple[int, ...]]) -> tuple[Tensor, ...]:
    sizes = [math.prod(shape) for shape in shapes]
    pieces = zip(x.split(sizes, -1), shapes, strict=True)
    return tuple(a if len(s) == 1 else a.reshape(a.shape[:-1] + s) for a, s in pieces)


def _join(parts: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> Tensor:
    flat = [
        a.reshape((*a.shape[: a.ndim - len(s)], math.prod(s)))
        for a, s in zip(parts, shapes, strict=True)
    ]
    batch = torch.broadcast_shapes(*(a.shape[:-1] for a in flat))
    return torch.cat([a.expand(*batch, a.shape[-1]) for a in flat], -1)
