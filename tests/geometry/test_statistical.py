"""Fisher-Rao manifolds: the definition by quadrature, geomstats, and the laws."""

import math

import pytest
import torch

from geometry.geomstats_adapter import GeomstatsManifold, geomstats_module
from geometry.simplex import Simplex
from geometry.statistical import Categorical, Gaussian, dirichlet

M = Gaussian()
DOUBLE = torch.float64


def points(count, seed, dtype=DOUBLE):
    origin = torch.tensor([0.3, 1.0], dtype=dtype).expand(count, 2)
    return M.random_normal(origin, 1.0, torch.Generator().manual_seed(seed))


def test_the_gaussian_metric_is_the_fisher_information():
    """E[s s^T] of the score s by the trapezoidal rule, exact to rounding on such integrands."""
    mu, sigma = torch.tensor([0.4, 0.7], dtype=DOUBLE)
    x = torch.linspace(-12, 12, 4001, dtype=DOUBLE) * sigma + mu
    z = (x - mu) / sigma
    density = torch.exp(-z.square() / 2) / (sigma * math.sqrt(2 * math.pi))
    score = torch.stack([z / sigma, (z.square() - 1) / sigma])
    information = torch.trapezoid(score.unsqueeze(0) * score.unsqueeze(1) * density, x)
    axes = torch.eye(2, dtype=DOUBLE)
    metric = M.inner(torch.stack([mu, sigma]), axes.unsqueeze(0), axes.unsqueeze(1))
    assert torch.allclose(metric, information, rtol=1e-12, atol=1e-12)


def test_gaussian_against_geomstats():
    module = geomstats_module("geomstats.information_geometry.normal")
    peer = GeomstatsManifold.build(module.NormalDistributions, 1)
    x, y, t = points(16, 1), points(16, 2), torch.linspace(0, 1, 16, dtype=DOUBLE)
    u = M.logmap(x, y)
    close = {"rtol": 1e-9, "atol": 1e-9}  # geomstats goes through the ball and arc cosines
    assert torch.allclose(M.dist(x, y), peer.dist(x, y), **close)
    assert torch.allclose(u, peer.logmap(x, y), **close)
    assert torch.allclose(M.expmap(x, u), peer.expmap(x, u), **close)
    for a, b in zip(M.interpolant(x, y, t), peer.interpolant(x, y, t), strict=True):
        assert torch.allclose(a, b, **close)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_gaussian_laws(dtype):
    x, y, z = (points(64, seed, dtype) for seed in (1, 2, 3))
    t = torch.rand(64, generator=torch.Generator().manual_seed(4), dtype=dtype)
    u, v = M.logmap(x, y), M.logmap(x, z)
    # Chains of about 20 operations on numbers up to e^3.
    slack = 64 * 20 * torch.finfo(dtype).eps
    carried = M.transp(x, y, v)
    assert (M.expmap(x, u) - y).abs().max() < slack
    assert (M.norm(x, u) - M.dist(x, y)).abs().max() < slack
    assert (M.norm(y, carried) - M.norm(x, v)).abs().max() < slack
    assert (M.transp(x, y, u) + M.logmap(y, x)).abs().max() < slack
    x_t, u_t = M.interpolant(x, y, t)
    assert (M.norm(x_t, u_t) - M.dist(x, y)).abs().max() < slack
    _, slope = torch.func.jvp(lambda s: M.geodesic(x, y, s), (t,), (torch.ones_like(t),))
    assert (slope - u_t).abs().max() < slack


def test_transport_turns_no_angle_in_small_triangles():
    """Holonomy is the integral of the curvature -1/2: angle = area/2, to third order."""
    x = torch.tensor([0.0, 1.0], dtype=DOUBLE)
    a, b = (torch.tensor(v, dtype=DOUBLE) for v in ((1e-3, 0.0), (0.0, 1e-3 / math.sqrt(2))))
    y, z = M.expmap(x, a), M.expmap(x, b)
    round_trip = M.transp(z, x, M.transp(y, z, M.transp(x, y, a)))
    angle = M.inner(x, round_trip, b) / 1e-6
    assert abs(abs(angle) - 0.5e-6 / 2) < 1e-9


def test_a_thousandfold_wider_law_keeps_its_digits():
    """sigma_t = sigma_0^(1-t) sigma_1^t to 16 eps of log 1e6: nothing cancels."""
    x, y = torch.tensor([0.0, 1e-3]), torch.tensor([0.0, 1e3])
    t = torch.tensor([0.1, 0.5, 0.9])
    x_t, u_t = M.interpolant(x, y, t)
    wanted = 1e-3 * torch.exp(t.double() * math.log(1e6))
    slack = 16 * math.log(1e6) * torch.finfo(torch.float32).eps
    assert ((x_t[:, 1] / wanted) - 1).abs().max() < slack
    assert ((u_t[:, 1] / (wanted * math.log(1e6))) - 1).abs().max() < slack


def test_gaussian_gradients_are_finite_and_right_at_coincident_points():
    x = torch.tensor([[0.3, 0.7], [0.3, 0.7]], dtype=DOUBLE)
    y = torch.tensor([[0.3, 0.7], [0.3, 1.9]], dtype=DOUBLE)
    t = torch.tensor([0.3, 0.6], dtype=DOUBLE)

    def maps(a, b):
        return (*M.interpolant(a, b, t), M.logmap(a, b), M.expmap(a, b - a))

    assert torch.autograd.gradcheck(maps, (x.requires_grad_(), y.requires_grad_()))
    (grad,) = torch.autograd.grad(M.dist(x, x.detach()).sum(), x)
    assert torch.equal(grad, torch.zeros_like(grad))


def test_categorical_is_the_simplex():
    assert Categorical is Simplex


def test_dirichlet_metric_and_length():
    """Inner products against psi'; a speed equal to the distance of the solver, tol 1e-3."""
    m = dirichlet(2)
    alpha = torch.tensor([1.5, 2.5], dtype=DOUBLE)
    u = torch.tensor([0.3, -0.2], dtype=DOUBLE)
    trigamma = torch.special.polygamma(1, torch.cat([alpha, alpha.sum(-1, keepdim=True)]))
    wanted = (trigamma[:2] * u.square()).sum() - trigamma[2] * u.sum().square()
    assert torch.allclose(m.inner(alpha, u, u), wanted)
    beta = torch.tensor([2.0, 2.0], dtype=DOUBLE)
    assert abs(m.norm(alpha, m.logmap(alpha, beta)) - m.dist(alpha, beta)) < 1e-3
    assert torch.get_default_dtype() == torch.float32


def test_bad_points_are_named():
    with pytest.raises(ValueError, match=r"Gaussian\(\) with sigma > 0, got -1 at index \(1,\)"):
        M.check_point(torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
    with pytest.raises(ValueError, match="k >= 2 categories, got k = 1"):
        dirichlet(1)
    with pytest.raises(ValueError, match="finite volume"):
        M.random_uniform(1)
