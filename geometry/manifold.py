r"""The one interface of the ground floor: a Riemannian manifold as a frozen value.

A manifold is told by a handful of closed forms. For points x, y and a tangent vector u at x::

    exp_x(u)            where the geodesic from x with velocity u is after unit time
    log_x(y)            the velocity that reaches y in unit time, the shortest way
    dist(x, y)          |log_x(y)|_x
    transp(x, y, v)     v carried from x to y along that geodesic
    interpolant         x_t = exp_{x_0}(t log_{x_0} x_1)  and its velocity dx_t/dt

Points live in an ambient space: their trailing dimensions are ``point_shape``, everything
before is batch and broadcasts. Tangent vectors have the trailing shape ``tangent_shape``, which
differs only on Lie groups (SO3: quaternions of 4 numbers, angular velocities of 3). A time ``t``
has the batch shape, with no trailing singletons. Every method keeps the caller's dtype and
device, never branches on data, compiles, and has finite values and gradients at coincident and
at antipodal points. Names follow geoopt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass

import torch
from torch import Tensor

from .checks import check_batch, check_match, check_shape
from .lengths import root


class Manifold(ABC):
    """A Riemannian manifold; subclasses are frozen, hashable dataclasses such as ``Sphere(2)``.

    Attributes:
        dim: intrinsic dimension.
        point_shape: trailing shape of a point in the ambient space.
        tangent_shape: trailing shape of a tangent vector.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Intrinsic dimension."""

    @property
    @abstractmethod
    def point_shape(self) -> tuple[int, ...]:
        """Trailing shape of a point in the ambient space."""

    @property
    def tangent_shape(self) -> tuple[int, ...]:
        """Trailing shape of a tangent vector; the point's, unless the manifold is a group."""
        return self.point_shape

    @abstractmethod
    def projx(self, x: Tensor) -> Tensor:
        """The nearest point of the manifold."""

    @abstractmethod
    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """The nearest tangent vector at ``x``."""

    @abstractmethod
    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """exp_x(u)."""

    @abstractmethod
    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """log_x(y), of least norm; at the cut locus one of the shortest."""

    @abstractmethod
    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Geodesic distance, batch shape; exactly zero for identical points."""

    @abstractmethod
    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """<u, v>_x, batch shape."""

    def norm(self, x: Tensor, u: Tensor) -> Tensor:
        """|u|_x, batch shape, with a finite gradient at u = 0."""
        return root(self.inner(x, u, u))

    @abstractmethod
    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """``v`` at ``x`` carried in parallel to ``y`` along the shortest geodesic."""

    @abstractmethod
    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """(x_t, dx_t/dt) on the geodesic from ``x0`` to ``x1``, in one fused closed form."""

    def geodesic(self, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
        """x_t on the geodesic from ``x0`` to ``x1``."""
        return self.interpolant(x0, x1, t)[0]

    @abstractmethod
    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform points; raises ``ValueError`` where the volume is infinite."""

    @abstractmethod
    def log_uniform(self) -> float:
        """Log density of ``random_uniform`` with respect to the Riemannian volume."""

    @abstractmethod
    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Wrapped normal: exp_x of an isotropic tangent Gaussian of deviation ``std``.

        ``std`` is a number or a tensor that broadcasts against the batch shape.
        """

    @abstractmethod
    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` that says which point is off the manifold and by how much."""

    @abstractmethod
    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` that says which vector is not tangent and by how much."""

    def __repr__(self) -> str:
        values = (getattr(self, f.name) for f in fields(self)) if is_dataclass(self) else ()
        return f"{type(self).__name__}({', '.join(map(repr, values))})"


def check_point_shape(manifold: Manifold, x: Tensor) -> None:
    """Raise ``ValueError`` unless ``x`` is a floating tensor of the manifold's point shape."""
    check_shape(manifold, "points on", x, manifold.point_shape)


def check_tangent_shape(manifold: Manifold, x: Tensor, u: Tensor) -> None:
    """Raise ``ValueError`` unless ``u`` can be tangent at ``x``: shape, dtype and device."""
    check_point_shape(manifold, x)
    check_shape(manifold, "tangent vectors of", u, manifold.tangent_shape)
    check_match(manifold, x, u)
    batch = u.shape[: u.ndim - len(manifold.tangent_shape)]
    points = x.shape[: x.ndim - len(manifold.point_shape)]
    check_batch(manifold, "tangent vectors of", u, batch, points)


def random_like(
    x: Tensor,
    shape: tuple[int, ...],
    std: Tensor | float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Gaussian numbers of deviation ``std``, in the batch shape, dtype and device of ``x``.

    Args:
        x: points whose last ``len(shape)`` axes are the event.
        shape: trailing shape of the result.
        std: a number, or a tensor that broadcasts against the batch shape.
        generator: where the numbers come from.
    """
    batch = x.shape[: x.ndim - len(shape)]
    if isinstance(std, Tensor):
        batch = torch.broadcast_shapes(batch, std.shape)
        std = std.reshape(std.shape + (1,) * len(shape))
    noise = torch.randn((*batch, *shape), generator=generator, dtype=x.dtype, device=x.device)
    return noise * std
