r"""The divergence of a vector field on a manifold, with respect to its Riemannian volume.

For vectors w_j tangent at x and covectors c_j with sum_j c_j(u) w_j = u for each tangent u
(an orthonormal frame is one such family), and with D the derivative in ambient coordinates,

    div v = sum_j c_j(D_{w_j} v) + Gamma(v),    Gamma(v) = sum_j c_j(d_y transp(y, x, v) [w_j]),

the trace of the covariant derivative. Gamma comes from the transport alone, without the
network. It is zero on linear spaces, tori, spheres and rotations (three left-invariant
derivatives, since the group is unimodular); with a volume rho dx in coordinates it is
v(log rho): n lambda <x, v> on the ball and -<x', v'>/x_0^2 on the hyperboloid.

The exact sum takes dim derivatives in forward mode, on one shared evaluation of v. Hutchinson's
estimate takes one for each probe r, of independent entries with mean 0 and variance 1:

    E[c_r(D_{w_r} v)] = sum_j c_j(D_{w_j} v),    w_r = sum_j r_j w_j,  c_r = sum_j r_j c_j.

Source: Chen et al. 2019 (FFJORD); Chen and Lipman 2024, appendix; Gamma by differentiating
the transport along the geodesic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.func import jvp, vmap

from geometry.euclidean import LinearSpace
from geometry.lengths import dot
from geometry.lorentz import Lorentz
from geometry.manifold import Manifold
from geometry.mesh import Mesh
from geometry.poincare import PoincareBall
from geometry.product import Factored
from geometry.rotations import SO3
from geometry.sphere import UnitVectors
from geometry.torus import FlatTorus

from ..solvers import pushforward

VectorField = Callable[[Tensor], Tensor]
"""Points ``(batch, *point_shape)`` to tangent vectors ``(batch, *tangent_shape)``."""

Probes = Tensor | None
"""Coefficients ``(batch, probes, n)`` of random directions, or None for every direction."""


@singledispatch
def tangent_frame(manifold: Manifold, x: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors w_j and covectors c_j that resolve the identity of the tangent space at ``x``.

    Returns:
        Two tensors ``(n, *batch, *tangent_shape)``; by default the projections of the ambient
        axes, which are tangent_shape many, and the axes.
    """
    shape = manifold.tangent_shape
    axes = torch.eye(torch.Size(shape).numel(), dtype=x.dtype, device=x.device)
    batch = x.shape[: x.ndim - len(manifold.point_shape)]
    axes = axes.reshape(-1, *(1,) * len(batch), *shape).expand(-1, *batch, *shape)
    return vmap(lambda e: manifold.proju(x, e))(axes), axes


@tangent_frame.register
def _(manifold: UnitVectors, x: Tensor) -> tuple[Tensor, Tensor]:
    """The axes but the first, reflected by the Householder map of the first one to -+x."""
    sign = torch.copysign(torch.ones_like(x[..., 0]), x[..., 0])
    normal = torch.cat([(x[..., :1] + sign.unsqueeze(-1)), x[..., 1:]], -1)
    scale = 1 / (1 + x[..., 0].abs())
    axes = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)[1:]
    axes = axes.reshape(-1, *(1,) * (x.ndim - 1), x.shape[-1])
    frame = axes - (x[..., 1:] * scale.unsqueeze(-1)).movedim(-1, 0).unsqueeze(-1) * normal
    return frame, frame


