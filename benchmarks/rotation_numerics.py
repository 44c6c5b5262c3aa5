"""float32 rotation paths from angle 0 to half a turn: errors, gradients, signs; beside peers.

    pip install -r benchmarks/requirements.txt
    python benchmarks/rotation_numerics.py [--pairs 4000] [--out docs/results/rotation_numerics.md]

The point q_t at t = 0.3 between random pairs of rotations at a given angle. Reference: 40 digits
from the same float32 quaternions (``geodesic_references.rotations``); the error is the angle of
the rotation between the two. Routes, all public functions:

    ours            SO3().interpolant, the mid-point frame
    ours, exp log   SO3().expmap(q_0, t SO3().logmap(q_0, q_1)), as a sampling step does
    roma            unitquat_slerp of quaternions, and rotmat_slerp of matrices
    matrix log      R_0 exp(t log(R_0^T R_1)) with the angle from the trace, as in textbooks

Routes by matrices are given the matrices of the same quaternions, made in float32. Gradients are
of a random linear function of the matrix of q_t, with respect to both quaternions.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import mpmath as mp
import roma
import torch
from geodesic_cases import circles, generator
from geodesic_references import rotations
from torch import Tensor

from geometry import SO3
from geometry.quaternions import quaternion_multiply
from geometry.rotation_conversions import matrix_to_quaternion, quaternion_to_matrix
from proteins.losses import geodesic_error, log_error

T = 0.3
ANGLES = {
    "1e-7": 1e-7,
    "1e-4": 1e-4,
    "1e-2": 1e-2,
    "1": 1.0,
    "3": 3.0,
    "pi - 2e-2": math.pi - 2e-2,
    "pi - 8e-3": math.pi - 8e-3,
    "pi - 1e-3": math.pi - 1e-3,
    "pi - 1e-4": math.pi - 1e-4,
}
Route = Callable[[Tensor, Tensor], Tensor]
"""Two quaternions ``(n, 4)`` to the rotation at T: quaternions or matrices."""


def ours(p: Tensor, q: Tensor) -> Tensor:
    """The interpolant of the flow."""
    return SO3().interpolant(p, q, p.new_tensor(T))[0]


def ours_exp_log(p: Tensor, q: Tensor) -> Tensor:
    """By logarithm and exponential."""
    return SO3().expmap(p, T * SO3().logmap(p, q))


def roma_quaternions(p: Tensor, q: Tensor) -> Tensor:
    """Slerp of quaternions (x, y, z, w)."""
    ends = (roma.quat_wxyz_to_xyzw(each) for each in (p, q))
    return roma.quat_xyzw_to_wxyz(roma.unitquat_slerp(*ends, p.new_tensor(T)))


def roma_matrices(p: Tensor, q: Tensor) -> Tensor:
    """Slerp of matrices."""
    ends = (quaternion_to_matrix(each) for each in (p, q))
    return roma.rotmat_slerp(*ends, p.new_tensor(T))


def matrix_log(p: Tensor, q: Tensor) -> Tensor:
    """By the logarithm (R - R^T) theta/(2 sin theta), cos theta = (tr R - 1)/2, and Rodrigues."""
    start, end = quaternion_to_matrix(p), quaternion_to_matrix(q)
    relative = start.mT @ end
    cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    theta = cosine.clamp(-1, 1).acos()[:, None, None]
    scale = torch.where(theta > 1e-6, theta / (2 * theta.sin()), 0.5)
    turn = T * scale * (relative - relative.mT)
    r = (turn.square().sum((-1, -2), keepdim=True) / 2).sqrt()
    first = torch.where(r > 1e-6, r.sin() / r, 1.0)
    second = torch.where(r > 1e-6, (1 - r.cos()) / r.square(), 0.5)
    one = torch.eye(3, dtype=p.dtype)
    return start @ (one + first * turn + second * turn @ turn)


ROUTES: dict[str, Route] = {
    "ours": ours,
    "ours, exp log": ours_exp_log,
    "roma quaternions": roma_quaternions,
    "roma matrices": roma_matrices,
    "matrix log": matrix_log,
}
OURS, PEER = ("ours", "ours, exp log"), "roma quaternions"


def pair(angle: float, count: int) -> tuple[Tensor, Tensor]:
    """Random rotations in float32 at this angle."""
    p, q = circles(count, 3, angle / 2)
    return p.float(), q.float()


def reference(p: Tensor, q: Tensor) -> Tensor:
    """In 40 digits, rounded to float64."""
    exact = []
    for a, b in zip(p.double().tolist(), q.double().tolist(), strict=True):
        q_t, _ = rotations([mp.mpf(n) for n in unit(a)], [mp.mpf(n) for n in unit(b)], mp.mpf(T))
        exact.append([float(n) for n in q_t])
    return torch.tensor(exact, dtype=torch.float64)


def unit(x: list[float]) -> list[mp.mpf]:
    """The quaternion scaled to the sphere, which float32 misses."""
    numbers = [mp.mpf(a) for a in x]
    size = mp.sqrt(mp.fsum(a * a for a in numbers))
    return [a / size for a in numbers]


def as_quaternion(rotation: Tensor) -> Tensor:
    """In float64, of quaternions or matrices."""
    rotation = rotation.double()
    if rotation.shape[-2:] == (3, 3):
        rotation = matrix_to_quaternion(rotation)
    return SO3().projx(rotation)


def error(route: Route, p: Tensor, q: Tensor, exact: Tensor) -> float:
    """The largest angle between what the route says and the reference."""
    return SO3().dist(as_quaternion(route(p, q)), exact).max().item()


def signs(route: Route, p: Tensor, q: Tensor) -> float:
    """The largest angle between the paths to q and to -q, and from p and from -p."""
    plain = as_quaternion(route(p, q))
    others = (as_quaternion(route(*ends)) for ends in ((p, -q), (-p, q)))
    return max(SO3().dist(plain, each).max().item() for each in others)


def gradient_cases(count: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs whose gradients are awkward."""
    cases = {"0": (pair(1.0, count)[0],) * 2}
    names = ("1e-4", "1", "pi - 2e-2", "pi - 1e-4")
    cases |= {name: pair(ANGLES[name], count) for name in names}
    p, axes = pair(1.0, count)[0], torch.randn(count, 3, generator=generator())
    half_turn = torch.cat((torch.zeros(count, 1), axes / axes.norm(dim=-1, keepdim=True)), -1)
    cases["pi"] = (p, quaternion_multiply(p, half_turn))
    still, turned = torch.eye(4)[:2].unsqueeze(1).expand(2, count, 4)
    return cases | {"I, diag(1, -1, -1)": (still, turned), "I, I": (still, still)}


