"""Laws of binomial thinning: marginals, bridges, and samplers that reproduce the data."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from seqflow.counts import BinomialThinning
from seqflow.likelihood import variational_bound
from seqflow.sampling import Sampler, time_grid
from seqflow.schedules import CosineSchedule, LinearSchedule, PolynomialSchedule

SCHEDULES = [LinearSchedule(), CosineSchedule(), PolynomialSchedule(2.0)]
PROCESSES = [BinomialThinning(schedule) for schedule in SCHEDULES]
SIGNIFICANCE = 1e-3  # seeds are fixed; a true hypothesis fails one seed in a thousand
NUM = 20_000
LARGEST = 6
PI = torch.tensor([0.1, 0.25, 0.05, 0.3, 0.0, 0.05, 0.25], dtype=torch.float64)
"""A law of counts from 0 to 6 with two humps and a gap."""

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def agrees(counts: torch.Tensor, law: np.ndarray) -> bool:
    """Whether a chi-square test accepts the law of counts 0, 1, ...; no other may occur."""
    law = np.asarray(law)
    observed = torch.bincount(counts.flatten(), minlength=len(law)).numpy()
    if len(observed) > len(law) or observed[law == 0].any():
        return False
    expected = law[law > 0] * observed.sum() / law.sum()
    # Cells of fewer than five expected counts are merged into one.
    rare = expected < 5
    merged = [np.append(x[~rare], x[rare].sum()) for x in (observed[law > 0], expected)]
    keep = merged[1] > 0
    return scipy.stats.chisquare(merged[0][keep], merged[1][keep]).pvalue > SIGNIFICANCE


def posterior(process: BinomialThinning, t: float) -> torch.Tensor:
    """p(x_1 | x_t) for the law PI, rows x_t."""
    kappa = process.schedule.kappa(torch.tensor(t, dtype=torch.float64)).item()
    n, m = np.arange(LARGEST + 1)[:, None], np.arange(LARGEST + 1)[None]
    joint = torch.from_numpy(scipy.stats.binom.pmf(n, m, kappa)) * PI
    return joint / joint.sum(1, keepdim=True).clamp_min(1e-300)


def exact_prediction(process: BinomialThinning, x_t: torch.Tensor, t: torch.Tensor):
    """Log r of the exact posterior mean, for one common time."""
    time = float(t[0])
    n = torch.arange(LARGEST + 1).double()
    d = (posterior(process, time) @ n - n).clamp_min(0)
    survival = process.schedule.survival(torch.tensor(time, dtype=torch.float64))
    # Beyond the largest count nothing is missing.
    r = (d / survival)[x_t.clamp_max(LARGEST)] * (x_t < LARGEST)
    return r.clamp_min(1e-12).log().float()


@every_process
@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_the_marginal_is_binomial(process, t):
    x_1 = torch.full((1, NUM), 9)
    x_t, missing = process.corrupt(x_1, torch.tensor([t]), generator=seeded())
    assert x_t.dtype == torch.int64
    assert torch.equal(x_t + missing, x_1)
    kappa = process.schedule.kappa(torch.tensor(t)).item()
    assert agrees(x_t, scipy.stats.binom.pmf(np.arange(10), 9, kappa))


@every_process
def test_it_starts_with_nothing_and_ends_at_the_data(process):
    x_1 = torch.randint(0, 2**40, (2, 100), generator=seeded())
    x_t, missing = process.corrupt(x_1, torch.tensor([0.0, 1.0]), generator=seeded(1))
    assert torch.equal(x_t[0], process.sample_prior((2, 100))[0])
    assert torch.equal(x_t[1], x_1[1])
    assert torch.equal(missing[1], torch.zeros(100, dtype=torch.int64))
    assert torch.equal(process.decode(x_1), x_1)


@every_process
@pytest.mark.parametrize("num_steps", [1, 2, 5, 100])
def test_bridges_keep_the_marginal_for_any_number_of_steps(process, num_steps):
    x_1 = torch.full((1, NUM), 7)
    x, generator, end = process.sample_prior((1, NUM)), seeded(2), 0.8
    for i in range(num_steps):
        t, dt = torch.tensor([end * i / num_steps]), torch.tensor([end / num_steps])
        x = process.bridge(x, x_1, t, dt, generator=generator)
    kappa = process.schedule.kappa(torch.tensor(end)).item()
    assert agrees(x, scipy.stats.binom.pmf(np.arange(8), 7, kappa))
    last = process.bridge(x, x_1, torch.tensor([end]), torch.tensor([1 - end]))
    assert torch.equal(last, x_1)


@every_process
@pytest.mark.parametrize("num_steps", [1, 2, 5, 100])
def test_the_exact_posterior_samples_the_data_in_any_number_of_steps(process, num_steps):
    x, generator = process.sample_prior((1, NUM)), seeded(3)
    for i in range(num_steps):
        t, dt = torch.tensor([i / num_steps]), torch.tensor([1 / num_steps])
        rows = posterior(process, i / num_steps)[x[0]]
        x_1 = torch.multinomial(rows, 1, generator=generator)[None, :, 0]
        x = process.bridge(x, x_1, t, dt, generator=generator)
    assert agrees(x, PI.numpy())


@every_process
def test_the_exact_mean_samples_the_data_in_the_limit_of_small_steps(process):
    """Poisson births with the rate frozen over a step: their error falls with the step."""
    errors = []
    for num_steps in (25, 400):
        x = process.sample_prior((1, NUM))
        generator, times = seeded(4), time_grid(num_steps)
        for t, dt in zip(times[:-1, None], times.diff()[:, None], strict=True):
            x = process.step(x, exact_prediction(process, x, t), t, dt, generator=generator)
        law = torch.bincount(x[0], minlength=LARGEST + 1).double() / NUM
        errors.append((law[: LARGEST + 1] - PI).abs().sum().item() / 2 + law[7:].sum().item() / 2)
    # Sixteen times smaller, but for the noise of the draws: the total variation of 20,000
    # draws of seven cells is 0.005 on average, and twice that is rare.
    assert errors[1] < errors[0] / 16 + 0.01


@every_process
def test_for_poisson_counts_one_step_is_exact(process):
    rate = 3.0
    predictor = lambda x_t, t, condition=None: torch.full(x_t.shape, rate).log()  # noqa: E731
    x = Sampler(process, predictor, time_grid(1)).sample((64, 300), seed=1)
    assert agrees(x, scipy.stats.poisson.pmf(np.arange(25), rate))


@every_process
def test_the_loss_is_least_at_the_posterior_mean(process):
    """Its gradient at log r vanishes on average over x_1 given x_t."""
    t, x_t = 0.4, 1
    weights = posterior(process, t)[x_t]
    x_1 = torch.arange(LARGEST + 1)[:, None]
    log_r = exact_prediction(process, torch.tensor([x_t]), torch.tensor([t])).double()
    log_r = log_r.expand(LARGEST + 1, 1).clone().requires_grad_()
    time = torch.full((LARGEST + 1,), t, dtype=torch.float64)
    loss = process.loss(log_r, (x_1 - x_t).clamp_min(0), time)
    (gradient,) = torch.autograd.grad((weights * loss).sum(), log_r)
    # exact_prediction computes in float64 and rounds once to float32.
    assert abs(gradient.sum().item()) < 1e-6
    assert (loss >= 0).all()


@every_process
@pytest.mark.parametrize("mistake", [0.0, 0.5])
def test_the_bound_is_tight_for_the_exact_mean_and_loose_for_another(process, mistake):
    exact = -(PI * PI.clamp_min(1e-300).log()).sum().item()
    x_1 = torch.multinomial(PI, 4000, replacement=True, generator=seeded(5))[:, None]
    observed = -PI.log()[x_1].mean().item()
    assert abs(observed - exact) < 0.1

    def predictor(x_t, t, condition=None):
        rows = [exact_prediction(process, x, s) for x, s in zip(x_t, t[:, None], strict=True)]
        return torch.stack(rows) + mistake

    bound = variational_bound(process, predictor, x_1[:300], num_draws=8, seed=6)
    observed = -PI.log()[x_1[:300]].mean().item()
    excess = bound.nats - observed
    # The cost of a rate that is e^m times too high, for x_1 units and for none: exactly
    # E[x_1] (e^m - 1 - m).
    expected = (PI * torch.arange(LARGEST + 1)).sum().item() * (np.expm1(mistake) - mistake)
    assert abs(excess - expected) < 4 * bound.draw_error + 0.05 * expected


@every_process
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("t", [0.0, 1.0])
def test_values_and_gradients_are_finite_at_both_ends(process, dtype, t):
    time = torch.tensor([t], dtype=dtype, requires_grad=True)
    x_1 = torch.tensor([[0, 1, 1000]])
    x_t, missing = process.corrupt(x_1, time.detach(), generator=seeded())
    prediction = torch.tensor([[-20.0, 0.0, 20.0]], dtype=dtype, requires_grad=True)
    loss = process.loss(prediction, missing, time)
    assert loss.dtype == dtype
    for value in (loss, *torch.autograd.grad(loss.sum(), (prediction, time))):
        assert value.isfinite().all()
    moved = process.step(x_t, prediction.detach(), time.detach(), 0 * time.detach())
    assert torch.equal(moved, x_t)


@every_process
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 3, 4)], ids=str)
def test_any_shape(process, shape):
    x_1 = torch.full(shape, 5)
    t = torch.full(shape[:1], 0.5)
    x_t, missing = process.corrupt(x_1, t, generator=seeded())
    prediction = torch.zeros(shape)
    assert process.loss(prediction, missing, t).shape == t.shape
    assert process.path_kl(prediction, x_1, x_t, t).shape == t.shape
    assert process.step(x_t, prediction, t, t, generator=seeded()).shape == shape
    assert process.bridge(x_t, x_1, t, t).equal(x_1)


@every_process
def test_faults_are_named(process):
    with pytest.raises(ValueError, match=r"expected integer counts, got torch\.float32"):
        process.corrupt(torch.zeros(1, 2), torch.zeros(1))
    with pytest.raises(ValueError, match=r"state's shape \(1, 2\), got \(1, 3\)"):
        process.step(torch.zeros(1, 2).long(), torch.zeros(1, 3), torch.zeros(1), torch.ones(1))


def test_a_schedule_must_run_from_0_to_1():
    @dataclasses.dataclass(frozen=True)
    class Half(LinearSchedule):
        def kappa(self, t):
            return t / 2

    with pytest.raises(ValueError, match="from 0 to 1"):
        BinomialThinning(Half())


@every_process
def test_it_is_a_value(process):
    assert process == dataclasses.replace(process)
    assert hash(process) == hash(dataclasses.replace(process))
