"""Geodesics in 40 digits, from formulas other than the library's: what float32 is held to.

Each function takes two points as lists of numbers and a time, and gives (x_t, dx_t/dt). Points
are first scaled to their manifold, since float32 rounds them off it. Arc cosines and plain slerp
would be poor in float32; in 40 digits they are the simplest independent check.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import torch

from geometry import SO3, SPD, FlatTorus, Lorentz, PoincareBall, Simplex, Sphere
from geometry.manifold import Manifold

mp.mp.dps = 40
Vector = list[mp.mpf]
Curve = tuple[Vector, Vector]
Reference = Callable[[Vector, Vector, mp.mpf], Curve]


def dot(x: Vector, y: Vector) -> mp.mpf:
    """Scalar product."""
    return mp.fsum(a * b for a, b in zip(x, y, strict=True))


def blend(a: mp.mpf, x: Vector, b: mp.mpf, y: Vector) -> Vector:
    """a x + b y."""
    return [a * p + b * q for p, q in zip(x, y, strict=True)]


def unit(x: Vector) -> Vector:
    """x/|x|."""
    size = mp.sqrt(dot(x, x))
    return [a / size for a in x]


def sphere(x: Vector, y: Vector, t: mp.mpf) -> Curve:
    """Slerp, the angle from an arc cosine."""
    x, y = unit(x), unit(y)
    theta = mp.acos(min(max(dot(x, y), mp.mpf(-1)), mp.mpf(1)))
    if theta < mp.mpf(10) ** -18:
        return x, [mp.mpf(0)] * len(x)
    sine = mp.sin(theta)
    x_t = blend(mp.sin((1 - t) * theta) / sine, x, mp.sin(t * theta) / sine, y)
    before, after = -theta * mp.cos((1 - t) * theta) / sine, theta * mp.cos(t * theta) / sine
    return x_t, blend(before, x, after, y)


def rotations(p: Vector, q: Vector, t: mp.mpf) -> Curve:
    """q_t and 2 q_t* dq_t/dt, to the nearer of q and -q."""
    q = q if dot(p, q) >= 0 else [-a for a in q]
    (w, x, y, z), (a, b, c, d) = sphere(p, q, t)
    omega = (
        w * b - x * a - y * d + z * c,
        w * c + x * d - y * a - z * b,
        w * d - x * c + y * b - z * a,
    )
    return [w, x, y, z], [2 * part for part in omega]


def simplex(p: Vector, q: Vector, t: mp.mpf) -> Curve:
    """Squares of slerp between square roots."""
    y, dy = sphere([mp.sqrt(a) for a in p], [mp.sqrt(a) for a in q], t)
    return [a * a for a in y], [2 * a * b for a, b in zip(y, dy, strict=True)]


def torus(x: Vector, y: Vector, t: mp.mpf) -> Curve:
    """The shortest arcs; x_t unwrapped."""
    turn = 2 * mp.pi
    delta = [b - a - turn * mp.nint((b - a) / turn) for a, b in zip(x, y, strict=True)]
    return blend(mp.mpf(1), x, t, delta), delta


def lorentz(x: Vector, y: Vector, t: mp.mpf) -> Curve:
    """Hyperbolic slerp, the distance from an inverse cosh."""
    x, y = ([mp.sqrt(1 + dot(z[1:], z[1:])), *z[1:]] for z in (x, y))
    theta = mp.acosh(max(2 * x[0] * y[0] - dot(x, y), mp.mpf(1)))
    if theta < mp.mpf(10) ** -18:
        return x, [mp.mpf(0)] * len(x)
    sine = mp.sinh(theta)
    x_t = blend(mp.sinh((1 - t) * theta) / sine, x, mp.sinh(t * theta) / sine, y)
    before, after = -theta * mp.cosh((1 - t) * theta) / sine, theta * mp.cosh(t * theta) / sine
    return x_t, blend(before, x, after, y)


def poincare(x: Vector, y: Vector, t: mp.mpf) -> Curve:
    """The hyperboloid's geodesic, seen from (-1, 0)."""
    lifted = [[mp.mpf(0), *(2 * a / (1 - dot(z, z)) for a in z)] for z in (x, y)]
    (time, *space), (rise, *drift) = lorentz(*lifted, t)
    x_t = [a / (1 + time) for a in space]
    return x_t, [(b - a * rise) / (1 + time) for a, b in zip(x_t, drift, strict=True)]


def positive_definite(x: Vector, y: Vector, t: mp.mpf) -> Curve:
    """x^(1/2) (x^(-1/2) y x^(-1/2))^t x^(1/2), by eigenvalues."""
    n = int(len(x) ** 0.5)
    a, b = (mp.matrix([z[i * n : i * n + n] for i in range(n)]) for z in (x, y))
    a, b = (a + a.T) / 2, (b + b.T) / 2
    values, vectors = mp.eigsy(a)
    root = vectors * mp.diag([mp.sqrt(v) for v in values]) * vectors.T
    inverse = vectors * mp.diag([1 / mp.sqrt(v) for v in values]) * vectors.T
    w = inverse * b * inverse
    values, vectors = mp.eigsy((w + w.T) / 2)
    frame = root * vectors
    x_t = frame * mp.diag([v**t for v in values]) * frame.T
    u_t = frame * mp.diag([v**t * mp.log(v) for v in values]) * frame.T
    return list(x_t), list(u_t)


REFERENCES: dict[type[Manifold], Reference] = {
    Sphere: sphere,
    SO3: rotations,
    Simplex: simplex,
    FlatTorus: torus,
    Lorentz: lorentz,
    PoincareBall: poincare,
    SPD: positive_definite,
}


def same_point(manifold: Manifold, x: torch.Tensor, reference: Vector) -> Vector:
    """The representative nearest to ``x``: angles and quaternions have several."""
    if isinstance(manifold, FlatTorus):
        turn = 2 * mp.pi
        here = [mp.mpf(a) for a in x.tolist()]
        return [b + turn * mp.nint((a - b) / turn) for a, b in zip(here, reference, strict=True)]
    if (
        isinstance(manifold, SO3)
        and sum(a * b for a, b in zip(x.tolist(), reference, strict=True)) < 0
    ):
        return [-a for a in reference]
    return reference
