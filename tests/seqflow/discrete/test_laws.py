"""Laws that every process with a state of tokens obeys: its marginals are exact."""

import dataclasses

import pytest
import scipy.stats
import torch

from seqflow.denoiser import EvidenceDenoiser
from seqflow.discrete import MaskedFlow, MetricFlow, PriorFlow, UniformFlow
from seqflow.discrete.correctors import DetailedBalance, DivergenceFree, Remasking
from seqflow.discrete.distances import transition_transversion, uniform_distance
from seqflow.discrete.losses import PathDivergence
from seqflow.schedules import CosineSchedule, KineticOptimalSchedule, PolynomialSchedule

LINE = tuple(tuple(float(abs(i - j)) for j in range(6)) for i in range(6))
PROCESSES = [
    MaskedFlow(2),
    MaskedFlow(4, CosineSchedule()),
    MaskedFlow(4, corrector=DivergenceFree(4.0)),
    MaskedFlow(20, corrector=DetailedBalance(1.0)),
    MaskedFlow(4, corrector=Remasking(1.0)),
    UniformFlow(2),
    UniformFlow(4, KineticOptimalSchedule(1 / 4)),
    UniformFlow(20, PolynomialSchedule(2.0)),
    UniformFlow(4, corrector=DivergenceFree(4.0)),
    UniformFlow(4, corrector=DetailedBalance(1.0)),
    UniformFlow(4, corrector=Remasking(1.0), objective=PathDivergence()),
    PriorFlow((4.0, 3.0, 2.0, 1.0)),
    PriorFlow((0.4, 0.3, 0.2, 0.1), corrector=DivergenceFree(2.0)),
    MetricFlow(transition_transversion(0.5)),
    MetricFlow(uniform_distance(4), 2.0, 0.5),
    MetricFlow(LINE, power=2.0),
]
SIGNIFICANCE = 1e-3  # a true hypothesis fails one seed in a thousand; seeds are fixed

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def num_states(process):
    return process.num_classes + isinstance(process, MaskedFlow)


def prior_of(process):
    K = process.num_classes
    return torch.rand(K, generator=seeded(K), dtype=torch.float64).softmax(-1)


def marginal(process, pi, t):
    """Sum over x_1 of pi(x_1) p_t(x | x_1) in closed form, ``(num_states,)``."""
    time = torch.tensor([t], dtype=torch.float64)
    if isinstance(process, MetricFlow):
        return pi @ process.log_path(time)[0].exp()
    kappa = process.schedule.kappa(time)
    noise = torch.zeros(num_states(process), dtype=torch.float64)
    if isinstance(process, MaskedFlow):
        noise[-1] = 1
    elif isinstance(process, UniformFlow):
        noise += 1 / process.num_classes
    else:
        noise += torch.tensor(process.probabilities, dtype=torch.float64) / sum(
            process.probabilities
        )
    law = (1 - kappa) * noise
    law[: process.num_classes] += kappa * pi
    return law


def fits(tokens, law):
    counts = torch.bincount(tokens.flatten(), minlength=len(law)).double()
    if (counts[law == 0] > 0).any():
        return False
    observed, expected = counts[law > 0], law[law > 0] * (counts.sum() / law.sum())
    # Categories with less than five expected are pooled, as the test requires.
    rare = expected < 5
    if rare.any():
        observed = torch.cat([observed[~rare], observed[rare].sum()[None]])
        expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    if len(observed) == 1:
        return True
    return scipy.stats.chisquare(observed, expected).pvalue > SIGNIFICANCE


def walk(process, pi, times, seed):
    """States of (4, 2500) independent tokens of law pi, under their exact posterior."""
    generator, log_pi = seeded(seed), pi.log().float()
    x = process.sample_prior((4, 2500), generator=generator)
    for t, dt in zip(times[:-1], times.diff(), strict=True):
        t, dt = t.expand(4), dt.expand(4)
        x = process.step(x, process.evidence(x, t) + log_pi, t, dt, generator=generator)
        yield x


@every_process
@pytest.mark.parametrize("num_steps", [1, 2, 5])
@pytest.mark.parametrize("t_end", [0.1, 0.5, 0.9, 1.0])
def test_few_steps_sample_the_marginal(process, num_steps, t_end):
    """Chi-square of 10,000 tokens against the closed form."""
    pi, times = prior_of(process), torch.linspace(0, t_end, num_steps + 1)
    *_, x = walk(process, pi, times, seed=int(10 * t_end) + num_steps)
    assert x.dtype == torch.int64
    assert fits(x, marginal(process, pi, t_end))


@every_process
def test_many_steps_sample_the_marginals(process):
    """100 steps to t = 1, seen on the way."""
    pi = prior_of(process)
    states = list(walk(process, pi, torch.linspace(0, 1, 101), seed=7))
    for percent in (10, 50, 90, 100):
        assert fits(states[percent - 1], marginal(process, pi, percent / 100))


@every_process
@every_dtype
@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_corrupt_draws_the_path(process, dtype, t):
    pi = prior_of(process)
    x_1 = torch.multinomial(pi, 20_000, replacement=True, generator=seeded(1))[None]
    time = torch.tensor([t], dtype=dtype)
    for x_0 in (None, process.sample_prior((1, 20_000), generator=seeded(2))):
        x_t, target = process.corrupt(x_1, time, x_0, generator=seeded(3))
        assert fits(x_t, marginal(process, pi, t))
        assert torch.equal(target.x_1, x_1)
        assert torch.equal(target.x_t, x_t)
        if t == 1:
            assert torch.equal(process.decode(x_t), x_1)
        if t == 0 and x_0 is not None:
            assert torch.equal(x_t, x_0)


