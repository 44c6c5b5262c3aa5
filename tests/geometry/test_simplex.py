"""Simplex and orthant against geomstats, their boundary, and the Dirichlet(1/2) law."""

import math

import pytest
import torch

from geometry import PositiveOrthant, Simplex, Sphere


def draw(k, count, seed):
    generator = torch.Generator().manual_seed(seed)
    return Simplex(k).random_uniform(count, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("k", [2, 5, 20])
def test_geomstats_agrees(geomstats, k):
    space = geomstats("information_geometry.categorical").CategoricalDistributions(k - 1)
    m, p, q = Simplex(k), draw(k, 50, 1), draw(k, 50, 2)
    log = m.logmap(p, q)
    assert torch.allclose(space.metric.log(q, p), log, rtol=0, atol=1e-12)
    assert torch.allclose(space.metric.exp(log, p), q, rtol=0, atol=1e-12)
    assert torch.allclose(space.metric.dist(p, q), m.dist(p, q), rtol=0, atol=1e-12)
    inner = space.metric.inner_product(log, log, p)
    assert torch.allclose(inner, m.inner(p, log, log), rtol=1e-12, atol=0)


def test_orthant_is_the_sphere_and_half_the_simplex():
    p, q = draw(6, 50, 3), draw(6, 50, 4)
    t = torch.linspace(0, 1, 50, dtype=torch.float64)
    x, y = p.sqrt(), q.sqrt()
    orthant = PositiveOrthant(6)
    for a, b in zip(orthant.interpolant(x, y, t), Sphere(5).interpolant(x, y, t), strict=True):
        assert (a - b).abs().max() < 1e-14
    assert (2 * orthant.dist(x, y) - Simplex(6).dist(p, q)).abs().max() < 1e-13
    assert (orthant.geodesic(x, y, t).square() - Simplex(6).geodesic(p, q, t)).abs().max() < 1e-14


def test_edges_are_exact(dtype):
    """Categories that both ends lack stay at zero, and vertices are met exactly."""
    m, e = Simplex(4), torch.eye(4, dtype=dtype)
    t = torch.linspace(0, 1, 11, dtype=dtype)
    p, u = m.interpolant(e[0], e[1], t)
    assert (p[:, 2:] == 0).all()
    assert (u[:, 2:] == 0).all()
    angle = math.pi / 2 * t
    assert (p[:, 1] - angle.sin().square()).abs().max() < 4 * torch.finfo(dtype).eps
    assert (m.dist(e[0], e) - math.pi * (1 - e[0])).abs().max() < 4 * torch.finfo(dtype).eps
    assert (p >= 0).all()


def test_dirichlet_half_moments():
    """E p_i = 1/K and Var p_i = (1/K)(1 - 1/K)/(K/2 + 1): z below 5."""
    k, count = 4, 100_000
    p = draw(k, count, 5)
    variance = (1 / k) * (1 - 1 / k) / (k / 2 + 1)
    assert ((p.mean(0) - 1 / k) * math.sqrt(count / variance)).abs().max() < 5
    fourth = (p - 1 / k).pow(2)
    assert ((fourth.mean(0) - variance) / fourth.std(0) * math.sqrt(count)).abs().max() < 5


@pytest.mark.parametrize("k", [2, 3, 7])
def test_volumes(k):
    volume = math.pi ** (k / 2) / math.gamma(k / 2)
    assert Simplex(k).log_uniform() == pytest.approx(-math.log(volume), rel=1e-13)
    half = PositiveOrthant(k).log_uniform() - (k - 1) * math.log(2)
    assert half == pytest.approx(-math.log(volume), rel=1e-13)


def test_exp_is_reflected_at_the_boundary():
    m, p = Simplex(3), torch.tensor([0.01, 0.495, 0.495], dtype=torch.float64)
    u = m.proju(p, torch.tensor([-1.0, 0, 0], dtype=torch.float64))
    m.check_point(m.expmap(p, u))
    y = PositiveOrthant(3).expmap(p.sqrt(), 0.5 * u / p.sqrt())
    assert (y.square() - m.expmap(p, u)).abs().max() < 1e-15


def test_projections():
    m = Simplex(3)
    assert torch.equal(m.projx(torch.tensor([-1.0, 1, 3])), torch.tensor([0, 0.25, 0.75]))
    p = torch.tensor([0.0, 0.5, 0.5])
    assert torch.equal(m.proju(p, torch.tensor([7.0, 1, 0])), torch.tensor([0, 0.5, -0.5]))


def test_gradient_at_a_vertex_is_finite():
    p = torch.eye(3)[0].requires_grad_()
    x, u = Simplex(3).interpolant(p, torch.eye(3)[1], torch.tensor(0.5))
    (x.square().sum() + u.square().sum()).backward()
    assert p.grad.isfinite().all()


def test_messages():
    m = Simplex(3)
    with pytest.raises(ValueError, match=r"Simplex\(K\) with an integer K >= 2, got K = 1"):
        Simplex(1)
    with pytest.raises(ValueError, match=r"with min\(p, 0\) = 0 .* = -0.5 at index \(0,\)"):
        m.check_point(torch.tensor([[-0.5, 1, 0.5]]))
    with pytest.raises(ValueError, match=r"sum\(p\) = 1 within 3.5e-04, got sum\(p\) = 2"):
        m.check_point(torch.tensor([1.0, 1, 0]))
    with pytest.raises(ValueError, match=r"where p = 0"):
        m.check_tangent(torch.tensor([1.0, 0, 0]), torch.tensor([-1.0, 1, 0]))
    with pytest.raises(ValueError, match=r"PositiveOrthant\(2\) with min\(x, 0\)"):
        PositiveOrthant(2).check_point(torch.tensor([-1.0, 0]))
