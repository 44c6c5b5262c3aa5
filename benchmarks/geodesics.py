"""Time of (x_t, dx_t/dt) from (x_0, x_1, t), against one copy of the arrays and against peers.

    python benchmarks/geodesics.py [--points 100000 1000000] [--rounds 7] [--device cpu]
        [--threads 1] [--no-compile] [--only "Sphere(2)"] [--out FILE.md]

The bound is ``copy_`` of as many numbers as the step must read and write. Rounds are
interleaved, so that a load on the machine falls on all methods alike, and the median is told, in
milliseconds and (in brackets) in bounds. A peer that is not installed is left out:
flow_matching, geoopt, geomstats, roma, e3nn. Each is called through its public functions the
way its users do; velocities come from its own path object where it has one, else from a forward
derivative of exp(t log), or from the parallel transport of the log.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from geometry import (
    SE3,
    SO3,
    SPD,
    FlatTorus,
    Lorentz,
    PoincareBall,
    Simplex,
    Sphere,
)
from geometry.manifold import Manifold

Step = Callable[[Tensor, Tensor, Tensor], object]


def spaces() -> list[Manifold]:
    """The manifolds of the table."""
    curved = [Sphere(2), Sphere(27), Simplex(20), PoincareBall(8), Lorentz(8), SPD(3)]
    return [*curved, FlatTorus(7), SO3(), SE3()]


def points(manifold: Manifold, count: int, seed: int, device: str) -> Tensor:
    """Random points in float32: uniform ones, or normal ones about a fixed point."""
    generator = torch.Generator().manual_seed(seed)
    try:
        return manifold.random_uniform(count, generator=generator, dtype=torch.float32).to(device)
    except ValueError:
        origin = manifold.projx(centre(manifold)).expand(count, *manifold.point_shape)
        return manifold.random_normal(origin, 0.7, generator).to(device)


def centre(manifold: Manifold) -> Tensor:
    """A point to project: the identity of matrices and groups, an origin elsewhere."""
    x = torch.zeros(manifold.point_shape)
    if x.ndim == 2:
        return torch.eye(len(x))
    if isinstance(manifold, Lorentz | SE3):
        x[0] = 1.0
    return x


def forward_derivative(exp: Step, log: Step) -> Step:
    """(x_t, dx_t/dt) of exp_x(t log_x y) by one batched forward-mode derivative."""

    def step(x: Tensor, y: Tensor, t: Tensor) -> object:
        def path(s: Tensor) -> Tensor:
            return exp(x, s.reshape(-1, *(1,) * (x.ndim - 1)) * log(x, y))

        return torch.func.jvp(path, (t,), (torch.ones_like(t),))

    return step


def with_transport(exp: Step, log: Step, transport: Callable[..., Tensor]) -> Step:
    """(x_t, dx_t/dt) by exp and the parallel transport of the log."""

    def step(x: Tensor, y: Tensor, t: Tensor) -> object:
        u = log(x, y)
        z = exp(x, t.reshape(-1, *(1,) * (x.ndim - 1)) * u)
        return z, transport(x, z, u)

    return step


def from_flow_matching(manifold: Manifold) -> dict[str, Step]:
    """Meta's GeodesicProbPath, on its two curved manifolds."""
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
    return {"flow_matching": lambda x, y, t: path.sample(x_0=x, x_1=y, t=t)}


def from_geoopt(manifold: Manifold) -> dict[str, Step]:
    """Geoopt: exp and log, with transport where it is parallel and with jvp where it is not."""
    import geoopt

    if isinstance(manifold, Sphere):
        peer = geoopt.Sphere()
        return {"geoopt": forward_derivative(peer.expmap, peer.logmap)}
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
    """Geomstats' metrics in float32, on its pytorch backend."""
    from geometry import geomstats_module

    if isinstance(manifold, Sphere):
        space = geomstats_module("geomstats.geometry.hypersphere").Hypersphere(manifold.n)
    elif isinstance(manifold, Simplex):
        module = geomstats_module("geomstats.information_geometry.categorical")
        space = module.CategoricalDistributions(manifold.K - 1)
    elif isinstance(manifold, PoincareBall):
        space = geomstats_module("geomstats.geometry.poincare_ball").PoincareBall(manifold.dim)
    elif isinstance(manifold, Lorentz):
        space = geomstats_module("geomstats.geometry.hyperboloid").Hyperboloid(manifold.dim)
    else:
        return {}
    metric = space.metric
    exp, log = (lambda x, u: metric.exp(u, x)), (lambda x, y: metric.log(y, x))
    if isinstance(manifold, Sphere | Lorentz):
        carry = lambda x, y, u: metric.parallel_transport(u, x, end_point=y)  # noqa: E731
        return {"geomstats": with_transport(exp, log, carry)}
    return {"geomstats": forward_derivative(exp, log)}


