r"""Any space of geomstats as a Manifold: the fall-back for what has no closed form here.

geomstats (Miolane et al., 2020) holds about 50 spaces. Its conventions differ: ``exp(u, x)``,
``log(y, x)``, ``inner_product(u, v, x)``; and it is not contained. It chooses one backend for
the process from GEOMSTATS_BACKEND at import, sets torch's default dtype to float64, creates
constants on the CPU only, and release 2.8.0 does not import with numpy 2.4. Here

* the import sets the variable and restores it, and the default dtype with it
  (``geomstats_module``, in ``geomstats_import``);
* every call runs in float64 and hands back the caller's dtype, under a default dtype that is
  restored after it; tensors elsewhere than on the CPU are refused;
* batches are flattened to geomstats' single one.

The velocity of a geodesic is the parallel transport of its logarithm where geomstats knows
transport in closed form, the forward-mode derivative of exp where it knows exp, and a central
difference over 2e-4 in time where it integrates. No second derivatives, no ``compile``.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._refusals import refuse_where
from .checks import tolerance
from .geomstats_import import check_backend, float64_default, random_state
from .geomstats_import import geomstats_module as geomstats_module
from .lengths import expand
from .manifold import Manifold, check_point_shape, check_tangent_shape

_STEP = 1e-4


@dataclass(frozen=True, repr=False)
class GeomstatsManifold(Manifold):
    """A geomstats space behind our interface, equal only to itself.

    Args:
        space: an equipped space, e.g. ``Hypersphere(2)``, built on the pytorch backend.

    Raises:
        ValueError: ``space`` has no metric, or geomstats is on another backend.

    Example:
        >>> hyperspheres = geomstats_module("geomstats.geometry.hypersphere")
        >>> M = GeomstatsManifold.build(hyperspheres.Hypersphere, 2)
        >>> x, y = torch.eye(3)[:2]
        >>> M.dist(x, y)
        tensor(1.5708)
    """

    space: Any

    def __post_init__(self) -> None:
        if not hasattr(self.space, "metric") or not hasattr(self.space, "dim"):
            raise ValueError(
                f"expected a geomstats space with a metric, got {type(self.space).__name__}; "
                f"call its equip_with_metric() first"
            )
        check_backend()

    @classmethod
    def build(cls, space: Callable[..., Any], *args: Any, **kwargs: Any) -> GeomstatsManifold:
        """``GeomstatsManifold(space(*args, **kwargs))``, its constants made in float64."""
        with float64_default():
            return cls(space(*args, **kwargs))

    def __repr__(self) -> str:
        return f"GeomstatsManifold({type(self.space).__name__}, dim={self.space.dim})"

    @property
    def dim(self) -> int:
        """The space's."""
        return int(self.space.dim)

    @property
    def point_shape(self) -> tuple[int, ...]:
        """The space's."""
        return tuple(self.space.shape)

    def _ask(self, owner: Any, name: str, points: list[Tensor], named: dict[str, Tensor]) -> Any:
        """``owner.name(*points, **named)`` in float64; what is missing is a ``ValueError``."""
        function = getattr(owner, name, None)
        if function is None:
            raise ValueError(f"expected a space with {name}, got {self}, which has none")
        try:
            with float64_default():
                return function(*points, **named)
        except (NotImplementedError, ValueError) as error:
            raise ValueError(
                f"expected {name} on {self}, got from geomstats: {error} "
                f"Equip the space with another metric or solver"
            ) from error

    def _call(self, owner: Any, name: str, *points: Tensor, **keywords: Tensor) -> Tensor:
        """``owner.name(*points, **keywords)`` on flat float64 batches, cast and shaped back."""
        tensors = (*points, *keywords.values())
        for x in tensors:
            if x.device.type != "cpu":
                raise ValueError(
                    f"expected tensors of {self} on the CPU, got {x.device}; use .cpu()"
                )
        axes = len(self.point_shape)
        batch = torch.broadcast_shapes(*(x.shape[: x.ndim - axes] for x in tensors))
        flat = [
            x.double().expand(*batch, *self.point_shape).reshape(-1, *self.point_shape)
            for x in tensors
        ]
        if not flat[0].shape[0]:
            scalar = name in ("dist", "inner_product")
            return tensors[0].new_zeros(batch if scalar else (*batch, *self.point_shape))
        named = dict(zip(keywords, flat[len(points) :], strict=True))
        value = torch.as_tensor(self._ask(owner, name, flat[: len(points)], named))
        return value.reshape((*batch, *value.shape[1:])).to(tensors[0].dtype)

    def projx(self, x: Tensor) -> Tensor:
        """``projection(x)``."""
        return self._call(self.space, "projection", x)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """``to_tangent(u, x)``."""
        return self._call(self.space, "to_tangent", u, x)

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """``exp(u, x)``."""
        return self._call(self.space.metric, "exp", u, x)

    def logmap(self, x: Tensor, y: Tensor) -> Tensor:
        """``log(y, x)``."""
        return self._call(self.space.metric, "log", y, x)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """``dist(x, y)``."""
        return self._call(self.space.metric, "dist", x, y)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """``inner_product(u, v, x)``."""
        return self._call(self.space.metric, "inner_product", u, v, x)

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """``parallel_transport(v, x, end_point=y)``."""
        return self._call(self.space.metric, "parallel_transport", v, x, end_point=y)

    def _closed(self, name: str) -> bool:
        """Whether the metric overrides geomstats' generic, numerical or missing, ``name``."""
        generic = importlib.import_module("geomstats.geometry.connection").Connection
        return getattr(type(self.space.metric), name, None) is not getattr(generic, name)

    def interpolant(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t = exp_{x0}(t log) and its velocity, in one of the three ways told above.

        Args:
            x0: (..., *point_shape).
            x1: (..., *point_shape).
            t: (...).

        Returns:
            x_t and u_t, (..., *point_shape), in the dtype of ``x0``.
        """
        start, log, dtype = x0.double(), self.logmap(x0.double(), x1.double()), x0.dtype

        def path(s: Tensor) -> Tensor:
            return self.expmap(start, expand(s, len(self.point_shape)) * log)

        x_t, u_t = self._velocity(path, start, log, t.double())
        return x_t.to(dtype), u_t.to(dtype)

    def _velocity(
        self, path: Callable[[Tensor], Tensor], start: Tensor, log: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A point of the path and its derivative, in the best way the metric offers."""
        if self._closed("parallel_transport"):
            x_t = path(t)
            with suppress(ValueError):  # pulled-back metrics may turn out to have none
                return x_t, self.transp(start, x_t, log)
        if self._closed("exp"):
            x_t, u_t = torch.func.jvp(path, (t,), (torch.ones_like(t),))[:2]
            # geomstats divides 0 by 0 in the derivative of some exp at the start.
            start_here = expand(t, len(self.point_shape)) == 0
            return x_t, torch.where(start_here, log, u_t)
        return path(t), (path(t + _STEP) - path(t - _STEP)) / (2 * _STEP)

    def random_uniform(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """``random_uniform(n)`` where the space has one.

        Raises:
            ValueError: the space has none, or ``device`` is not the CPU.
        """
        if not hasattr(self.space, "random_uniform"):
            raise ValueError(
                f"expected a space of finite volume with random_uniform, got {self}; "
                f"draw from random_normal(x, std)"
            )
        if device is not None and torch.device(device).type != "cpu":
            raise ValueError(f"expected {self} on the CPU, got {device}; move the points after")
        count = math.prod(batch)
        with float64_default(), random_state(generator):
            x = self.space.random_uniform(max(count, 1)).reshape(-1, *self.point_shape)[:count]
        points: Tensor = x.reshape(*batch, *self.point_shape)
        return points.to(dtype or torch.get_default_dtype())

    def log_uniform(self) -> float:
        """Unknown: geomstats does not tell volumes.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"expected a manifold of known, finite volume, got {self}; geomstats tells no volumes"
        )

    def random_normal(
        self, x: Tensor, std: Tensor | float, generator: torch.Generator | None = None
    ) -> Tensor:
        """exp_x(B G^(+1/2) eps): isotropic; B the projected axes, G their Gram matrix."""
        size, batch = math.prod(self.point_shape), x.shape[: x.ndim - len(self.point_shape)]
        axes = torch.eye(size, dtype=torch.float64).reshape(size, *self.point_shape)
        point = x.detach().double().unsqueeze(len(batch))
        basis = self.proju(point, axes)
        gram = self.inner(
            point.unsqueeze(len(batch)),
            basis.unsqueeze(len(batch)),
            basis.unsqueeze(len(batch) + 1),
        )
        values, vectors = torch.linalg.eigh(gram)
        # An orthonormal frame has dim members; the rest of the spectrum is rounding.
        root = (1 / values[..., size - self.dim :].sqrt()).unsqueeze(-2)
        frame = vectors[..., size - self.dim :] * root
        if isinstance(std, Tensor):
            batch = torch.broadcast_shapes(batch, std.shape)
            std = std.double().unsqueeze(-1)
        noise = torch.randn(*batch, self.dim, generator=generator, dtype=torch.float64) * std
        weights = (frame @ noise.unsqueeze(-1)).reshape(*batch, size, *[1] * len(self.point_shape))
        return self.expmap(x, (weights * basis).sum(len(batch)).to(x.dtype))

    def check_point(self, x: Tensor) -> None:
        """Raise ``ValueError`` unless geomstats says each point belongs."""
        check_point_shape(self, x)
        flat = x.double().reshape(-1, *self.point_shape)
        batch = x.shape[: x.ndim - len(self.point_shape)]
        with float64_default():
            inside = torch.as_tensor(self.space.belongs(flat, atol=tolerance(x.dtype)))
        off = torch.linalg.vector_norm(flat.reshape(flat.shape[0], -1), dim=-1)
        law = "belongs(x) (shown: |x|)"
        mend = "project with projx"
        bad = ~inside.reshape(batch)
        refuse_where(bad, off.reshape(batch), self, "points on", law, mend)

    def check_tangent(self, x: Tensor, u: Tensor) -> None:
        """Raise ``ValueError`` unless each vector is its own projection, relative to 1 + |u|."""
        check_tangent_shape(self, x, u)
        axes = tuple(range(-len(self.point_shape), 0))
        off = (u - self.proju(x, u)).square().sum(axes).sqrt()
        off = off / (1 + u.square().sum(axes).sqrt())
        law = "to_tangent(u, x) = u (shown: how far off)"
        mend = "project with proju"
        refuse_where(~(off <= tolerance(x.dtype)), off, self, "tangent vectors of", law, mend)
