r"""The one interface of the ground floor: a Riemannian manifold as a frozen value.

A manifold is told by a handful of closed forms. For points x, y and a tangent vector u at x::

    exp_x(u)            where the geodesic from x with velocity u is after unit time
    log_x(y)            the velocity that reaches y in unit time, the shortest way
    dist(x, y)          |log_x(y)|_x
    transp(x, y, v)     v carried from x to y along that geodesic
    interpolant         x_t = exp_{x_0}(t log_{x_0} x_1)  and its velocity dx_t/dt

Points live in an ambient space: their trailing dimensions are ``point_shape``, everything
before is batch and broadcasts. A time ``t`` has the batch shape, with no trailing singletons.
Every method keeps the caller's dtype and device, never branches on data, compiles, and has
finite values and gradients at coincident and at antipodal points. Names follow geoopt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Manifold(ABC):
    """A Riemannian manifold; subclasses are frozen, hashable dataclasses such as ``Sphere(2)``.

    Attributes:
        dim: intrinsic dimension.
        point_shape: trailing shape of a point in the ambient space.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Intrinsic dimension."""

    @property
    @abstractmethod
    def point_shape(self) -> tuple[int, ...]:
        """Trailing shape of a point in the ambient space."""

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
        """Geodesic distance, batch shape."""

    @abstractmethod
    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """<u, v>_x, batch shape."""

    def norm(self, x: Tensor, u: Tensor) -> Tensor:
        """|u|_x, with a finite gradient at u = 0."""
        squared = self.inner(x, u, u)
        positive = squared > 0
        # The square root of a replaced 1 keeps the gradient of the unused branch finite.
        return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)

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
        """Wrapped normal: exp_x of an isotropic tangent Gaussian of deviation ``std``."""

    @abstractmethod
    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` that says which point is off the manifold and by how much."""

    @abstractmethod
    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` that says which vector is not tangent and by how much."""
