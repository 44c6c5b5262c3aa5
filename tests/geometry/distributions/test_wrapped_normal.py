"""The wrapped normal integrates to one, is what random_normal draws, and is Gaussian up close."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from geometry import SO3, Euclidean, FlatTorus, Product, Simplex, Sphere
from geometry.distributions import WrappedNormal
from geometry.lorentz import Lorentz
from geometry.poincare import PoincareBall

AREAS = {
    "S2": (Sphere(2), [0.0, 0, 1], [1.0, 0, 0], lambda r: 2 * math.pi * r.sin(), math.pi),
    "S3": (
        Sphere(3),
        [0.0, 0, 0, 1],
        [1.0, 0, 0, 0],
        lambda r: 4 * math.pi * r.sin() ** 2,
        math.pi,
    ),
    "SO3": (
        SO3(),
        [1.0, 0, 0, 0],
        [1.0, 0, 0],
        lambda r: 16 * math.pi * (r / 2).sin() ** 2,
        math.pi,
    ),
    "H3": (
        Lorentz(3),
        [1.0, 0, 0, 0],
        [0.0, 1, 0, 0],
        lambda r: 4 * math.pi * r.sinh() ** 2,
        12.0,
    ),
    "B2": (PoincareBall(2), [0.0, 0], [0.5, 0], lambda r: 2 * math.pi * r.sinh(), 12.0),
}


def build(name, std, **options):
    manifold, mean, direction, area, end = AREAS[name]
    mean = torch.tensor(mean, dtype=torch.float64)
    direction = torch.tensor(direction, dtype=torch.float64)
    return WrappedNormal(manifold, mean, std, **options), direction, area, end


@pytest.mark.parametrize("name", AREAS)
@pytest.mark.parametrize("std", [0.2, 1.0])
def test_integrates_to_one_in_polar_coordinates(name, std, polar_mass):
    law, direction, area, end = build(name, std)
    # Neglected: five half turns at least, P(chi_4 > 5 pi) = 1e-51; quadrature is spectral.
    assert abs(polar_mass(law, direction, area, end)[0] - 1) < 1e-9


def test_wide_laws_need_windings(polar_mass):
    law, direction, area, end = build("S2", 2.0)
    assert abs(polar_mass(law, direction, area, end)[0] - 1) < 1e-9
    principal, *_ = build("S2", 2.0, windings=0)
    # exp of the disc |u| < pi alone.
    inside = 1 - math.exp(-(math.pi**2) / 8)
    assert abs(polar_mass(principal, direction, area, end)[0] - inside) < 1e-9


def test_integrates_to_one_on_circle_and_torus():
    count = 64
    grid = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    x = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1)
    torus = WrappedNormal(FlatTorus(2), torch.tensor([1.0, 6.0], dtype=torch.float64), 0.8)
    assert abs(float(torus.log_prob(x).exp().sum()) * (2 * math.pi / count) ** 2 - 1) < 1e-12
    mean = torch.tensor([1.0, 0.0], dtype=torch.float64)
    circle = WrappedNormal(Sphere(1), mean, 0.8)
    points = torch.stack([grid.cos(), grid.sin()], -1)
    assert abs(float(circle.log_prob(points).exp().sum()) * 2 * math.pi / count - 1) < 1e-12
    # The circle as a sphere and as a torus.
    flat = WrappedNormal(FlatTorus(1), torch.zeros(1, dtype=torch.float64), 0.8)
    torch.testing.assert_close(circle.log_prob(points), flat.log_prob(grid[:, None]))


def test_large_deviation_is_uniform_on_the_torus():
    """|first Fourier coefficient| = exp(-sigma^2/2); the bound on windings is 10 sigma here."""
    law = WrappedNormal(FlatTorus(3), torch.zeros(3, dtype=torch.float64), 7.0, windings=12)
    x = law.sample(100, generator=torch.Generator().manual_seed(0))
    assert law.log_prob_normalised(x).abs().max() < 6 * math.exp(-24.5) + 1e-9


@pytest.mark.parametrize("name", AREAS)
def test_small_deviation_is_gaussian(name):
    law, direction, _, _ = build(name, 1e-4)
    r = 1e-4 * torch.tensor([0.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    x = law.manifold.expmap(law.mean.expand(4, -1), r[:, None] * direction)
    n = law.manifold.dim
    gaussian = -((r / 1e-4) ** 2) / 2 - n / 2 * math.log(2 * math.pi * 1e-8)
    # The Jacobian differs from one by (n-1) r^2/6 < 1e-7; r is known to 1e-8 of itself at best.
    torch.testing.assert_close(law.log_prob(x), gaussian, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "std"), [("S2", 0.6), ("S3", 1.2), ("SO3", 0.9), ("H3", 0.8)])
def test_draws_follow_the_density(name, std, polar_mass, fits):
    law, direction, area, end = build(name, std)
    x = law.sample(5000, generator=torch.Generator().manual_seed(1))
    radius = law.manifold.dist(law.mean, x)
    grid = np.linspace(0, end, 60)
    cdf = polar_mass(law, direction, area, grid[1:])
    spline = np.interp
    # Interpolation between 60 nodes is wrong by less than 2e-3, a tenth of the KS threshold.
    fits(radius, lambda r: spline(r, grid, np.concatenate([[0], cdf])))


def test_euclidean_is_the_gaussian():
    law = WrappedNormal(Euclidean(3), torch.ones(3, dtype=torch.float64), 2.0)
    x = law.sample(10, generator=torch.Generator().manual_seed(2))
    expected = stats.multivariate_normal(np.ones(3), 4 * np.eye(3)).logpdf(x.numpy())
    torch.testing.assert_close(law.log_prob(x), torch.from_numpy(expected))


def test_a_product_is_the_product_of_its_weighted_parts():
    """With respect to the weighted volume: it integrates to one over circle times circle."""
    manifold = Product(FlatTorus(1), FlatTorus(1), weights=(4.0, 0.25))
    law = WrappedNormal(manifold, torch.tensor([1.0, 2.0], dtype=torch.float64), 0.5)
    grid = 2 * math.pi * torch.arange(64, dtype=torch.float64) / 64
    x = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1)
    cell = (2 * math.pi / 64) ** 2 * (4.0 * 0.25) ** 0.5
    assert abs(float(law.log_prob(x).exp().sum()) * cell - 1) < 1e-9
    # Deviations 0.5/2 and 0.5/0.5 in radians.
    marginal = law.log_prob(x).exp().sum(1) * cell
    mean = (marginal * (grid - 1).cos()).sum()
    assert abs(float(mean) - math.exp(-(0.25**2) / 2)) < 1e-9


def test_the_singular_windings_are_where_they_should_be():
    """On S^3 with a wide deviation the density does grow like 1/r^2 towards the mean."""
    law, direction, *_ = build("S3", 3.0)
    r = torch.tensor([1e-3, 1e-4], dtype=torch.float64)
    x = law.manifold.expmap(law.mean.expand(2, -1), r[:, None] * direction)
    far, near = law.log_prob(x)
    assert abs(float(near - far) - math.log(100)) < 1e-2
    assert law.log_prob(law.mean).isfinite()


def test_gradients_in_std_and_mean_are_right():
    std = torch.tensor([0.3, 0.9], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    mean = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: WrappedNormal(Sphere(2), mean, s).log_prob(x), std)


def test_quadrature_of_the_chi_law_bounds_the_neglected_mass():
    """The stated bound, P(chi_n > (2 windings + 1) D / sigma), is the tail integral itself."""
    n, std, windings = 2, 2.0, 1
    tail = stats.chi(n).sf(3 * math.pi / std)
    inside, _ = integrate.quad(
        lambda r: r * math.exp(-r * r / 8) / 4, 0, (2 * windings + 1) * math.pi
    )
    assert abs(1 - inside - tail) < 1e-9


def test_bad_input_is_refused():
    mean = torch.tensor([0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match=r"expected std > 0, got -1.0"):
        WrappedNormal(Sphere(2), mean, -1.0)
    with pytest.raises(ValueError, match=r"expected windings >= 0, got -1"):
        WrappedNormal(Sphere(2), mean, 1.0, windings=-1)
    with pytest.raises(ValueError, match=r"expected means on Sphere\(3\) .* got shape \(3,\)"):
        WrappedNormal(Sphere(3), mean, 1.0)
    with pytest.raises(ValueError, match="expected a manifold of constant curvature"):
        WrappedNormal(Simplex(3), mean, 1.0)
