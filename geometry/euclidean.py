r"""Flat spaces: R^{shape}, and its subspace of point clouds whose centre is at the origin.

Everything is affine::

    exp_x(u) = x + u,   log_x(y) = y - x,   x_t = x_0 + t (x_1 - x_0),   u_t = x_1 - x_0

so a linear subspace differs from the whole space by its projection alone. The subspace of
centred clouds {x in R^{n x d}: sum_i x_i = 0} is where densities invariant to translation live
(Koehler, Klein and Noe 2020, arXiv:2006.02425). With a mask, of clouds padded to one size, the
centre is that of the points that count, and the others stay at zero.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from .checks import check_batch, check_finite, check_size, check_values
from .lengths import expand, root
from .manifold import Manifold, check_point_shape, check_tangent_shape, random_like


class LinearSpace(Manifold):
    """A linear subspace of R^{point_shape}; a subclass says by ``projx`` which one."""

    @abstractmethod
    def projx(self, x: Tensor) -> Tensor:
        """The orthogonal projection onto the subspace."""

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """The orthogonal projection of ``u`` onto the subspace."""
        return self.projx(u)

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """The point x + u."""
        return x + u

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """The vector y - x."""
        return y - x

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Length of y - x, batch shape."""
        difference = y - x
        return root(self.inner(x, difference, difference))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Scalar product over all axes of the event, batch shape."""
        axes = len(self.point_shape)
        return (u * v).sum(tuple(range(-axes, 0))) if axes else u * v

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """``v`` itself."""
        return v

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The pair (x_0 + t (x_1 - x_0), x_1 - x_0)."""
        u = x1 - x0
        x_t = x0 + expand(t, len(self.point_shape)) * u
        return x_t, u.expand_as(x_t)

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Raise ``ValueError``: the volume is infinite."""
        raise ValueError(f"expected a manifold of finite volume, got {self}; use random_normal")

    def log_uniform(self) -> float:
        """Raise ``ValueError``: the volume is infinite."""
        raise ValueError(f"expected a manifold of finite volume, got {self}; use a normal law")

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """The point x plus a Gaussian of the subspace."""
        return x + self.projx(random_like(x, self.point_shape, std, generator))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each ``x`` is finite and in the subspace."""
        check_point_shape(self, x)
        self._check("points on", x, "project with projx")

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each ``u`` is finite and in the subspace."""
        check_tangent_shape(self, x, u)
        self._check("tangent vectors of", u, "project with proju")

    def _check(self, what: str, x: Tensor, mend: str) -> None:
        axes = len(self.point_shape)
        check_finite(self, what, x, axes)
        miss, size = (x - self.projx(x)).abs(), 1 + x.abs()
        for axis in range(-axes, 0):
            miss, size = miss.amax(axis, keepdim=True), size.amax(axis, keepdim=True)
        value = (miss / size).reshape(miss.shape[: miss.ndim - axes])
        check_values(self, what, "|x - projx(x)|/(1 + |x|)", value, 0.0, mend)


@dataclass(frozen=True, repr=False, init=False)
class Euclidean(LinearSpace):
    """R^{shape}; points ``(..., *shape)``.

    Raises:
        ValueError: a size is not a positive integer.

    Example:
        >>> space = Euclidean(5, 3)
        >>> space, space.dim
        (Euclidean(5, 3), 15)
    """

    shape: tuple[int, ...]

    def __init__(self, *shape: int) -> None:
        for n in shape:
            check_size("Euclidean", "n", n, 1)
        object.__setattr__(self, "shape", shape)

    @property
    def dim(self) -> int:
        """Product of the sizes."""
        return math.prod(self.shape)

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The sizes."""
        return self.shape

    def projx(self, x: Tensor) -> Tensor:
        """``x`` itself."""
        return x

    def __repr__(self) -> str:
        return f"Euclidean({', '.join(map(str, self.shape))})"


@dataclass(frozen=True, repr=False)
class CentredEuclidean(LinearSpace):
    """Clouds of ``n`` points in R^d with centre 0; points ``(..., n, d)``.

    Raises:
        ValueError: ``n`` is not an integer above 1, or ``d`` not a positive one.

    Example:
        >>> CentredEuclidean(3, 1).projx(torch.tensor([[1.0], [2.0], [6.0]])).flatten()
        tensor([-2., -1.,  3.])
    """

    n: int
    d: int

    def __post_init__(self) -> None:
        check_size("CentredEuclidean", "n", self.n, 2)
        check_size("CentredEuclidean", "d", self.d, 1)

    @property
    def dim(self) -> int:
        """Intrinsic dimension (n - 1) d."""
        return (self.n - 1) * self.d

    @property
    def point_shape(self) -> tuple[int, ...]:
        """``(n, d)``."""
        return (self.n, self.d)

    def projx(self, x: Tensor) -> Tensor:
        """The cloud less its centre."""
        return x - x.mean(-2, keepdim=True)


@dataclass(frozen=True, repr=False, eq=False)
class MaskedEuclidean(LinearSpace):
    """Clouds in R^d, padded to one size, whose points under a mask have centre 0.

    Points are ``(..., n, d)`` and vanish where the mask is false. The mask ``(..., n)``, boolean,
    is part of the space and broadcasts against the batch, so two such spaces are equal only if
    they are one object.

    Raises:
        ValueError: the mask is not a boolean tensor with at least one axis.

    Example:
        >>> space = MaskedEuclidean(torch.tensor([True, True, False]), 1)
        >>> space.projx(torch.tensor([[1.0], [3.0], [9.0]])).flatten()
        tensor([-1.,  1.,  0.])
    """

    mask: Tensor
    d: int

    def __post_init__(self) -> None:
        check_size("MaskedEuclidean", "d", self.d, 1)
        if self.mask.dtype != torch.bool or self.mask.ndim == 0:
            raise ValueError(
                f"expected MaskedEuclidean(mask) with a boolean mask (..., n), "
                f"got {self.mask.dtype} of shape {tuple(self.mask.shape)}; make one with x != 0"
            )

    @property
    def dim(self) -> int:
        """Intrinsic dimension, (points under the mask - 1) d, of the largest cloud."""
        points = self.mask.sum(-1)
        return max(int(points.max()) - 1, 0) * self.d if points.numel() else 0

    @property
    def point_shape(self) -> tuple[int, ...]:
        """``(n, d)``."""
        return (self.mask.shape[-1], self.d)

    def projx(self, x: Tensor) -> Tensor:
        """The cloud under the mask less its centre, and zero elsewhere."""
        mask = self.mask.to(x.dtype).unsqueeze(-1)
        x = torch.where(self.mask.unsqueeze(-1), x, 0.0)
        centre = x.sum(-2, keepdim=True) / mask.sum(-2, keepdim=True).clamp_min(1)
        return x - mask * centre

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless each ``x`` fits the mask, is finite and centred."""
        check_point_shape(self, x)
        check_batch(self, "points on", x, x.shape[:-2], self.mask.shape[:-1])
        self._check("points on", x, "project with projx")

    def __repr__(self) -> str:
        return f"MaskedEuclidean({tuple(self.mask.shape)}, {self.d})"
