"""float32 geodesics against 40 digits computed from the same float32 inputs.

The points of a pair are scaled to the manifold in the reference, since rounding moves them off
it by eps. The error of x_t is absolute, that of the velocity relative to its length; both are
the largest over 16 pairs and must stay below 16 eps = 2e-6, at every separation. (Libraries that
take arc cosines or Gram-Schmidt lose all digits at 1e-3 to 1e-6 from either end.)
"""

import mpmath as mp
import pytest
import torch

from geometry import SO3, FlatTorus, PositiveOrthant, Simplex, Sphere

mp.mp.dps = 40
PAIRS = 16
LIMIT = 16 * torch.finfo(torch.float32).eps
SEPARATIONS = (1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def unit(x):
    norm = mp.sqrt(mp.fsum(a * a for a in x))
    return [a / norm for a in x]


def great_circle(x0, x1, t):
    """(x_t, u_t, angle) between two lists of numbers, in 40 digits."""
    x0, x1 = unit(x0), unit(x1)
    chord = mp.sqrt(mp.fsum((b - a) ** 2 for a, b in zip(x0, x1, strict=True)))
    sum_ = mp.sqrt(mp.fsum((b + a) ** 2 for a, b in zip(x0, x1, strict=True)))
    theta = 2 * mp.atan2(chord, sum_)
    if theta == 0:
        return x0, [mp.mpf(0)] * len(x0), theta
    w0, w1 = mp.sin((1 - t) * theta) / mp.sin(theta), mp.sin(t * theta) / mp.sin(theta)
    v0 = -theta * mp.cos((1 - t) * theta) / mp.sin(theta)
    v1 = theta * mp.cos(t * theta) / mp.sin(theta)
    x_t = [w0 * a + w1 * b for a, b in zip(x0, x1, strict=True)]
    u_t = [v0 * a + v1 * b for a, b in zip(x0, x1, strict=True)]
    return x_t, u_t, theta


def numbers(x):
    return [mp.mpf(a) for a in x.tolist()]


def worst(manifold, reference, x0, x1, t):
    """Largest errors of x_t, of the velocity and of the distance (both relative)."""
    x_t, u_t = manifold.interpolant(x0, x1, t)
    distance = manifold.dist(x0, x1)
    errors = []
    for i in range(len(x0)):
        x, u, length = reference(numbers(x0[i]), numbers(x1[i]), mp.mpf(t[i].item()))
        point = max(abs(a - b) for a, b in zip(x, numbers(x_t[i]), strict=True))
        size = mp.sqrt(mp.fsum(a * a for a in u))
        wrong = mp.sqrt(mp.fsum((a - b) ** 2 for a, b in zip(u, numbers(u_t[i]), strict=True)))
        off = abs(mp.mpf(distance[i].item()) - length)
        errors.append((point, wrong / size, off / length))
    return [float(max(column)) for column in zip(*errors, strict=True)]


def sphere_pairs(n, separation, seed=1):
    """float32 pairs at a given angle, made in float64."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, PAIRS, n + 1, generator=generator, dtype=torch.float64)
    x = x / x.norm(dim=-1, keepdim=True)
    y = y - (x * y).sum(-1, keepdim=True) * x
    y = y / y.norm(dim=-1, keepdim=True)
    t = torch.rand(PAIRS, generator=generator)
    angle = torch.tensor(separation, dtype=torch.float64)
    return x.float(), (angle.cos() * x + angle.sin() * y).float(), t


@pytest.mark.parametrize("n", [1, 2, 27])
@pytest.mark.parametrize("separation", SEPARATIONS, ids=str)
def test_spheres_near_coincidence(n, separation):
    assert max(worst(Sphere(n), great_circle, *sphere_pairs(n, separation))) < LIMIT


@pytest.mark.parametrize("n", [1, 2, 27])
@pytest.mark.parametrize("gap", SEPARATIONS, ids=str)
def test_spheres_near_antipodes(n, gap):
    assert max(worst(Sphere(n), great_circle, *sphere_pairs(n, torch.pi - gap))) < LIMIT


def quaternion_path(p, q, t):
    """Reference on SO3: q_t and the body angular velocity 2 q_t* dq_t/dt."""
    if mp.fsum(a * b for a, b in zip(p, q, strict=True)) < 0:
        q = [-a for a in q]
    (w, x, y, z), (a, b, c, d), theta = great_circle(p, q, t)
    omega = (
        w * b - x * a - y * d + z * c,
        w * c + x * d - y * a - z * b,
        w * d - x * c + y * b - z * a,
    )
    return [w, x, y, z], [2 * part for part in omega], 2 * theta


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("separation", SEPARATIONS, ids=str)
def test_rotations_near_coincidence(sign, separation):
    x, y, t = sphere_pairs(3, separation / 2)
    assert max(worst(SO3(), quaternion_path, x, sign * y, t)) < LIMIT


@pytest.mark.parametrize("gap", SEPARATIONS, ids=str)
def test_rotations_near_half_turns(gap):
    x, y, t = sphere_pairs(3, (torch.pi - gap) / 2)
    assert max(worst(SO3(), quaternion_path, x, y, t)) < LIMIT


@pytest.mark.parametrize("separation", SEPARATIONS, ids=str)
def test_orthant(separation):
    x, y, t = simplex_pairs(20, separation)
    x, y = (z.double().sqrt().float() for z in (x, y))
    assert max(worst(PositiveOrthant(20), great_circle, x, y, t)) < LIMIT


def simplex_path(p, q, t):
    """Reference on the simplex: squares of a great circle of square roots."""
    y, dy, theta = great_circle([mp.sqrt(a) for a in p], [mp.sqrt(a) for a in q], t)
    return [a * a for a in y], [2 * a * b for a, b in zip(y, dy, strict=True)], 2 * theta


def simplex_pairs(k, separation):
    generator = torch.Generator().manual_seed(1)
    p = Simplex(k).random_uniform(PAIRS, generator=generator, dtype=torch.float64)
    noise = torch.randn(PAIRS, k, generator=generator, dtype=torch.float64)
    y = p.sqrt()
    q = (y + 0.5 * separation * noise / noise.norm(dim=-1, keepdim=True)).abs().square()
    return p.float(), (q / q.sum(-1, keepdim=True)).float(), torch.rand(PAIRS, generator=generator)


@pytest.mark.parametrize("separation", SEPARATIONS, ids=str)
def test_simplex_near_coincidence(separation):
    assert max(worst(Simplex(20), simplex_path, *simplex_pairs(20, separation))) < LIMIT


@pytest.mark.parametrize("small", [0.0, 1e-30, 1e-12, 1e-6, 1e-3], ids=str)
def test_simplex_near_the_boundary(small):
    p, q, t = simplex_pairs(20, 0.3)
    p[:, 0] = small
    q[:, 1] = small
    p, q = (z.double().div(z.double().sum(-1, keepdim=True)).float() for z in (p, q))
    assert max(worst(Simplex(20), simplex_path, p, q, t)) < LIMIT


def test_simplex_vertices():
    p, q = torch.eye(20)[:PAIRS], torch.full((PAIRS, 20), 0.05)
    t = torch.rand(PAIRS, generator=torch.Generator().manual_seed(2))
    for a, b in ((p, q), (q, p), (p, p.roll(1, -1))):
        assert max(worst(Simplex(20), simplex_path, a, b, t)) < LIMIT


def torus_path(x, y, t):
    delta = [b - a - 2 * mp.pi * mp.nint((b - a) / (2 * mp.pi)) for a, b in zip(x, y, strict=True)]
    x_t = [a + t * d for a, d in zip(x, delta, strict=True)]
    length = mp.sqrt(mp.fsum(d * d for d in delta))
    return [a - 2 * mp.pi * mp.floor(a / (2 * mp.pi)) for a in x_t], delta, length


@pytest.mark.parametrize("separation", [3.14, 1.0, 0.1, 1e-3, 1e-5], ids=str)
def test_torus(separation):
    generator = torch.Generator().manual_seed(1)
    x = 0.5 + 5 * torch.rand(PAIRS, 7, generator=generator)
    y = FlatTorus(7).projx(x + separation * (2 * torch.rand(PAIRS, 7, generator=generator) - 1))
    t = torch.rand(PAIRS, generator=generator)
    x_error, u_error, length_error = worst(FlatTorus(7), torus_path, x, y, t)
    assert x_error < LIMIT
    assert max(u_error, length_error) < LIMIT
