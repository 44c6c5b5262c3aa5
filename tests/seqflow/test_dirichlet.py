"""What is particular to Dirichlet flow: its clock, its path, its rays, its guidance."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from seqflow.dirichlet import DirichletFlow, default_t_max
from seqflow.dirichlet_rate import dirichlet_rate
from seqflow.process import CategoricalProcess, Tiltable

CONFORMS: CategoricalProcess = DirichletFlow(4)
TILTS: Tiltable = DirichletFlow(4)


def wrong_argmax(s: float, num_classes: int) -> float:
    """1 - E[(1 - e^{-G})^n], G ~ Gamma(1 + s), by the trapezoidal rule in ln G."""
    log_g = np.linspace(math.log(1e-6), math.log(300), 4001)
    g = np.exp(log_g)
    density = np.exp((1 + s) * log_g - g - scipy.special.gammaln(1 + s))
    missed = -np.expm1((num_classes - 1) * np.log1p(-np.exp(-g)))
    return float((density * missed).sum() * (log_g[1] - log_g[0]))


@pytest.mark.parametrize("num_classes", [2, 3, 4, 20, 27, 160, 1000, 32000])
def test_default_t_max_has_one_percent_of_wrong_argmax(num_classes):
    # The fit is within 0.05 in time, and ln P falls by less than 0.7 a unit of time.
    wrong = wrong_argmax(default_t_max(num_classes), num_classes)
    assert wrong == pytest.approx(0.01, rel=0.04)


def test_default_t_max_by_simulation():
    process = DirichletFlow(20)
    x_1 = torch.zeros(1, 200_000, dtype=torch.int64)
    almost = torch.tensor([1 - 1e-5])
    x_t, _ = process.corrupt(x_1, almost, generator=torch.Generator().manual_seed(0))
    # Binomial: 0.01 +- 2.2e-4 by sampling, 3 sigma, and the 4% of the fit.
    assert (x_t.argmax(-1) != 0).float().mean().item() == pytest.approx(0.01, abs=1.1e-3)


def test_clock_is_the_quantile_function_of_the_truncated_exponential():
    process = DirichletFlow(4, t_max=7.0)
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    expected = scipy.stats.truncexpon.ppf(t.numpy(), b=3.5, scale=2.0)
    torch.testing.assert_close(process.dirichlet_time(t), torch.from_numpy(expected))


def test_repr_and_errors():
    assert repr(DirichletFlow(20, t_max=8.0)) == "DirichletFlow(num_classes=20, t_max=8)"
    assert hash(DirichletFlow(20)) == hash(DirichletFlow(20))
    with pytest.raises(ValueError, match="expected num_classes of at least 2, got 1"):
        DirichletFlow(1)
    with pytest.raises(ValueError, match="expected t_max > 0, got 0"):
        DirichletFlow(4, t_max=0.0)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 4\), got \(1, 2, 3\)"):
        DirichletFlow(4).corrupt(
            torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1), torch.zeros(1, 2, 3)
        )


@pytest.mark.parametrize("num_classes", [2, 4, 20])
def test_path_is_dirichlet(num_classes):
    """x_i ~ Beta(1 + s, n), and the others share the rest uniformly."""
    process, n = DirichletFlow(num_classes), num_classes - 1
    t = torch.tensor([0.6])
    x_1 = torch.zeros(1, 20_000, dtype=torch.int64)
    x_t, _ = process.corrupt(x_1, t, generator=torch.Generator().manual_seed(1))
    s = process.dirichlet_time(t).item()
    # One draw, fixed seed: p-values of true hypotheses, rejected at 1e-3.
    assert scipy.stats.kstest(x_t[0, :, 0].numpy(), "beta", (1 + s, n)).pvalue > 1e-3
    if n > 1:
        share = (x_t[0, :, 1] / (1 - x_t[0, :, 0])).numpy()
        assert scipy.stats.kstest(share, "beta", (1, n - 1)).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_classes", [2, 4, 20])
def test_given_noise_follows_its_ray(num_classes, dtype):
    process, n = DirichletFlow(num_classes), num_classes - 1
    generator = torch.Generator().manual_seed(2)
    x_0 = process.sample_prior((3, 50), generator=generator, dtype=dtype)
    x_1 = torch.randint(num_classes, (3, 50), generator=generator)
    t = torch.tensor([0.0, 0.7, 1.0], dtype=dtype)
    x_t, target = process.corrupt(x_1, t, x_0)
    assert target is x_1
    assert x_t.dtype == dtype
    tolerance = 1e2 * torch.finfo(dtype).eps  # tens of roundings of numbers below one
    torch.testing.assert_close(x_t.sum(-1), torch.ones(3, 50, dtype=dtype))
    torch.testing.assert_close(x_t[0], x_0[0], rtol=0, atol=tolerance)
    torch.testing.assert_close(x_t[2], torch.eye(num_classes, dtype=dtype)[x_1[2]])
    z_0 = x_0[1].gather(-1, x_1[1][:, None]).double().numpy()
    z = x_t[1].gather(-1, x_1[1][:, None]).double().numpy()
    s = process.dirichlet_time(t)[1].item()
    before, after = 1 - (1 - z_0) ** n, scipy.special.betainc(1 + s, n, z)
    np.testing.assert_allclose(after, before, rtol=0, atol=3e-5)


@pytest.mark.parametrize("num_classes", [4, 20])
def test_one_hot_steps_keep_the_quantile(num_classes):
    """With p = e_i the steps follow the ray: I_{x_i}(1 + s, n) is conserved."""
    process, n, num_steps = DirichletFlow(num_classes), num_classes - 1, 200
    generator = torch.Generator().manual_seed(3)
    x = process.sample_prior((1, 400), generator=generator, dtype=torch.float64)
    before = 1 - (1 - x[..., 0]) ** n
    logits = torch.zeros(1, 400, num_classes, dtype=torch.float64)
    logits[..., 0] = 1e3
    dt = torch.tensor([0.9 / num_steps], dtype=torch.float64)
    for i in range(num_steps):
        x = process.step(x, logits, i * dt, dt, generator=generator)
    s = process.dirichlet_time(num_steps * dt).item()
    after = scipy.special.betainc(1 + s, n, x[..., 0].numpy())
    # A first-order step: the largest error of 20,000 draws at 200 steps is 0.0018.
    np.testing.assert_allclose(after, before.numpy(), rtol=0, atol=0.0025)


def test_step_is_first_order():
    """Halving the step halves the distance to the exact ray."""
    process = DirichletFlow(4)
    x_1 = torch.zeros(1, 64, dtype=torch.int64)
    x_0 = process.sample_prior(
        (1, 64), generator=torch.Generator().manual_seed(4), dtype=torch.float64
    )
    logits = torch.tensor([1e3, 0, 0, 0], dtype=torch.float64).expand(1, 64, 4)
    exact, _ = process.corrupt(x_1, torch.tensor([0.8], dtype=torch.float64), x_0)
    errors = []
    for num_steps in (40, 80):
        x, dt = x_0, torch.tensor([0.8 / num_steps], dtype=torch.float64)
        for i in range(num_steps):
            x = process.step(x, logits, i * dt, dt)
        errors.append((x - exact).abs().max().item())
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.05)


def test_step_starts_along_the_velocity():
    process, generator = DirichletFlow(5), torch.Generator().manual_seed(5)
    x = process.sample_prior((2, 3), generator=generator, dtype=torch.float64)
    logits = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    t, dt = torch.full((2,), 0.4, dtype=torch.float64), torch.full((2,), 1e-6, dtype=torch.float64)
    velocity = process.velocity(x, logits, t)
    h = (process.dirichlet_time(t + dt) - process.dirichlet_time(t))[:, None, None]
    torch.testing.assert_close(velocity.sum(-1), torch.zeros(2, 3, dtype=torch.float64))
    difference = (process.step(x, logits, t, dt) - x) / h
    torch.testing.assert_close(difference, velocity, rtol=1e-4, atol=1e-5)


def test_velocity_is_the_sum_of_the_rays():
    """q - x Q against sum_i p_i C_i (e_i - x) written out."""
    process, generator = DirichletFlow(4), torch.Generator().manual_seed(6)
    x = process.sample_prior((1, 2), generator=generator, dtype=torch.float64)
    logits = torch.randn(1, 2, 4, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.5], dtype=torch.float64)
    rate = dirichlet_rate(x, process.dirichlet_time(t)[:, None, None], 4)
    rays = torch.eye(4, dtype=torch.float64) - x[..., None, :]
    expected = torch.einsum("bli,bli,blik->blk", logits.softmax(-1), rate, rays)
    torch.testing.assert_close(process.velocity(x, logits, t), expected)


def test_tilt_adds_the_gradient_to_the_score():
    """s p'/x = s p/x + g, up to the constant that the simplex removes."""
    process, generator = DirichletFlow(6), torch.Generator().manual_seed(7)
    x = process.sample_prior((1, 3), generator=generator, dtype=torch.float64)
    logits = torch.randn(1, 3, 6, generator=generator, dtype=torch.float64)
    gradient = 1e-3 * torch.randn(1, 3, 6, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.5], dtype=torch.float64)
    tilted = process.tilt(logits, gradient, x, t).softmax(-1)
    score_change = process.dirichlet_time(t) * (tilted - logits.softmax(-1)) / x
    surplus = score_change - gradient
    torch.testing.assert_close(surplus, surplus[..., :1].expand_as(surplus))
    torch.testing.assert_close(process.tilt(logits, gradient + 5.0, x, t).softmax(-1), tilted)


def test_tilt_at_time_zero_reaches_a_facet_or_stays():
    process = DirichletFlow(3)
    x = torch.tensor([[[0.5, 0.25, 0.25]]])
    gradient = torch.tensor([[[1.0, 0.0, 0.0]]])
    p = process.tilt(torch.zeros(1, 1, 3), gradient, x, torch.zeros(1)).softmax(-1)
    torch.testing.assert_close(p, torch.tensor([[[1.0, 0.0, 0.0]]]), rtol=0, atol=1e-6)
    p = process.tilt(torch.zeros(1, 1, 3), torch.ones(1, 1, 3), x, torch.zeros(1)).softmax(-1)
    torch.testing.assert_close(p, torch.full((1, 1, 3), 1 / 3))
