"""How users of other libraries get (x_t, dx_t/dt) from (x_0, x_1, t): one function a library.

Each calls public functions only. Velocities come from the library's own path object where it
has one, else from a forward derivative of exp(t log), from the parallel transport of the log
where the library's is parallel, or from log_{x_t}(x_1)/(1 - t), which is cheapest and loses all
digits as t approaches 1. A library that is not installed is left out. Nothing here is copied:
flow_matching (CC-BY-NC) is called, as its documentation shows, and not read.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from geometry import SO3, SPD, FlatTorus, Lorentz, PoincareBall, Simplex, Sphere
from geometry.manifold import Manifold

Pair = tuple[Tensor, Tensor]
Step = Callable[[Tensor, Tensor, Tensor], Pair]
Map = Callable[[Tensor, Tensor], Tensor]

NAMES = ("flow_matching", "geoopt", "geoopt log", "geomstats", "roma", "e3nn")


def _times(t: Tensor, x: Tensor) -> Tensor:
    return t.reshape(-1, *(1,) * (x.ndim - 1))


def forward_derivative(exp: Map, log: Map) -> Step:
    """exp_x(t log_x y) and its derivative by one batched forward-mode pass."""

    def step(x: Tensor, y: Tensor, t: Tensor) -> Pair:
        path = lambda s: exp(x, _times(s, x) * log(x, y))  # noqa: E731
        return torch.func.jvp(path, (t,), (torch.ones_like(t),))

    return step


def with_transport(exp: Map, log: Map, transport: Callable[..., Tensor]) -> Step:
    """exp_x(t log_x y) and the parallel transport of the log."""

    def step(x: Tensor, y: Tensor, t: Tensor) -> Pair:
        u = log(x, y)
        z = exp(x, _times(t, x) * u)
        return z, transport(x, z, u)

    return step


def with_second_log(exp: Map, log: Map) -> Step:
    """exp_x(t log_x y) and log_{x_t}(y)/(1 - t)."""

    def step(x: Tensor, y: Tensor, t: Tensor) -> Pair:
        z = exp(x, _times(t, x) * log(x, y))
        return z, log(z, y) / _times(1 - t, x)

    return step


def from_flow_matching(manifold: Manifold) -> dict[str, Step]:
    """Its GeodesicProbPath, on its two curved manifolds."""
    from flow_matching.path import GeodesicProbPath
    from flow_matching.path.scheduler import CondOTScheduler
    from flow_matching.utils import manifolds

    if isinstance(manifold, Sphere):
        peer = manifolds.Sphere()
    elif isinstance(manifold, FlatTorus):
        peer = manifolds.FlatTorus()
    else:
        return {}
    path = GeodesicProbPath(scheduler=CondOTScheduler(), manifold=peer)

    def step(x: Tensor, y: Tensor, t: Tensor) -> Pair:
        sample = path.sample(x_0=x, x_1=y, t=t)
        return sample.x_t, sample.dx_t

    return {"flow_matching": step}


def from_geoopt(manifold: Manifold) -> dict[str, Step]:
    """exp and log, with its transport; on the sphere, where that is a projection, without."""
    import geoopt

    if isinstance(manifold, Sphere):
        peer = geoopt.Sphere()
        first = forward_derivative(peer.expmap, peer.logmap)
        return {"geoopt": first, "geoopt log": with_second_log(peer.expmap, peer.logmap)}
    if isinstance(manifold, PoincareBall):
        peer = geoopt.PoincareBall()
    elif isinstance(manifold, Lorentz):
        peer = geoopt.Lorentz()
    elif isinstance(manifold, SPD):
        peer = geoopt.SymmetricPositiveDefinite()
    else:
        return {}
    return {"geoopt": with_transport(peer.expmap, peer.logmap, peer.transp)}


def from_geomstats(manifold: Manifold) -> dict[str, Step]:
    """Its metrics in float32, on its pytorch backend; transport where it has a closed form."""
    from geometry import geomstats_module

    find = lambda name: geomstats_module(f"geomstats.{name}")  # noqa: E731
    if isinstance(manifold, Sphere):
        space = find("geometry.hypersphere").Hypersphere(manifold.n)
    elif isinstance(manifold, Simplex):
        module = find("information_geometry.categorical")
        space = module.CategoricalDistributions(manifold.K - 1)
    elif isinstance(manifold, PoincareBall):
        space = find("geometry.poincare_ball").PoincareBall(manifold.dim)
    elif isinstance(manifold, Lorentz):
        space = find("geometry.hyperboloid").Hyperboloid(manifold.dim)
    elif isinstance(manifold, SPD):
        space = find("geometry.spd_matrices").SPDMatrices(manifold.n)
    else:
        return {}
    metric = space.metric
    exp, log = (lambda x, u: metric.exp(u, x)), (lambda x, y: metric.log(y, x))
    if isinstance(manifold, Sphere | Lorentz | SPD):
        carry = lambda x, y, u: metric.parallel_transport(u, x, end_point=y)  # noqa: E731
        return {"geomstats": with_transport(exp, log, carry)}
    return {"geomstats": forward_derivative(exp, log)}


def from_roma(manifold: Manifold) -> dict[str, Step]:
    """Quaternions (x, y, z, w) through the rotation vector of the relative rotation."""
    import roma

    if not isinstance(manifold, SO3):
        return {}

    def step(x: Tensor, y: Tensor, t: Tensor) -> Pair:
        p, q = roma.quat_wxyz_to_xyzw(x), roma.quat_wxyz_to_xyzw(y)
        omega = roma.unitquat_to_rotvec(roma.quat_product(roma.quat_conjugation(p), q))
        turned = roma.quat_product(p, roma.rotvec_to_unitquat(t[:, None] * omega))
        return roma.quat_xyzw_to_wxyz(turned), omega

    return {"roma": step}


def from_e3nn(manifold: Manifold) -> dict[str, Step]:
    """Quaternions through axis and angle."""
    from e3nn import o3

    if not isinstance(manifold, SO3):
        return {}

    def step(x: Tensor, y: Tensor, t: Tensor) -> Pair:
        relative = o3.compose_quaternion(o3.inverse_quaternion(x), y)
        axis, angle = o3.quaternion_to_axis_angle(relative)
        turned = o3.axis_angle_to_quaternion(axis, t * angle)
        return o3.compose_quaternion(x, turned), axis * angle[:, None]

    return {"e3nn": step}


LIBRARIES = (from_flow_matching, from_geoopt, from_geomstats, from_roma, from_e3nn)


def peers(manifold: Manifold) -> dict[str, Step]:
    """The installed peers that have this manifold, by name."""
    found: dict[str, Step] = {}
    for library in LIBRARIES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found |= library(manifold)
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
    return found