def gradient(route: Route, p: Tensor, q: Tensor) -> str:
    """Share of pairs with finite gradients, and the largest of these."""
    ends = [each.clone().requires_grad_() for each in (p, q)]
    there = route(*ends)
    R = there if there.shape[-2:] == (3, 3) else quaternion_to_matrix(there)
    weights = torch.randn(R.shape, generator=generator())
    found = torch.cat(torch.autograd.grad((weights * R).sum(), ends), -1)
    finite = found.isfinite().all(-1)
    largest = f"{found[finite].abs().max().item():.3g}" if finite.any() else "-"
    return f"{100 * finite.double().mean().item():.0f}% / {largest}"


def loss_signs(count: int) -> float:
    """The largest change of either rotation loss by the signs of its three quaternions."""
    worst = 0.0
    for angle in ANGLES.values():
        p, q = pair(angle, count)
        r = pair(1.0, count)[1]
        for loss in (log_error, geodesic_error):
            plain = loss(p, q, r).square().sum(-1)
            for s in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)):
                other = loss(s[0] * p, s[1] * q, s[2] * r).square().sum(-1)
                worst = max(worst, (other - plain).abs().max().item())
    return worst


def table(corner: str, rows: dict[str, list[str]]) -> list[str]:
    """Markdown, a line a row."""
    lines = [f"| {corner} | {' | '.join(ROUTES)} |", "|---" * (len(ROUTES) + 1) + "|"]
    return [*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())]


HEAD = """# Rotation paths in float32

    pip install -r benchmarks/requirements.txt
    python benchmarks/rotation_numerics.py --pairs {pairs} --out docs/results/rotation_numerics.md

The rotation at t = {t} between two at a given angle: {pairs} random pairs a row (seed 1), torch
{torch}, roma {roma}. Reference: 40 digits from the same float32 quaternions. "exp log" is what a
sampling step does, "matrix log" the textbook's, with the angle from the trace, written for
this table. Routes by matrices get the matrices of the same quaternions, made in float32.

## Largest error, in radians
"""

SIGNS = """
Ours at worst: {worst:.1e}; roma's quaternions: {best:.1e}.

With -q for q, at either end, the paths of ours are {ours:.1g} apart at most in all of these rows
(roma's quaternions: {roma:.1g}), and the two losses of rotations (`log_error`,
`geodesic_error`) differ by {losses:.1g} at most, of any of their three quaternions.

## Gradients: share of pairs with finite ones / the largest number in these

Of a random linear function of the matrix of q_t, with respect to both quaternions. In the last
two rows I and diag(1, -1, -1) are exact.
"""


def report(count: int) -> str:
    """All tables."""
    errors: dict[str, list[str]] = {}
    worst, flips = dict.fromkeys(ROUTES, 0.0), dict.fromkeys(ROUTES, 0.0)
    for label, angle in ANGLES.items():
        p, q = pair(angle, count)
        exact = reference(p, q)
        off = {name: error(route, p, q, exact) for name, route in ROUTES.items()}
        errors[label] = [f"{each:.1e}" for each in off.values()]
        for name, route in ROUTES.items():
            worst[name] = max(worst[name], off[name])
            flips[name] = max(flips[name], signs(route, p, q))
    gradients = {
        label: [gradient(route, *ends) for route in ROUTES.values()]
        for label, ends in gradient_cases(count).items()
    }
    versions = {"torch": torch.__version__, "roma": version("roma")}
    lines = [HEAD.format(pairs=count, t=T, **versions), *table("angle", errors)]
    found = {"worst": max(worst[name] for name in OURS), "best": worst[PEER]}
    found |= {"ours": max(flips[name] for name in OURS), "roma": flips[PEER]}
    lines += [SIGNS.format(**found, losses=loss_signs(count))]
    return "\n".join([*lines, *table("angle", gradients), ""])


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = report(options.pairs)
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