@tangent_frame.register
def _(manifold: Lorentz, x: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors over the axes of space; the projection of the time axis is zero."""
    axes = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)[1:]
    axes = axes.reshape(-1, *(1,) * (x.ndim - 1), x.shape[-1]).expand(-1, *x.shape)
    return vmap(lambda e: manifold.proju(x, e))(axes), axes


@tangent_frame.register
def _(manifold: Factored, x: Tensor) -> tuple[Tensor, Tensor]:
    """The frames of the parts, each with zeros in the other parts."""
    frames = [tangent_frame(m, a) for m, a in zip(manifold.parts, manifold.split(x), strict=True)]
    batch = x.shape[:-1]

    def block(k: int) -> Tensor:
        rows = []
        for i, own in enumerate(frames):
            zeros = [
                x.new_zeros(own[k].shape[0], *batch, *m.tangent_shape) for m in manifold.parts
            ]
            zeros[i] = own[k]
            rows.append(manifold.join_tangent(zeros))
        return torch.cat(rows)

    return block(0), block(1)


@singledispatch
def connection(manifold: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """Gamma(v), batch shape: what the turning of the tangent spaces adds to the trace."""
    w, c = tangent_frame(manifold, x)
    ambient = vmap(lambda u: pushforward(manifold, x, u))(w)
    turn = vmap(lambda u: jvp(lambda y: manifold.transp(y, x, v), (x,), (u,))[1])(ambient)
    return _pair(manifold, c, turn).sum(0)


@connection.register(LinearSpace)
@connection.register(FlatTorus)
@connection.register(UnitVectors)
@connection.register(SO3)
@connection.register(Mesh)
def _(manifold: Manifold, x: Tensor, v: Tensor) -> Tensor:
    """Zero; on a mesh inside each face."""
    return x.new_zeros(x.shape[: x.ndim - len(manifold.point_shape)])


@connection.register
def _(manifold: PoincareBall, x: Tensor, v: Tensor) -> Tensor:
    """n lambda <x, v>."""
    return 2 * manifold.n * dot(x, v) / (1 - dot(x, x))


@connection.register
def _(manifold: Lorentz, x: Tensor, v: Tensor) -> Tensor:
    """-<x', v'>/x_0^2."""
    return -dot(x[..., 1:], v[..., 1:]) / x[..., 0].square()


@connection.register
def _(manifold: Factored, x: Tensor, v: Tensor) -> Tensor:
    """The sum of the parts'."""
    parts = zip(manifold.parts, manifold.split(x), manifold.split_tangent(v), strict=True)
    terms = [connection(part, a, b) for part, a, b in parts]
    return sum(terms[1:], terms[0])


def _pair(manifold: Manifold, c: Tensor, u: Tensor) -> Tensor:
    """c(u): the sum of products over the axes of a tangent vector."""
    return (c * u).flatten(-max(1, len(manifold.tangent_shape))).sum(-1)


class Divergence(Protocol):
    """Along which combinations of the frame a field is differentiated."""

    def probes(self, num: int, n: int, like: Tensor, generator: torch.Generator | None) -> Probes:
        """Coefficients for ``num`` points and ``n`` vectors of the frame, kept along a path."""
        ...


@dataclass(frozen=True)
class ExactDivergence:
    """Along every vector of the frame."""

    def probes(self, num: int, n: int, like: Tensor, generator: torch.Generator | None) -> None:
        """None: nothing is drawn."""


@dataclass(frozen=True)
class HutchinsonDivergence:
    """Along random combinations; unbiased, for high dimensions.

    Args:
        num_probes: combinations, whose results are averaged.
        law: of their coefficients; Rademacher has the lower variance.

    Raises:
        ValueError: no probes, or an unknown law.
    """

    num_probes: int = 1
    law: Literal["rademacher", "gaussian"] = "rademacher"

    def __post_init__(self) -> None:
        if self.num_probes < 1:
            raise ValueError(f"expected at least one probe, got {self.num_probes}")
        if self.law not in ("rademacher", "gaussian"):
            raise ValueError(f"expected the law rademacher or gaussian, got {self.law!r}")

    def probes(self, num: int, n: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Independent coefficients, ``(num, num_probes, n)``."""
        r = like.new_empty(num, self.num_probes, n).normal_(generator=generator)
        return r.sign() if self.law == "rademacher" else r


def divergence(
    manifold: Manifold, field: VectorField, x: Tensor, probes: Probes = None
) -> tuple[Tensor, Tensor]:
    """The field at ``x`` and its divergence, exact or along ``probes``.

    Args:
        manifold: where x lives.
        field: a function of points; row b of its value may depend on row b of x alone.
        x: ``(batch, *point_shape)``.
        probes: coefficients r, ``(batch, probes, n)``, or None for the exact sum.

    Returns:
        v, ``(batch, *tangent_shape)``, and div v, ``(batch,)``.

    Example:
        >>> from geometry import Sphere
        >>> north = torch.tensor([0.0, 0.0, 1.0])
        >>> sphere = Sphere(2)
        >>> divergence(sphere, lambda x: sphere.proju(x, north), north[None])[1]
        tensor([-2.])
    """
    w, c = tangent_frame(manifold, x)
    if probes is not None:
        w, c = _combine(probes, w), _combine(probes, c) / probes.shape[1]
    ambient = vmap(lambda u: pushforward(manifold, x, u))(w)

    def along(u: Tensor) -> tuple[Tensor, Tensor]:
        both: tuple[Tensor, Tensor] = jvp(field, (x,), (u,))[:2]
        return both

    values, slopes = vmap(along)(ambient)
    v = values[0]
    return v, _pair(manifold, c, slopes).sum(0) + connection(manifold, x, v)


def _combine(probes: Tensor, frame: Tensor) -> Tensor:
    """sum_j r_j w_j: ``(batch, probes, n), (n, batch, ...) -> (probes, batch, ...)``."""
    return torch.einsum("bpn,nb...->pb...", probes, frame)
