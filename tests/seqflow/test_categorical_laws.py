"""Laws that every process on tokens with a state on the simplex obeys."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from seqflow.categorical import cross_entropy
from seqflow.dirichlet import DirichletFlow
from seqflow.fisher import FisherFlow
from seqflow.schedules import CosineSchedule
from seqflow.simplex import LinearFlow

PROCESSES = [DirichletFlow(2), DirichletFlow(4), DirichletFlow(20), DirichletFlow(4, t_max=20.0)]
PROCESSES += [LinearFlow(2), LinearFlow(4), LinearFlow(20)]
PROCESSES += [FisherFlow(2), FisherFlow(4), FisherFlow(20), FisherFlow(4, CosineSchedule())]
DTYPES = [torch.float32, torch.float64]
SIGNIFICANCE = 1e-3  # seeds are fixed; a true hypothesis fails one seed in a thousand

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def on_simplex(x: torch.Tensor) -> bool:
    # The sum of K numbers that add up to one, after one rounding each.
    total = torch.ones((), dtype=x.dtype)
    tolerance = 4 * x.shape[-1] * torch.finfo(x.dtype).eps
    return bool((x >= 0).all()) and bool(((x.sum(-1) - total).abs() <= tolerance).all())


def prior_marginal(process) -> tuple[float, float]:
    """The Beta law of one coordinate of noise, uniform for the volume or for Fisher-Rao's."""
    alpha = 0.5 if isinstance(process, FisherFlow) else 1.0
    return alpha, alpha * (process.num_classes - 1)


def same_law(a: torch.Tensor, b: torch.Tensor) -> bool:
    return scipy.stats.ks_2samp(a.flatten().numpy(), b.flatten().numpy()).pvalue > SIGNIFICANCE


def awkward_states(num_classes: int, dtype: torch.dtype) -> torch.Tensor:
    """A corner, an edge's middle, a facet, nearly a corner, the centre: shape (1, 5, K)."""
    x = torch.full((5, num_classes), 1 / num_classes, dtype=dtype)
    x[:4] = 0
    x[0, 0] = 1
    x[1, :2] = 0.5
    x[2, 1:] = 1 / (num_classes - 1)
    x[3, 0], x[3, 1] = 1 - 1e-7, 1e-7
    return x[None]


@every_process
@every_dtype
def test_prior_is_uniform_on_the_simplex(process, dtype):
    x = process.sample_prior((100, 60), generator=seeded(), dtype=dtype)
    K = process.num_classes
    assert x.shape == (100, 60, K)
    assert x.dtype == dtype
    assert on_simplex(x)
    for i in (0, K - 1):
        law = prior_marginal(process)
        assert scipy.stats.kstest(x[..., i].flatten(), "beta", law).pvalue > SIGNIFICANCE


@every_process
@every_dtype
def test_corruption_starts_at_the_prior_and_ends_at_the_data(process, dtype):
    x_1 = torch.randint(process.num_classes, (2, 4000), generator=seeded(1))
    t = torch.tensor([0.0, 1.0], dtype=dtype)
    x_t, target = process.corrupt(x_1, t, generator=seeded(2))
    assert torch.equal(target, x_1)
    assert x_t.dtype == dtype
    assert on_simplex(x_t)
    z = x_t[0].gather(-1, x_1[0, :, None]).flatten().numpy()
    law = prior_marginal(process)
    assert scipy.stats.kstest(z, "beta", law).pvalue > SIGNIFICANCE
    assert torch.equal(x_t[1], torch.eye(process.num_classes, dtype=dtype)[x_1[1]])
    assert torch.equal(process.decode(x_t[1]), x_1[1])


@every_process
@every_dtype
@pytest.mark.parametrize("t", [0.0, 0.3, 0.95, 1.0])
@pytest.mark.parametrize("dt", [0.0, 1e-4, 0.5, 1.0])
def test_a_step_stays_on_the_simplex(process, dtype, t, dt):
    K = process.num_classes
    random = process.sample_prior((1, 20), generator=seeded(), dtype=dtype)
    x = torch.cat([awkward_states(K, dtype), random], 1)
    logits = 20 * torch.randn(x.shape, generator=seeded(1), dtype=dtype)
    time = torch.tensor([t], dtype=dtype)
    step = torch.tensor([min(dt, 1 - t)], dtype=dtype)
    moved = process.step(x, logits, time, step, generator=seeded(2))
    assert moved.dtype == dtype
    assert moved.isfinite().all()
    assert on_simplex(moved)
    if t + dt >= 1:
        assert (moved.amax(-1) == 1).all()


