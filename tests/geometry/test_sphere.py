"""Spheres against geomstats, moments of the uniform law, and the circles through antipodes."""

import math

import pytest
import torch

from geometry import Sphere


def draw(n, count, seed):
    generator = torch.Generator().manual_seed(seed)
    return Sphere(n).random_uniform(count, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 27])
def test_geomstats_agrees(geomstats, n):
    peer = geomstats("geometry.hypersphere").Hypersphere(n).metric
    m, x, y = Sphere(n), draw(n, 50, 1), draw(n, 50, 2)
    v, log = m.proju(x, draw(n, 50, 3)), m.logmap(x, y)
    close = {"rtol": 0, "atol": 1e-10}
    assert torch.allclose(peer.log(y, x), log, **close)
    assert torch.allclose(peer.exp(v, x), m.expmap(x, v), **close)
    assert torch.allclose(peer.dist(x, y), m.dist(x, y), **close)
    carried = peer.parallel_transport(v, x, direction=log)
    assert torch.allclose(carried, m.transp(x, y, v), **close)


@pytest.mark.parametrize("n", [1, 2, 9])
def test_uniform_moments(n):
    """E x = 0 and E x x^T = 1/(n + 1): z of every entry below 5."""
    count = 20_000
    x = draw(n, count, 4)
    assert (x.mean(0) * math.sqrt(count * (n + 1))).abs().max() < 5
    second = x[:, :, None] * x[:, None, :]
    z = (second.mean(0) - torch.eye(n + 1) / (n + 1)) / second.std(0) * math.sqrt(count)
    assert z.abs().max() < 5


@pytest.mark.parametrize(("n", "area"), [(1, 2 * math.pi), (2, 4 * math.pi), (3, 2 * math.pi**2)])
def test_volume(n, area):
    assert Sphere(n).log_uniform() == pytest.approx(-math.log(area), rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 27])
def test_antipodes_take_one_half_circle(n, dtype):
    """Every method sees the same half circle, and its points stay on the sphere."""
    axes = torch.eye(n + 1, dtype=dtype)
    x = torch.cat((draw(n, 20, 5).to(dtype), axes, -axes))
    m, eps = Sphere(n), torch.finfo(dtype).eps
    x_t, u_t = m.interpolant(x, -x, torch.full((len(x),), 0.3, dtype=dtype))
    assert (m.dist(x, -x) == x.new_tensor(math.pi)).all()
    assert (m.norm(x_t, u_t) - math.pi).abs().max() < 16 * eps
    assert (m.expmap(x, 0.3 * m.logmap(x, -x)) - x_t).abs().max() < 16 * eps
    carried = m.transp(x, -x, m.logmap(x, -x))
    at_end = m.interpolant(x, -x, torch.ones(len(x), dtype=dtype))[1]
    assert (carried - at_end).abs().max() < 16 * eps


@pytest.mark.parametrize("n", [1, 2, 27])
def test_antipodes_up_to_rounding_stay_on_the_sphere(n):
    """A pair x, -(1 + eps) x has s parallel to x, which must not be taken for a direction."""
    x = draw(n, 200, 6).float()
    noise = torch.randn(200, 1, generator=torch.Generator().manual_seed(7))
    y = -x * (1 + 2e-7 * noise)
    x_t, u_t = Sphere(n).interpolant(x, y, torch.full((200,), 0.4))
    assert (x_t.norm(dim=-1) - 1).abs().max() < 1e-6
    assert (u_t.norm(dim=-1) - math.pi).abs().max() < 4e-6
    assert (x_t * u_t).sum(-1).abs().max() < 4e-6


def test_rotations_commute_with_the_interpolant():
    x, y = draw(4, 30, 8), draw(4, 30, 9)
    q, _ = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(10)).double())
    t = torch.linspace(0, 1, 30, dtype=torch.float64)
    turned = Sphere(4).interpolant(x @ q, y @ q, t)
    for a, b in zip(Sphere(4).interpolant(x, y, t), turned, strict=True):
        assert (a @ q - b).abs().max() < 1e-13


def test_zero_has_no_nearest_point_but_no_nan():
    x = torch.zeros(3, requires_grad=True)
    y = Sphere(2).projx(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_messages():
    with pytest.raises(ValueError, match=r"Sphere\(n\) with an integer n >= 1, got n = 0"):
        Sphere(0)
    with pytest.raises(ValueError, match=r"got n = 2\.0"):
        Sphere(2.0)
    x = torch.eye(3)
    with pytest.raises(
        ValueError,
        match=r"expected points on Sphere\(2\) with last dimension 3, got shape \(8, 4\)",
    ):
        Sphere(2).check_point(torch.zeros(8, 4))
    with pytest.raises(
        ValueError, match=r"\|x\| = 1 within 3.5e-04, got \|x\| = 1.5 at index \(1,\); project"
    ):
        Sphere(2).check_point(x * torch.tensor([[1.0], [1.5], [2.0]]))
    with pytest.raises(ValueError, match=r"<x, u>/\(1 \+ \|u\|\) = 0 .* = 0.5 at index \(2,\)"):
        Sphere(2).check_tangent(x, torch.stack((x[1], x[2], x[2])))
    assert repr(Sphere(2)) == "Sphere(2)"
    assert Sphere(2) == Sphere(2) != Sphere(3)
    assert len({Sphere(2), Sphere(2), Sphere(3)}) == 2
