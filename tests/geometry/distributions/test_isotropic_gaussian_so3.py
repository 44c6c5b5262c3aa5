"""IGSO(3): both series against mpmath, the heat equation, draws, composition, score."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate

from geometry import SO3, quaternion_multiply
from geometry.distributions import IsotropicGaussianSO3
from geometry.distributions.so3_heat_kernel import heat_kernel_slope, log_heat_kernel

ANGLES = [0.0, 1e-8, 1e-4, 0.01, 0.39, 0.41, 1.0, 3.0, math.pi - 1e-4, math.pi]
DEVIATIONS = [0.2, 0.6, 0.99, 1.0, 1.5, 4.0]
IDENTITY = [1.0, 0.0, 0.0, 0.0]


def characters(angle, std):
    """The sum over representations; exp(-pi^2 / 2 std^2) cancels 54 of 120 digits at most."""
    t = mpmath.mpf(std) ** 2
    top = int(20 / std) + 5
    total = mpmath.mpf(0)
    chi = mpmath.mpf(1)
    for l in range(top):
        chi = chi if l == 0 else chi + 2 * mpmath.cos(l * angle)
        total += (2 * l + 1) * mpmath.exp(-l * (l + 1) * t / 2) * chi
    return total


def gaussian(std, dtype=torch.float64):
    return IsotropicGaussianSO3(torch.tensor(IDENTITY, dtype=dtype), std)


@pytest.mark.parametrize("std", DEVIATIONS)
def test_both_series_against_mpmath(std, dtype):
    mpmath.mp.dps = 120
    angle = torch.tensor(ANGLES, dtype=dtype)
    sigma = torch.tensor(std, dtype=dtype)
    expected = [mpmath.log(characters(mpmath.mpf(a), sigma.item())) for a in angle.tolist()]
    expected = torch.tensor([float(e) for e in expected], dtype=torch.float64)
    # Twenty roundings, and as many of the exponent angle^2 / 2 sigma^2.
    tol = 20 * torch.finfo(dtype).eps
    actual = log_heat_kernel(angle, sigma).double()
    torch.testing.assert_close(actual, expected, rtol=tol, atol=tol)


@pytest.mark.parametrize("std", DEVIATIONS)
def test_the_slope_is_the_derivative(std):
    mpmath.mp.dps = 120
    angle = torch.tensor([1e-6, 1e-3, 0.39, 0.41, 1.0, 3.0], dtype=torch.float64)
    slope = heat_kernel_slope(angle, torch.tensor(std, dtype=torch.float64))
    expected = [
        mpmath.diff(lambda w: mpmath.log(characters(w, std)), mpmath.mpf(a)) / a
        for a in angle.tolist()
    ]
    expected = torch.tensor([float(e) for e in expected], dtype=torch.float64)
    torch.testing.assert_close(slope, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("std", [1e-6, 1e-3, 0.3, 1.0, 1.5, 10.0, 1e30])
def test_values_gradients_and_score_are_finite_at_zero_and_pi(std, dtype):
    q = torch.tensor([IDENTITY, [-1.0, 0, 0, 0], [0, 1.0, 0, 0]], dtype=dtype, requires_grad=True)
    law = gaussian(std, dtype)
    log_p = law.log_prob(q)
    (gradient,) = torch.autograd.grad(log_p.sum(), q)
    assert log_p.isfinite().all()
    assert gradient.isfinite().all()
    score = law.score(q.detach())
    assert score.shape == (3, 3)
    assert score.isfinite().all()
    assert score[0].abs().max() == 0
    assert log_p[0] == log_p[1]


@pytest.mark.parametrize("std", [0.05, 0.5, 1.0, 1.5])
def test_integrates_to_one_over_angles(std):
    law = gaussian(std)

    def density(angle):
        q = torch.tensor([math.cos(angle / 2), math.sin(angle / 2), 0, 0], dtype=torch.float64)
        return float(law.log_prob_normalised(q).exp()) * (1 - math.cos(angle)) / math.pi

    mass, _ = integrate.quad(density, 0, min(math.pi, 12 * std), epsabs=1e-11)
    assert abs(mass - 1) < 1e-9


def test_wide_is_haar_and_narrow_is_gaussian():
    q = torch.tensor([[0.5, 0.5, 0.5, 0.5], IDENTITY], dtype=torch.float64)
    assert gaussian(30.0).log_prob_normalised(q).abs().max() < 1e-15
    std = 1e-4
    near = gaussian(std).log_prob(q[1])
    assert abs(float(near) + 1.5 * math.log(2 * math.pi * std**2)) < 1e-8


def test_numbers_of_the_notes():
    """sigma = 1.5 against Haar: density ratio 1.98 at 0 and 0.69 at pi, mean angle 2.007."""
    law = gaussian(1.5)
    ends = torch.tensor([IDENTITY, [0, 0, 1.0, 0]], dtype=torch.float64)
    ratio = law.log_prob_normalised(ends).exp()
    torch.testing.assert_close(ratio, ratio.new_tensor([1.98, 0.69]), rtol=0, atol=5e-3)
    x = law.sample(20000, generator=torch.Generator().manual_seed(0))
    # Standard error 0.65/sqrt(20000) = 0.0046.
    assert abs(float(SO3().dist(law.mean, x).mean()) - 2.007) < 0.015


@pytest.mark.parametrize("std", [1e-3, 0.3, 0.95, 1.5])
def test_angles_follow_the_density(std, fits):
    law = gaussian(std)
    x = law.sample(20000, generator=torch.Generator().manual_seed(1))
    grid = np.linspace(0, min(math.pi, 12 * std), 4001)
    w = torch.from_numpy(grid)
    density = log_heat_kernel(w, torch.tensor(std, dtype=torch.float64)).exp() * (1 - w.cos())
    cdf = integrate.cumulative_simpson(density.numpy(), x=grid, initial=0)
    fits(SO3().dist(law.mean, x), lambda r: np.interp(r, grid, cdf / cdf[-1]))


def test_draws_compose_like_brownian_motion(fits):
    """IG(0.6) IG(0.8) = IG(1): the heat semigroup."""
    generator = torch.Generator().manual_seed(2)
    p, q = (gaussian(std).sample(20000, generator=generator) for std in (0.6, 0.8))
    angle = SO3().dist(gaussian(1.0).mean, quaternion_multiply(p, q))
    grid = np.linspace(0, math.pi, 4001)
    w = torch.from_numpy(grid)
    density = log_heat_kernel(w, torch.ones((), dtype=torch.float64)).exp() * (1 - w.cos())
    cdf = integrate.cumulative_simpson(density.numpy(), x=grid, initial=0)
    fits(angle, lambda r: np.interp(r, grid, cdf / cdf[-1]))


@pytest.mark.parametrize("std", [0.3, 1.5])
def test_the_score_is_the_gradient_along_exp(std):
    generator = torch.Generator().manual_seed(3)
    law = IsotropicGaussianSO3(SO3().random_uniform(generator=generator, dtype=torch.float64), std)
    x = law.sample(5, generator=generator)
    u = torch.zeros(5, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(law.log_prob(SO3().expmap(x, u)).sum(), u)
    torch.testing.assert_close(law.score(x), gradient, rtol=1e-9, atol=1e-9)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected std > 0, got 0"):
        gaussian(0.0)
    with pytest.raises(ValueError, match=r"expected means on SO3\(\) .* got shape \(3,\)"):
        IsotropicGaussianSO3(torch.zeros(3), 1.0)