@every_process
def test_many_steps_end_on_a_vertex_and_repeat_with_the_seed(process):
    def sample(seed: int) -> torch.Tensor:
        generator = seeded(seed)
        x = process.sample_prior((3, 50), generator=generator)
        for i in range(30):
            t, dt = torch.full((3,), i / 30), torch.full((3,), 1 / 30)
            x = process.step(x, process.evidence(x, t), t, dt, generator=generator)
        assert on_simplex(x)
        assert (x.amax(-1) == 1).all()
        return process.decode(x)

    assert torch.equal(sample(0), sample(0))
    assert not torch.equal(sample(0), sample(1))


@every_process
def test_steps_towards_a_token_follow_its_path(process):
    """Law of x_i after stepping with a one-hot prediction = law of corrupt at that time."""
    num_steps, t_end = 100, 0.8
    x_1 = torch.zeros(1, 2000, dtype=torch.int64)
    logits = 1e3 * torch.eye(process.num_classes)[x_1]
    x = process.sample_prior((1, 2000), generator=seeded(3))
    dt = torch.tensor([t_end / num_steps])
    for i in range(num_steps):
        x = process.step(x, logits, i * dt, dt, generator=seeded())
    direct, _ = process.corrupt(x_1, torch.tensor([t_end]), generator=seeded(4))
    # At 2000 draws KS resolves 0.06 in the distribution function; stepping is off by 0.003.
    assert same_law(x[..., 0], direct[..., 0])
    assert same_law(x[..., 1], direct[..., 1])


@every_process
def test_evidence_is_bayes_rule(process):
    """Among states where the posterior says p, a share p carries the token: by binning."""
    K, num = process.num_classes, 40_000
    prior = (torch.arange(K) * 0.5).cos().exp().double()
    prior /= prior.sum()
    x_1 = torch.multinomial(prior, num, replacement=True, generator=seeded(5))[None]
    t = torch.tensor([0.25 if K < 10 else 0.1], dtype=torch.float64)
    x_t, _ = process.corrupt(x_1, t, generator=seeded(6))
    posterior = (process.evidence(x_t, t) + prior.log()).softmax(-1)
    for token in (0, K - 1):
        p, hit = posterior[0, :, token].numpy(), (x_1[0] == token).numpy()
        index = np.digitize(p, np.quantile(p, np.linspace(0.1, 0.9, 9)))
        for b in np.unique(index):
            inside = index == b
            mean, observed, count = p[inside].mean(), hit[inside].mean(), inside.sum()
            # Five standard errors of a share; 1/count where the share is nearly zero.
            error = 5 * np.sqrt(mean * (1 - mean) / count) + 1 / count
            assert abs(observed - mean) < error, (token, b, mean, observed)


# The plug-in KL has the floor (K-1)/(2N) and the spread sqrt((K-1)/2)/N, five of which are
# allowed. The rest is the sampler's own error, an upper bound on what 200,000 draws show, out
# of KL(uniform || pi) = 0.03 to 0.06: first order in the step for Dirichlet flow; for linear
# flow at K = 20 one step of 1/20 is a third of the window ln K/K in which all is decided, and
# Fisher flow, whose support shrinks too, is little better off.
BIAS = {(DirichletFlow, 20): 1.2e-4, (DirichletFlow, 100): 1e-5}
BIAS |= {(LinearFlow, 20): 1.4e-3, (LinearFlow, 100): 1e-5}
BIAS |= {(FisherFlow, 20): 1.1e-3, (FisherFlow, 100): 1e-5}


@pytest.mark.parametrize("num_steps", [20, 100])
@pytest.mark.parametrize("process", [p for p in PROCESSES if p.num_classes in (4, 20)], ids=repr)
def test_the_exact_posterior_samples_the_data(process, num_steps):
    """Independent tokens of law pi: the sampler's marginal against pi."""
    K, num = process.num_classes, 40_000
    pi = torch.rand(K, generator=seeded(7), dtype=torch.float64).softmax(-1)
    log_pi = pi.log().float()
    generator = seeded(8)
    x = process.sample_prior((1, num), generator=generator)
    for i in range(num_steps):
        t, dt = torch.tensor([i / num_steps]), torch.tensor([1 / num_steps])
        x = process.step(x, process.evidence(x, t) + log_pi, t, dt, generator=generator)
    empirical = torch.bincount(process.decode(x)[0], minlength=K) / num
    excess = torch.special.xlogy(empirical, empirical / pi).sum().item() - (K - 1) / (2 * num)
    spread = 5 * ((K - 1) / 2) ** 0.5 / num
    assert excess < BIAS[type(process), num_steps] + spread


