"""Awkward pairs of points for the benchmark of accuracy, made in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from geometry import SO3, SPD, FlatTorus, Lorentz, PoincareBall, Simplex, Sphere
from geometry.manifold import Manifold

SEPARATIONS = (0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 0.0)
GAPS = (0.1, 1e-2, 1e-3, 1e-4, 1e-5)
Case = tuple[Tensor, Tensor]


def generator() -> torch.Generator:
    """The same random numbers for every case."""
    return torch.Generator().manual_seed(1)


def normal(*shape: int) -> Tensor:
    """Gaussian numbers in float64."""
    return torch.randn(*shape, generator=generator(), dtype=torch.float64)


def circles(count: int, n: int, angle: float) -> Case:
    """Unit vectors at this angle."""
    x, y = normal(2, count, n + 1)
    x = x / x.norm(dim=-1, keepdim=True)
    y = y - (x * y).sum(-1, keepdim=True) * x
    y = y / y.norm(dim=-1, keepdim=True)
    return x, math.cos(angle) * x + math.sin(angle) * y


def moved(manifold: Manifold, x: Tensor, length: float) -> Tensor:
    """The point at this distance from each x, in a random direction."""
    u = manifold.proju(x, torch.randn(x.shape, generator=generator(), dtype=x.dtype))
    u = (u + u.mT) / 2 if isinstance(manifold, SPD) else u
    size = manifold.norm(x, u)
    return manifold.expmap(x, length * u / size.reshape(-1, *(1,) * (x.ndim - 1)))


def simplex_cases(count: int) -> dict[str, Case]:
    """Near pairs, pairs with one tiny number, and vertices."""
    m = Simplex(20)
    p = m.random_uniform(count, generator=generator(), dtype=torch.float64)
    cases = {f"{r:g} apart": (p, moved(m, p, r)) for r in SEPARATIONS}
    for tiny in (1e-3, 1e-6, 1e-12, 1e-30):
        x, y = p.clone(), moved(m, p, 0.6)
        x[:, 0], y[:, 1] = tiny, tiny
        cases[f"a number {tiny:g}"] = (m.projx(x), m.projx(y))
    vertices = torch.eye(20, dtype=torch.float64)[:count]
    centre = torch.full_like(vertices, 0.05)
    cases["centre to vertex"] = (centre, vertices)
    cases["vertex to centre"] = (vertices, centre)
    cases["vertex to vertex"] = (vertices, vertices.roll(1, -1))
    return cases


def ball_cases(count: int) -> dict[str, Case]:
    """Near pairs at norm 1/2, and pairs both at a given norm."""
    m, (e, f) = PoincareBall(8), normal(2, count, 8)
    e, f = e / e.norm(dim=-1, keepdim=True), f / f.norm(dim=-1, keepdim=True)
    cases = {f"{r:g} apart": (e / 2, moved(m, e / 2, r)) for r in SEPARATIONS}
    cases["origin to 1/2"] = (0 * e, e / 2)
    for gap in (*GAPS, 1e-6):
        cases[f"norms 1 - {gap:g}"] = ((1 - gap) * e, (1 - gap) * f)
    return cases


def hyperboloid_cases(count: int) -> dict[str, Case]:
    """Near pairs at radius 1, and pairs both at a given radius."""
    m, (e, f) = Lorentz(8), normal(2, count, 8)
    e, f = e / e.norm(dim=-1, keepdim=True), f / f.norm(dim=-1, keepdim=True)
    at = lambda v, r: torch.cat([torch.full_like(v[:, :1], math.cosh(r)), math.sinh(r) * v], -1)  # noqa: E731
    x = at(e, 1.0)
    cases = {f"{r:g} apart": (x, moved(m, x, r)) for r in SEPARATIONS}
    for radius in (0, 1, 2, 4, 6, 8):
        cases[f"radii {radius} and {max(radius, 1)}"] = (at(e, radius), at(f, max(radius, 1)))
    return cases


def matrix_cases(count: int) -> dict[str, Case]:
    """Near pairs, equal eigenvalues, and pairs of growing condition."""
    m = SPD(3)
    one = torch.eye(3, dtype=torch.float64).expand(count, 3, 3).clone()
    x = m.random_normal(one, 0.5, generator())
    cases = {f"{r:g} apart": (x, moved(m, x, r)) for r in SEPARATIONS}
    cases["I to 2 I"] = (one, 2 * one)
    cases["I to diag(1, 1, 2)"] = (one, one + torch.diag(one[0, 2]))
    frames = torch.linalg.qr(normal(2, count, 3, 3))[0]
    for condition in (1e1, 1e2, 1e3, 1e4):
        values = torch.tensor([condition**-0.5, 1.0, condition**0.5], dtype=torch.float64)
        cases[f"conditions {condition:g}"] = tuple(  # type: ignore[assignment]
            frame @ torch.diag(values) @ frame.mT for frame in frames
        )
    return cases


def torus_cases(count: int) -> dict[str, Case]:
    """All angles at one separation, and near the cut."""
    x = 2 * math.pi * torch.rand(count, 7, generator=generator(), dtype=torch.float64)
    sides = normal(count, 7).sign()
    far = {f"pi - {gap:g} apart": math.pi - gap for gap in GAPS}
    apart = {f"{r:g} apart": r for r in SEPARATIONS} | far
    return {name: (x, FlatTorus(7).projx(x + r * sides)) for name, r in apart.items()}


def circle_cases(n: int) -> Callable[[int], dict[str, Case]]:
    """Near pairs and nearly antipodal ones; on rotations (n = 3) angles are halved."""
    scale = 0.5 if n == 3 else 1.0

    def cases(count: int) -> dict[str, Case]:
        found = {f"{r:g} apart": circles(count, n, scale * r) for r in SEPARATIONS}
        for gap in GAPS:
            found[f"pi - {gap:g} apart"] = circles(count, n, scale * (math.pi - gap))
        if n == 3:
            found["other sign, 0.001 apart"] = (found["0.001 apart"][0], -found["0.001 apart"][1])
        return found

    return cases


SPACES: dict[Manifold, Callable[[int], dict[str, Case]]] = {
    Sphere(2): circle_cases(2),
    Sphere(27): circle_cases(27),
    SO3(): circle_cases(3),
    FlatTorus(7): torus_cases,
    Simplex(20): simplex_cases,
    PoincareBall(8): ball_cases,
    Lorentz(8): hyperboloid_cases,
    SPD(3): matrix_cases,
}