@every_process
def test_log_kernel_is_the_law_of_step(process):
    """One state and one time, 20,000 draws."""
    K, num = process.num_classes, 20_000
    logits = torch.randn(K, generator=seeded(), dtype=torch.float64).expand(1, num, K)
    t, dt = (torch.tensor([value], dtype=torch.float64) for value in (0.4, 0.3))
    for z in {0, num_states(process) - 1}:
        x = torch.full((1, num), z)
        moved = process.step(x, logits, t, dt, generator=seeded(z))
        law = process.log_kernel(x[:, :1], logits[:, :1], t, dt)[0, 0].exp()
        torch.testing.assert_close(law.sum(), torch.ones((), dtype=torch.float64))
        law[law < 1e-300] = 0  # where the finite logarithm stands for zero
        assert fits(moved, law)


@every_process
@every_dtype
def test_evidence_is_bayes_rule(process, dtype):
    """Against the closed form of the path, at times where all of it is representable."""
    K, S = process.num_classes, num_states(process)
    states, eye = torch.arange(S)[None], torch.eye(K, dtype=torch.float64)
    for t in (0.0, 0.2, 0.7):
        likelihood = torch.stack([marginal(process, each, t) for each in eye], -1)
        seen = (likelihood.sum(-1) > 0)[None]  # shown tokens have no likelihood at t = 0
        evidence = process.evidence(states, torch.tensor([t], dtype=dtype))
        assert evidence.dtype == dtype
        posterior = likelihood[None] / likelihood.sum(-1, keepdim=True)
        # Masks show tokens with e^-32, not 0, for the others; float32 rounds logits of order ten.
        torch.testing.assert_close(
            evidence.double().softmax(-1)[seen], posterior[seen], rtol=1e-5, atol=1e-6
        )


@every_process
@every_dtype
@pytest.mark.parametrize("t", [0.0, 0.5, 1 - 1e-6, 1.0])
def test_values_and_gradients_are_finite(process, dtype, t):
    x = torch.arange(num_states(process))[None]
    x_1 = torch.zeros_like(x)
    time = torch.tensor([t], dtype=dtype)
    logits = torch.randn(*x.shape, process.num_classes, generator=seeded(), dtype=dtype)
    logits = (20 * logits).requires_grad_()
    relaxed = process.relax(x, time).requires_grad_()
    torch.testing.assert_close(
        process.evidence(relaxed, time).softmax(-1), process.evidence(x, time).softmax(-1)
    )
    weights = torch.randn(logits.shape, generator=seeded(1), dtype=dtype)
    dt = torch.tensor([0.1], dtype=dtype).clamp_max(1 - t)
    path_kl = process.path_kl(logits, x_1, x, time)
    assert (path_kl >= 0).all()
    for value, inputs in (
        ((process.evidence(relaxed, time).softmax(-1) * weights).sum(), relaxed),
        (path_kl.sum(), logits),
        (process.log_kernel(x, logits, time, dt).sum(), logits),
    ):
        assert value.isfinite()
        assert value.dtype == dtype
        (gradient,) = torch.autograd.grad(value, inputs)
        assert gradient.isfinite().all()


@every_process
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 1), (1, 7)], ids=str)
def test_any_batch_and_length(process, shape):
    x_1, t = torch.zeros(shape, dtype=torch.int64), torch.full(shape[:1], 0.4)
    x_t, target = process.corrupt(x_1, t, generator=seeded())
    model = EvidenceDenoiser(process, lambda features, t, c: 0 * features)
    logits = model(x_t, t)
    assert logits.shape == (*shape, process.num_classes)
    for dt in (t / 2, 1 - t):
        assert process.step(x_t, logits, t, dt, generator=seeded()).shape == shape
    loss = process.loss(logits, target, t)
    assert loss.shape == process.path_kl(logits, x_1, x_t, t).shape == shape[:1]
    assert (loss >= 0).all()
    assert process.log_kernel(x_t, logits, t, t / 2).shape[:2] == shape


@every_process
def test_rows_have_their_own_times(process):
    """A row at its own time and step has the law that it has alone."""
    K, num = process.num_classes, 20_000
    t, dt = torch.tensor([0.0, 0.5, 0.9]), torch.tensor([0.3, 0.0, 0.1])
    pi = prior_of(process)
    x_1 = torch.multinomial(pi, 3 * num, replacement=True, generator=seeded()).view(3, num)
    x_t, _ = process.corrupt(x_1, t, generator=seeded(1))
    logits = process.evidence(x_t, t) + pi.log().float()
    moved = process.step(x_t, logits, t, dt, generator=seeded(2))
    assert moved.max() < num_states(process)
    assert fits(moved[0], marginal(process, pi, 0.3))
    assert fits(moved[2], marginal(process, pi, 1.0))
    if getattr(process, "corrector", None) is None:
        assert torch.equal(moved[1], x_t[1])
    assert moved[2].max() < K


@every_process
def test_a_process_is_a_value(process):
    assert process == dataclasses.replace(process)
    assert hash(process) == hash(dataclasses.replace(process))