@every_process
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 1), (1, 7)], ids=str)
def test_any_batch_and_length(process, shape):
    K = process.num_classes
    x_1 = torch.zeros(shape, dtype=torch.int64)
    t = torch.full(shape[:1], 0.4)
    x_0 = process.sample_prior(shape, generator=seeded())
    for start in (None, x_0):
        x_t, target = process.corrupt(x_1, t, start, generator=seeded())
        assert x_t.shape == (*shape, K)
        logits = process.evidence(x_t, t)
        assert logits.shape == x_t.shape
        assert process.velocity(x_t, logits, t).shape == x_t.shape
        assert process.tilt(logits, x_0, x_t, t).shape == x_t.shape
        loss = process.loss(logits, target, t)
        torch.testing.assert_close(loss, cross_entropy(logits, target))
        assert process.step(x_t, logits, t, t / 2, generator=seeded()).shape == x_t.shape
        assert process.decode(x_t).shape == shape


@every_process
@every_dtype
@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_values_and_gradients_are_finite_at_awkward_points(process, dtype, t):
    x = awkward_states(process.num_classes, dtype).requires_grad_()
    logits = torch.randn(x.shape, generator=seeded(), dtype=dtype).requires_grad_()
    gradient = torch.randn(x.shape, generator=seeded(1), dtype=dtype)
    time = torch.tensor([t], dtype=dtype, requires_grad=True)
    dt = torch.tensor([min(0.1, 1 - t)], dtype=dtype)
    weights = torch.randn(x.shape, generator=seeded(2), dtype=dtype)
    for value in (
        process.evidence(x, time),
        process.velocity(x, logits, time),
        process.step(x, logits, time, dt, generator=seeded()),
        process.tilt(logits, gradient, x, time),
        process.corrupt(torch.zeros(1, 5, dtype=torch.int64), time, x)[0],
    ):
        assert value.isfinite().all()
        if value.requires_grad:
            inputs = torch.autograd.grad(
                (weights * value).sum(), (x, logits, time), allow_unused=True
            )
            assert all(g.isfinite().all() for g in inputs if g is not None)


@every_process
def test_a_step_of_any_row_is_its_own(process):
    """Rows at different times do not see each other, apart from the draws of the last step."""
    x = process.sample_prior((3, 6), generator=seeded())
    logits = torch.randn(x.shape, generator=seeded(1))
    t, dt = torch.tensor([0.0, 0.3, 0.6]), torch.tensor([0.2, 0.1, 0.05])
    together = process.step(x, logits, t, dt)
    for i in range(3):
        row = slice(i, i + 1)
        torch.testing.assert_close(
            process.step(x[row], logits[row], t[row], dt[row]), together[row]
        )


@every_process
def test_wrong_shapes_are_refused(process):
    K = process.num_classes
    x = process.sample_prior((2, 3), generator=seeded())
    t = torch.full((2,), 0.5)
    with pytest.raises(ValueError, match=rf"shape \(2, 3, {K}\), got \(2, 3, {K + 1}\)"):
        process.step(x, torch.zeros(2, 3, K + 1), t, t)
    with pytest.raises(ValueError, match=rf"shape \(2, 4, {K}\), got \(2, 3, {K}\)"):
        process.corrupt(torch.zeros(2, 4, dtype=torch.int64), t, x)


@pytest.mark.parametrize(
    "process", [DirichletFlow(4), DirichletFlow(160), LinearFlow(4)], ids=repr
)
def test_step_compiles_as_one_graph(process):
    """Without a generator, which torch.compile cannot take as an argument (torch 2.13)."""
    torch._dynamo.reset()
    step = torch.compile(process.step, fullgraph=True, backend="aot_eager")
    for batch in (2, 3, 4):  # from the second on the shape is symbolic
        x = process.sample_prior((batch, 5), generator=seeded())
        logits = torch.randn(x.shape, generator=seeded(1))
        t, dt = torch.full((batch,), 0.3), torch.full((batch,), 0.1)
        torch.testing.assert_close(step(x, logits, t, dt), process.step(x, logits, t, dt))


@every_process
def test_a_process_is_a_value(process):
    assert process == dataclasses.replace(process)
    assert hash(process) == hash(dataclasses.replace(process))
    with pytest.raises(dataclasses.FrozenInstanceError):
        process.num_classes = 3
