"""Angular central Gaussian, power spherical, von Mises-Fisher, and the quotient to SO(3)."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats

from geometry import SO3, Sphere
from geometry.distributions import (
    AngularCentralGaussian,
    Antipodal,
    PowerSpherical,
    Uniform,
    VonMisesFisher,
    WrappedNormal,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def first_axis(n, dtype=torch.float64):
    return torch.eye(n + 1, dtype=dtype)[0]


LOWER = torch.tensor([[1.0, 0, 0], [0.5, 1.5, 0], [-1, 0.3, 0.7]], dtype=torch.float64)


class TestAngularCentralGaussian:
    def test_integrates_to_one(self, sphere_mass):
        assert abs(sphere_mass(AngularCentralGaussian(LOWER)) - 1) < 1e-9

    def test_on_the_circle_twice_the_angle_is_wrapped_cauchy(self):
        a, b = 2.0, 0.5
        law = AngularCentralGaussian(torch.diag(torch.tensor([a, b], dtype=torch.float64)))
        angle = torch.linspace(0, 6, 20, dtype=torch.float64)
        x = torch.stack([angle.cos(), angle.sin()], -1)
        rho = (a - b) / (a + b)
        expected = stats.wrapcauchy(rho).pdf(np.mod(2 * angle.numpy(), 2 * np.pi))
        torch.testing.assert_close(law.log_prob(x).exp(), torch.from_numpy(expected))

    def test_identity_is_uniform_and_scale_does_not_matter(self):
        x = Sphere(2).random_uniform(20, generator=seeded(), dtype=torch.float64)
        identity = AngularCentralGaussian(torch.eye(3, dtype=torch.float64))
        assert identity.log_prob_normalised(x).abs().max() < 1e-14
        law, scaled = AngularCentralGaussian(LOWER), AngularCentralGaussian(1e8 * LOWER)
        torch.testing.assert_close(scaled.log_prob(x), law.log_prob(x))
        torch.testing.assert_close(law.log_prob(-x), law.log_prob(x))

    def test_draws_follow_the_density(self):
        """Chi-squared over the eight octants, whose masses come from quadrature."""
        law = AngularCentralGaussian(LOWER)
        x = law.sample(20000, generator=seeded(1))
        octant = ((x > 0) * torch.tensor([1, 2, 4])).sum(-1)
        counts = np.bincount(octant.numpy(), minlength=8)
        z = (torch.arange(400, dtype=torch.float64) + 0.5) / 200 - 1
        phi = math.pi * (torch.arange(400, dtype=torch.float64) + 0.5) / 200
        rho = (1 - z * z).sqrt()[:, None]
        grid = torch.stack(
            torch.broadcast_tensors(rho * phi.cos(), rho * phi.sin(), z[:, None]), -1
        )
        mass = law.log_prob(grid).exp().flatten() * (1 / 200) * (math.pi / 200)
        cell = ((grid > 0) * torch.tensor([1, 2, 4])).sum(-1).flatten()
        expected = np.bincount(cell.numpy(), weights=mass.numpy(), minlength=8)
        expected = expected / expected.sum() * counts.sum()
        assert stats.chisquare(counts, expected).pvalue > 1e-3

    def test_gradients_are_right(self):
        x = Sphere(2).random_uniform(3, generator=seeded(2), dtype=torch.float64)
        assert torch.autograd.gradcheck(
            lambda L: AngularCentralGaussian(L).log_prob(x), LOWER.clone().requires_grad_()
        )

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match=r"expected scale_tril .* got shape \(3, 4\)"):
            AngularCentralGaussian(torch.zeros(3, 4))


class TestPowerSpherical:
    @pytest.mark.parametrize("kappa", [0.0, 0.5, 10.0, 1e4, 1e8])
    @pytest.mark.parametrize("n", [1, 2, 7, 100])
    def test_the_density_at_the_mean_against_mpmath(self, n, kappa, dtype):
        mpmath.mp.dps = 40
        k, half = mpmath.mpf(kappa), mpmath.mpf(n) / 2
        log_c = mpmath.loggamma(n + k) - mpmath.loggamma(half + k)
        expected = float(log_c - n * mpmath.log(2) - half * mpmath.log(mpmath.pi))
        law = PowerSpherical(Sphere(n), first_axis(n, dtype), kappa)
        actual = float(law.log_prob(first_axis(n, dtype)))
        assert abs(actual - expected) <= 30 * torch.finfo(dtype).eps * (1 + n + abs(expected))

    def test_integrates_to_one(self, sphere_mass):
        mean = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
        assert abs(sphere_mass(PowerSpherical(Sphere(2), mean, 3.5)) - 1) < 1e-6

    @pytest.mark.parametrize(("n", "kappa"), [(1, 2.0), (2, 0.0), (2, 30.0), (10, 5.0), (3, 1e7)])
    def test_the_cosine_is_a_beta_variable(self, n, kappa, fits):
        law = PowerSpherical(Sphere(n), first_axis(n), kappa)
        x = law.sample(20000, generator=seeded(3))
        far = (x - law.mean).square().sum(-1) / 4
        fits(far, stats.beta(n / 2, n / 2 + kappa).cdf)

    def test_draws_are_differentiable_in_the_concentration(self):
        """d/dkappa of E<m, x> = kappa/(kappa + n): here n/(kappa + n)^2 = 2/144."""
        kappa = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
        law = PowerSpherical(Sphere(2), first_axis(2), kappa)
        law.sample(40000, generator=seeded(4))[:, 0].mean().backward()
        # The standard error over seeds is 1e-4.
        assert abs(float(kappa.grad) - 2 / 144) < 5e-4

    def test_gradients_of_the_density_are_right(self):
        kappa = torch.tensor([0.5, 14.0, 15.5, 40.0], dtype=torch.float64, requires_grad=True)
        x = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
        assert torch.autograd.gradcheck(
            lambda k: PowerSpherical(Sphere(2), first_axis(2), k).log_prob(x), kappa
        )

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match="expected concentration >= 0, got -1"):
            PowerSpherical(Sphere(2), first_axis(2), -1.0)
        with pytest.raises(ValueError, match=r"expected means on Sphere\(2\)"):
            PowerSpherical(Sphere(2), torch.zeros(4), 1.0)


class TestVonMisesFisher:
    @pytest.mark.parametrize("kappa", [1e-6, 1.0, 50.0, 1e6])
    def test_the_normaliser_on_the_sphere_is_closed(self, kappa):
        law = VonMisesFisher(Sphere(2), first_axis(2), kappa)
        closed = math.log(-2 * math.pi * math.expm1(-2 * kappa) / kappa)
        assert abs(law.log_normaliser - closed) < 1e-10

    @pytest.mark.parametrize("n", [2, 4, 9])
    def test_agrees_with_scipy(self, n):
        law = VonMisesFisher(Sphere(n), first_axis(n), 7.0)
        x = law.sample(20, generator=seeded(5))
        expected = stats.vonmises_fisher(law.mean.numpy(), 7.0).logpdf(x.numpy())
        torch.testing.assert_close(law.log_prob(x), torch.from_numpy(expected), rtol=1e-9, atol=0)

    def test_agrees_with_scipy_on_the_circle(self):
        law = VonMisesFisher(Sphere(1), first_axis(1), 3.0)
        angle = torch.linspace(-3, 3, 9, dtype=torch.float64)
        x = torch.stack([angle.cos(), angle.sin()], -1)
        expected = torch.from_numpy(stats.vonmises(3.0).logpdf(angle.numpy()))
        torch.testing.assert_close(law.log_prob(x), expected, rtol=1e-9, atol=1e-10)

    @pytest.mark.parametrize("kappa", [0.0, 5.0, 1e6])
    def test_the_height_follows_its_law(self, kappa, fits):
        """On S^2 1 - <m, x> is a truncated exponential variable."""
        law = VonMisesFisher(Sphere(2), first_axis(2), kappa)
        x = law.sample(20000, generator=seeded(6))
        drop = (x - law.mean).square().sum(-1) / 2

        def cdf(h):
            return h / 2 if kappa == 0 else np.expm1(-kappa * h) / np.expm1(-2 * kappa)

        fits(drop, cdf)

    def test_integrates_to_one(self, sphere_mass):
        mean = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
        assert abs(sphere_mass(VonMisesFisher(Sphere(2), mean, 8.0)) - 1) < 1e-10

    def test_bad_input_is_refused(self):
        with pytest.raises(ValueError, match="expected concentration >= 0, got -1"):
            VonMisesFisher(Sphere(2), first_axis(2), -1.0)


class TestAntipodal:
    def test_haar_has_log_density_zero(self):
        x = SO3().random_uniform(10, generator=seeded(), dtype=torch.float64)
        haar = Antipodal(Uniform(Sphere(3)))
        assert haar.log_prob_normalised(x).abs().max() < 1e-14
        torch.testing.assert_close(haar.log_prob(x), Uniform(SO3()).log_prob(x))

    def test_symmetric_laws_keep_their_normalised_density(self):
        L = torch.diag(torch.tensor([1.0, 2, 3, 0.5], dtype=torch.float64))
        base = AngularCentralGaussian(L)
        x = base.sample(10, generator=seeded())
        torch.testing.assert_close(
            Antipodal(base).log_prob_normalised(x), base.log_prob_normalised(x)
        )

    def test_the_sum_over_both_signs(self):
        base = PowerSpherical(Sphere(3), first_axis(3), 4.0)
        law = Antipodal(base)
        x = base.sample(10, generator=seeded())
        both = base.log_prob(x).exp() + base.log_prob(-x).exp()
        torch.testing.assert_close(law.log_prob(x).exp(), both / 8)
        torch.testing.assert_close(law.log_prob(-x), law.log_prob(x))

    def test_integrates_to_one_over_angles(self):
        law = Antipodal(PowerSpherical(Sphere(3), first_axis(3), 4.0))

        def density(angle):
            q = torch.tensor([math.cos(angle / 2), math.sin(angle / 2), 0, 0]).double()
            return float(law.log_prob_normalised(q).exp()) * (1 - math.cos(angle)) / math.pi

        # The quaternions are built in float32 and used in float64.
        assert abs(integrate.quad(density, 0, math.pi)[0] - 1) < 1e-6

    def test_a_narrow_law_on_quaternions_doubles_its_angles(self):
        """Deviation s in S^3 is 2 s in |omega|: one wrapped normal is the other."""
        mean = first_axis(3)
        law = Antipodal(WrappedNormal(Sphere(3), mean, 0.05))
        x = law.sample(20, generator=seeded())
        expected = WrappedNormal(SO3(), mean, 0.1).log_prob(x)
        torch.testing.assert_close(law.log_prob(x), expected, rtol=1e-9, atol=1e-9)

    def test_bad_input_is_refused(self):
        with pytest.raises(
            ValueError, match=r"expected a distribution on Sphere\(3\), got one on S"
        ):
            Antipodal(Uniform(Sphere(2)))
