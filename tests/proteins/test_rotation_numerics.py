"""float32 paths of rotations from angle 0 to half a turn; see benchmarks/rotation_numerics."""

import math

import pytest
import torch

from geometry import SO3
from geometry.quaternions import quaternion_multiply
from proteins.losses import geodesic_error, log_error

T = torch.tensor(0.3)
ANGLES = [0.0, 1e-7, 1e-4, 1e-2, 1.0, 3.0, math.pi - 2e-2, math.pi - 1e-3, math.pi - 1e-4]


def exp_log(p, q, t):
    return SO3().expmap(p, t * SO3().logmap(p, q))


ROUTES = [lambda p, q, t: SO3().interpolant(p, q, t)[0], exp_log]
every_route = pytest.mark.parametrize("route", ROUTES, ids=["interpolant", "exp_log"])


def turned(angle, num=1000):
    """Random rotations and others at this angle from them, in float32."""
    generator = torch.Generator().manual_seed(0)
    p = SO3().random_uniform(num, generator=generator, dtype=torch.float64)
    axes = torch.randn(num, 3, generator=generator, dtype=torch.float64)
    axes = axes / axes.norm(dim=-1, keepdim=True)
    half = torch.tensor(angle / 2, dtype=torch.float64)
    by = torch.cat((half.cos().expand(num, 1), half.sin() * axes), -1)
    return p.float(), quaternion_multiply(p, by).float()


@every_route
@pytest.mark.parametrize("angle", ANGLES)
def test_paths_are_right_to_rounding(route, angle):
    """Against float64 from the same float32 numbers, whose own error is 1e-15 at these angles.

    A unit quaternion is rounded to eps/2 in four numbers, an angle is twice that of quaternions,
    and the path takes some ten operations: 2 eps sqrt(4) = 5e-7.
    """
    p, q = turned(angle)
    exact = route(*(SO3().projx(each.double()) for each in (p, q)), T.double())
    there = SO3().projx(route(p, q, T).double())
    assert SO3().dist(there, exact).max() < 5e-7


@every_route
@pytest.mark.parametrize("angle", ANGLES)
def test_both_signs_are_one_rotation(route, angle):
    p, q = turned(angle)
    plain = route(p, q, T)
    for ends in ((p, -q), (-p, q), (-p, -q)):
        assert SO3().dist(plain, route(*ends, T)).max() < 1e-7
    r = turned(1.0)[1]
    for loss in (log_error, geodesic_error):
        wanted = loss(p, q, r).square().sum(-1)
        for ends in ((-p, q, r), (p, -q, r), (p, q, -r)):
            torch.testing.assert_close(loss(*ends).square().sum(-1), wanted)


@every_route
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_and_moderate(route, dtype):
    """At 0, at half a turn, and for I against diag(1, -1, -1), exactly."""
    pairs = [turned(angle) for angle in (*ANGLES, math.pi)]
    still, half = torch.eye(4)[:2].unsqueeze(1)
    pairs += [(still, half), (still, still), (still, -still)]
    for pair in pairs:
        p, q = (each.to(dtype).clone().requires_grad_() for each in pair)
        total = route(p, q, T.to(dtype)).sum() + log_error(p, q, q.detach().flip(0)).sum()
        for gradient in torch.autograd.grad(total, (p, q)):
            assert gradient.isfinite().all()
            assert gradient.abs().max() < 100