def from_roma(manifold: Manifold) -> dict[str, Step]:
    """Roma: quaternions (x, y, z, w) through the rotation vector of the relative rotation."""
    import roma

    if not isinstance(manifold, SO3):
        return {}

    def step(x: Tensor, y: Tensor, t: Tensor) -> object:
        p, q = roma.quat_wxyz_to_xyzw(x), roma.quat_wxyz_to_xyzw(y)
        omega = roma.unitquat_to_rotvec(roma.quat_product(roma.quat_conjugation(p), q))
        return roma.quat_product(p, roma.rotvec_to_unitquat(t[:, None] * omega)), omega

    return {"roma": step}


def from_e3nn(manifold: Manifold) -> dict[str, Step]:
    """e3nn: quaternions through axis and angle."""
    from e3nn import o3

    if not isinstance(manifold, SO3):
        return {}

    def step(x: Tensor, y: Tensor, t: Tensor) -> object:
        relative = o3.compose_quaternion(o3.inverse_quaternion(x), y)
        axis, angle = o3.quaternion_to_axis_angle(relative)
        turned = o3.axis_angle_to_quaternion(axis, t * angle)
        return o3.compose_quaternion(x, turned), axis * angle[:, None]

    return {"e3nn": step}


PEERS = (from_flow_matching, from_geoopt, from_geomstats, from_roma, from_e3nn)


def peers(manifold: Manifold) -> dict[str, Step]:
    """The installed peers that have this manifold."""
    found: dict[str, Step] = {}
    for peer in PEERS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found |= peer(manifold)
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
    return found


def synchronise(device: str) -> None:
    """Wait until the device has done its work."""
    if device != "cpu":
        torch.cuda.synchronize()


def measure(steps: dict[str, Callable[[], object]], rounds: int, device: str) -> dict[str, float]:
    """Median seconds of each step over interleaved rounds, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(rounds + 1):
        for name, step in steps.items():
            synchronise(device)
            start = time.perf_counter()
            step()
            synchronise(device)
            if i:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def row(manifold: Manifold, count: int, options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of the copy, of our own steps and of the peers'."""
    x, y = (points(manifold, count, seed, options.device) for seed in (1, 2))
    t = torch.rand(count, generator=torch.Generator().manual_seed(3)).to(options.device)
    x_t, u_t = manifold.interpolant(x, y, t)
    # One number read for each of the inputs and one written for each of the outputs.
    source = torch.zeros((2 * x.numel() + x_t.numel() + u_t.numel()) // 2, device=options.device)
    target = torch.empty_like(source)
    steps: dict[str, Callable[[], object]] = {"copy": lambda: target.copy_(source)}
    steps["eager"] = lambda: manifold.interpolant(x, y, t)
    if options.compile:
        compiled = torch.compile(manifold.interpolant, fullgraph=True, dynamic=False)
        steps["compiled"] = lambda: compiled(x, y, t)
    for name, step in peers(manifold).items():
        steps[name] = lambda step=step: step(x, y, t)
    with torch.no_grad():
        return measure(steps, options.rounds, options.device)


COLUMNS = ("eager", "compiled", "flow_matching", "geoopt", "geomstats", "roma", "e3nn")


def table(options: argparse.Namespace) -> str:
    """Markdown: a line for each manifold and number of points."""
    head = ["manifold", "points", "copy (ms)", *COLUMNS]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for manifold in spaces():
        if options.only and repr(manifold) not in options.only:
            continue
        for count in options.points:
            times = row(manifold, count, options)
            bound = times["copy"]
            cells = [repr(manifold), f"{count:.0e}", f"{1e3 * bound:.3g}"]
            for name in COLUMNS:
                seconds = times.get(name)
                cells.append(f"{1e3 * seconds:.3g} ({seconds / bound:.3g})" if seconds else "-")
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--only", nargs="+", help='such as "Sphere(2)"')
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = table(options)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
