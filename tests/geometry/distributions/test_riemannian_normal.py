"""The Riemannian normal: normaliser against closed forms, draws against the radial law."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats

from geometry import SO3, Euclidean, FlatTorus, Sphere
from geometry.distributions import RiemannianNormal
from geometry.lorentz import Lorentz


def point(*entries):
    return torch.tensor(entries, dtype=torch.float64)


def sphere(n, std):
    return RiemannianNormal(Sphere(n), torch.eye(n + 1, dtype=torch.float64)[0], std)


@pytest.mark.parametrize("std", [1e-6, 1e-3, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("n", [1, 2, 3, 27])
def test_the_normaliser_on_spheres_against_mpmath(n, std):
    mpmath.mp.dps = 30
    # Pieces of one deviation about the peak, where Gauss and Legendre converge at once.
    peak = min(std * math.sqrt(n), math.pi / 2)
    stops = sorted({min(max(peak + k * std, 0.0), math.pi) for k in range(-12, 13)})
    stops = [s for s in stops if s < 3.14] + [mpmath.pi] * (stops[-1] > 3.14)
    integral = mpmath.quad(
        lambda r: mpmath.exp(-(r**2) / (2 * std**2)) * mpmath.sin(r) ** (n - 1), stops
    )
    area = 2 * mpmath.pi ** (mpmath.mpf(n) / 2) / mpmath.gamma(mpmath.mpf(n) / 2)
    assert abs(sphere(n, std).log_normaliser - float(mpmath.log(area * integral))) < 1e-10


@pytest.mark.parametrize("std", [1e-3, 0.5, 2.0])
def test_the_normaliser_in_closed_form_in_hyperbolic_space(std):
    """On H^3: 2 pi sigma sqrt(pi/2) (exp(2 sigma^2) - 1)."""
    law = RiemannianNormal(Lorentz(3), point(1, 0, 0, 0), std)
    closed = 2 * math.pi * std * math.sqrt(math.pi / 2) * math.expm1(2 * std**2)
    assert abs(law.log_normaliser - math.log(closed)) < 1e-10


def test_euclidean_is_the_gaussian():
    law = RiemannianNormal(Euclidean(3), point(1, 1, 1), 2.0)
    x = law.sample(10, generator=torch.Generator().manual_seed(0))
    expected = stats.multivariate_normal(np.ones(3), 4 * np.eye(3)).logpdf(x.numpy())
    torch.testing.assert_close(law.log_prob(x), torch.from_numpy(expected), rtol=0, atol=1e-10)


def test_infinite_deviation_is_uniform_and_small_is_gaussian():
    x = torch.nn.functional.normalize(torch.ones(3, dtype=torch.float64), dim=0)
    for wide in (1e6, math.inf):
        assert abs(float(sphere(2, wide).log_prob_normalised(x))) < 1e-10
        so3 = RiemannianNormal(SO3(), point(1, 0, 0, 0), wide)
        assert abs(float(so3.log_prob_normalised(point(0, 0, 1, 0)))) < 1e-10
    # Z differs from that of the plane by -sigma^2/3.
    narrow = sphere(2, 1e-5)
    assert abs(narrow.log_normaliser - math.log(2 * math.pi * 1e-10)) < 1e-9


@pytest.mark.parametrize(
    ("normal", "weight", "end"),
    [
        (sphere(1, 0.9), lambda r: 1.0, math.pi),
        (sphere(2, 0.8), math.sin, math.pi),
        (sphere(27, 0.3), lambda r: math.sin(r) ** 26, math.pi),
        (
            RiemannianNormal(SO3(), point(1, 0, 0, 0), 1.0),
            lambda r: math.sin(r / 2) ** 2,
            math.pi,
        ),
        (
            RiemannianNormal(Lorentz(3), point(1, 0, 0, 0), 0.7),
            lambda r: math.sinh(r) ** 2,
            9.0,
        ),
    ],
    ids=["S1", "S2", "S27", "SO3", "H3"],
)
def test_draws_follow_the_radial_law(normal, weight, end, fits):
    x = normal.sample(20000, generator=torch.Generator().manual_seed(1))
    radius = normal.manifold.dist(normal.mean, x)
    grid = np.linspace(0, end, 4001)
    density = np.array([math.exp(-(r**2) / (2 * normal.std**2)) * weight(r) for r in grid])
    cdf = integrate.cumulative_simpson(density, x=grid, initial=0)
    fits(radius, lambda r: np.interp(r, grid, cdf / cdf[-1]))


def test_directions_are_uniform():
    """Chi-squared over 12 equal sectors of longitude times 4 quantiles of the radius."""
    law = sphere(2, 0.8)
    x = law.sample(20000, generator=torch.Generator().manual_seed(2)).numpy()
    sector = np.floor((np.arctan2(x[:, 2], x[:, 1]) + np.pi) / (2 * np.pi) * 12).clip(0, 11)
    quarter = np.argsort(np.argsort(x[:, 0])) * 4 // len(x)
    counts = np.bincount((12 * quarter + sector).astype(int), minlength=48)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_integrates_to_one_over_the_sphere(sphere_mass):
    law = RiemannianNormal(Sphere(2), point(0.6, 0, 0.8), 0.7)
    # The density has a cone at the antipode, so that the grid converges slowly there.
    assert abs(sphere_mass(law) - 1) < 1e-6


def test_compile_in_one_graph():
    law = sphere(2, 0.5)
    x = law.sample(4, generator=torch.Generator().manual_seed(3))
    compiled = torch.compile(law.log_prob, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), law.log_prob(x))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected std > 0, got 0"):
        sphere(2, 0)
    with pytest.raises(ValueError, match=r"expected a finite std on Lorentz\(2\), got inf"):
        RiemannianNormal(Lorentz(2), point(1, 0, 0), math.inf)
    with pytest.raises(ValueError, match=r"constant curvature .* got FlatTorus\(3\)"):
        RiemannianNormal(FlatTorus(3), point(1, 0, 0), 1.0)
