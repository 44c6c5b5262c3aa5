"""What every radial process does: corruption, evidence, steps, samples; see also test_bound."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from seqflow.categorical import cross_entropy
from seqflow.denoiser import EvidenceDenoiser, NoisyClassifier
from seqflow.discrete import PathDivergence
from seqflow.guidance import ClassifierGuidance
from seqflow.radial import (
    DrawnEnd,
    FreshWalk,
    GeodesicWalk,
    MeanDrift,
    ParticleTable,
    RadialFlow,
    TangentNormal,
)
from seqflow.sampling import Sampler, time_grid
from seqflow.schedules import CosineSchedule

PROCESSES = [RadialFlow(2), RadialFlow(4), RadialFlow(4, 0.5), RadialFlow(20, 1.0)]
PROCESSES += [RadialFlow(4, variance=0.04, schedule=CosineSchedule(), walk=ParticleTable())]
PROCESSES += [RadialFlow(4, move=GeodesicWalk()), RadialFlow(4, 1.0, move=MeanDrift())]
PROCESSES += [RadialFlow(3, 0.75, walk=FreshWalk(16))]
SIGNIFICANCE = 1e-3  # seeds are fixed; a true hypothesis fails one seed in a thousand

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def on_sphere(x):
    # The square of a length, of K + 1 numbers rounded a few times each.
    return bool(((x.square().sum(-1) - 1).abs() <= 32 * torch.finfo(x.dtype).eps).all())


def awkward_states(process, dtype):
    """The start, a vertex, the mask, both opposite points, the middle of two: (1, 6, K + 1)."""
    K = process.num_classes
    x = torch.zeros(6, K + 1, dtype=dtype)
    x[0] = process.bridge.origin(dtype)
    x[1, 0] = x[2, K] = 1
    x[3, 0] = x[4, K] = -1
    x[5, :2] = 0.5**0.5
    return x[None]


@every_process
@every_dtype
def test_corruption_starts_at_the_start_and_ends_at_the_data(process, dtype):
    K = process.num_classes
    x_1 = torch.randint(K, (3, 50), generator=seeded(1))
    t = torch.tensor([0.0, 0.5, 1.0], dtype=dtype)
    x_t, target = process.corrupt(x_1, t, generator=seeded(2))
    assert torch.equal(target.x_1, x_1)
    assert target.x_t is x_t
    assert x_t.dtype == dtype
    assert on_sphere(x_t)
    start = process.sample_prior((50,), dtype=dtype)
    # A radius at t = 0 is the square root of a rounding.
    torch.testing.assert_close(x_t[0], start, rtol=0, atol=4 * torch.finfo(dtype).eps ** 0.5)
    assert torch.equal(x_t[2], torch.eye(K + 1, dtype=dtype)[x_1[2]])
    assert torch.equal(process.decode(x_t[2]), x_1[2])
    again, _ = process.corrupt(x_1, t, generator=seeded(2))
    assert torch.equal(again, x_t)


@every_process
def test_other_tokens_than_the_own_are_alike(process):
    x_1 = torch.zeros(1, 4000, dtype=torch.int64)
    x_t, _ = process.corrupt(x_1, torch.tensor([0.5]), generator=seeded(3))
    if process.num_classes > 2:
        first, last = x_t[0, :, 1].numpy(), x_t[0, :, -2].numpy()
        assert scipy.stats.ks_2samp(first, last).pvalue > SIGNIFICANCE


@every_process
def test_evidence_is_bayes_rule(process):
    """Among states where the posterior says p, about a share p carries the token: by binning."""
    K, num = process.num_classes, 20_000
    prior = (torch.arange(K) * 0.5).cos().exp().double()
    prior /= prior.sum()
    x_1 = torch.multinomial(prior, num, replacement=True, generator=seeded(5))[None]
    t = torch.tensor([0.4], dtype=torch.float64)
    x_t, _ = process.corrupt(x_1, t, generator=seeded(6))
    posterior = (process.evidence(x_t, t) + prior.log()).softmax(-1)
    for token in (0, K - 1):
        p, hit = posterior[0, :, token].numpy(), (x_1[0] == token).numpy()
        index = np.digitize(p, np.quantile(p, np.linspace(0.1, 0.9, 9)))
        for b in np.unique(index):
            inside = index == b
            mean, observed, count = p[inside].mean(), hit[inside].mean(), inside.sum()
            # Five standard errors of a share, 1/count where it is nearly zero, and what a wrapped
            # normal is off: 0.03 p (1 - p) 4, largest for the smallest alphabets.
            error = 5 * np.sqrt(mean * (1 - mean) / count) + 1 / count
            error += 0.12 * mean * (1 - mean)
            assert abs(observed - mean) < error, (token, b, mean, observed)


@every_process
@every_dtype
@pytest.mark.parametrize("t", [0.0, 1e-6, 0.5, 1.0])
def test_values_and_gradients_are_finite_at_awkward_points(process, dtype, t):
    K, time = process.num_classes, torch.tensor([t], dtype=dtype, requires_grad=True)
    x = awkward_states(process, dtype).requires_grad_()
    logits = torch.randn(1, 6, K, generator=seeded(), dtype=dtype).requires_grad_()
    weights = torch.randn(1, 6, K + 1, generator=seeded(2), dtype=dtype)
    dt = torch.tensor([min(0.1, 1 - t)], dtype=dtype)
    x_1 = torch.zeros(1, 6, dtype=torch.int64)
    for value in (
        process.evidence(x, time),
        process.step(x, logits, time, dt, generator=seeded()),
        process.tilt(logits, logits.detach(), x, time),
        process.path_kl(logits, x_1, x, time)[:, None, None],
    ):
        assert value.dtype == dtype
        assert value.isfinite().all()
        loss = (weights[..., : value.shape[-1]] * value).sum()
        gradients = torch.autograd.grad(loss, (x, logits), allow_unused=True)
        assert all(g.isfinite().all() for g in gradients if g is not None)


@every_process
def test_evidence_keeps_its_digits_at_early_times(process):
    t = process.clock.inverse(torch.logspace(-6, -1, 6))
    x_1 = torch.zeros(6, 300, dtype=torch.int64)
    x_t, _ = process.corrupt(x_1, t.double(), generator=seeded())
    exact = process.evidence(x_t, t.double())
    rounded = process.evidence(x_t.float(), t).double()
    centred = [e - e.mean(-1, keepdim=True) for e in (rounded, exact)]
    # Rounding of S, of size K rho^2/4, over rho^2, and of x_0, over sqrt(v_1 s).
    torch.testing.assert_close(*centred, rtol=2e-3, atol=2e-5 * process.num_classes)


@every_process
@every_dtype
@pytest.mark.parametrize(("t", "dt"), [(0.0, 1e-4), (0.0, 1.0), (0.3, 0.5), (0.95, 0.05)])
def test_a_step_stays_on_the_sphere_and_lands_on_a_vertex(process, dtype, t, dt):
    K, time = process.num_classes, torch.tensor([t], dtype=dtype)
    near, _ = process.corrupt(torch.zeros(1, 20, dtype=torch.int64), time, generator=seeded())
    x = torch.cat([awkward_states(process, dtype), near], 1)
    logits = 20 * torch.randn(1, 26, K, generator=seeded(1), dtype=dtype)
    step = torch.tensor([dt], dtype=dtype)
    moved = process.step(x, logits, time, step, generator=seeded(2))
    assert moved.dtype == dtype
    assert on_sphere(moved)
    if t + dt >= 1:
        assert (moved[..., :K].amax(-1) == 1).all()
        assert (moved.count_nonzero(-1) == 1).all()


@every_process
def test_steps_towards_a_token_follow_its_path(process):
    """Law of <x, e_k> after stepping with a one-hot prediction = that of corrupt at that time."""
    num_steps, t_end = 64, 0.6
    x_1 = torch.zeros(1, 3000, dtype=torch.int64)
    logits = 1e3 * torch.eye(process.num_classes)[x_1]
    x, generator = process.sample_prior((1, 3000)), seeded(3)
    dt = torch.tensor([t_end / num_steps])
    for i in range(num_steps):
        x = process.step(x, logits, i * dt, dt, generator=generator)
    direct, _ = process.corrupt(x_1, torch.tensor([t_end]), generator=seeded(4))
    for axis in (0, 1, -1):
        a, b = (y[0, :, axis].numpy() for y in (x, direct))
        assert scipy.stats.ks_2samp(a, b).pvalue > SIGNIFICANCE


# Steps of a token drawn from the posterior are exact but for what evidence and curvature are off;
# drift along the mean, and its Euler step, have errors of first order.
STEPS = [(DrawnEnd(), 1), (DrawnEnd(), 8), (DrawnEnd(), 32), (MeanDrift(), 48)]
STEPS += [(GeodesicWalk(), 48)]


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize(("move", "num_steps"), STEPS, ids=repr)
def test_the_exact_posterior_samples_the_data(start, move, num_steps):
    """Independent tokens of law pi: chi-square of the sampler's tokens against pi."""
    K, num = 27, 3000
    process = RadialFlow(K, start, move=move)
    pi = (3 * torch.rand(K, generator=seeded(7), dtype=torch.float64)).softmax(-1)
    x, generator = process.sample_prior((1, num)), seeded(8)
    times = time_grid(num_steps)
    for t, dt in zip(times[:-1, None], times.diff()[:, None], strict=True):
        logits = process.evidence(x, t) + pi.log().float()
        x = process.step(x, logits, t, dt, generator=generator)
    counts = torch.bincount(process.decode(x)[0], minlength=K)
    assert scipy.stats.chisquare(counts, pi * num).pvalue > SIGNIFICANCE


@every_process
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (2, 1), (1, 7)], ids=str)
def test_any_batch_and_length(process, shape):
    K = process.num_classes
    x_1, t = torch.zeros(shape, dtype=torch.int64), torch.full(shape[:1], 0.4)
    x_0 = process.sample_prior(shape, generator=seeded())
    for start in (None, x_0):
        x_t, target = process.corrupt(x_1, t, start, generator=seeded())
        assert x_t.shape == x_0.shape == (*shape, K + 1)
        logits = process.evidence(x_t, t)
        assert logits.shape == (*shape, K)
        assert process.tilt(logits, logits, x_t, t).shape == logits.shape
        torch.testing.assert_close(process.loss(logits, target, t), cross_entropy(logits, x_1))
        assert process.path_kl(logits, x_1, x_t, t).shape == shape[:1]
        assert process.step(x_t, logits, t, t / 2, generator=seeded()).shape == x_t.shape
        assert process.decode(x_t).shape == shape


def test_the_other_loss_is_the_integrand_a_token():
    process = RadialFlow(5, objective=PathDivergence())
    x_1, t = torch.randint(5, (3, 7), generator=seeded()), torch.tensor([0.1, 0.5, 0.9])
    x_t, target = process.corrupt(x_1, t, generator=seeded())
    logits = torch.randn(3, 7, 5, generator=seeded(1), requires_grad=True)
    loss = process.loss(logits, target, t)
    assert torch.equal(loss, process.path_kl(logits, x_1, x_t, t) / 7)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert gradient.isfinite().all()
    assert gradient.abs().amax((1, 2)).min() > 0


@pytest.mark.parametrize("process", PROCESSES[-2:-1], ids=repr)
def test_evidence_and_step_compile_as_one_graph(process):
    """Without a generator, which torch.compile cannot take as an argument (torch 2.13)."""

    def both(x, t):
        logits = process.evidence(x, t)
        return logits, process.step(x, logits, t, t)

    torch._dynamo.reset()
    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
    for batch in (2, 3):  # from the second on the shape is symbolic
        x_1, t = torch.zeros(batch, 5, dtype=torch.int64), torch.full((batch,), 0.3)
        x, _ = process.corrupt(x_1, t, generator=seeded())
        logits, moved = compiled(x, t)
        # Roundings of K times a few eps, see above.
        torch.testing.assert_close(logits, process.evidence(x, t), rtol=1e-4, atol=1e-4)
        assert on_sphere(moved)


def test_seeds_do_not_depend_on_the_batch_size():
    process = RadialFlow(4)

    def predictor(x_t, t, condition=None):
        return process.evidence(x_t, t)

    a, b = (
        process.decode(Sampler(process, predictor, time_grid(6), size).sample((70, 5), seed=1))
        for size in (64, 7)
    )
    assert torch.equal(a, b)


def test_classifier_guidance_is_bayes_rule_for_one_token():
    """Tokens 0 and 1 have the label 0: the guided posterior of single tokens is near theirs."""
    process, K = RadialFlow(4), 4
    labels = torch.tensor([[0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.9]])  # p(y | k)
    network = torch.nn.Identity()
    network.forward = lambda q, t: (q[:, 0] @ labels.T).log()
    classifier = NoisyClassifier(process, network)
    x_1, t = torch.randint(K, (400, 1), generator=seeded()), torch.full((400,), 0.2)
    x_t, _ = process.corrupt(x_1, t, generator=seeded())
    guided = ClassifierGuidance(process, lambda x, t, c: process.evidence(x, t), classifier, 1.0)
    wanted = torch.zeros(400, dtype=torch.int64)
    found = guided(x_t, t, wanted).softmax(-1)
    exact = (process.evidence(x_t, t) + labels[0].log()).softmax(-1)
    # exp(r - 1) in place of r for ratios r = p(y | k)/p(y): off by (r - 1)^2/2, here 0.3.
    assert (found - exact).abs().mean() < 0.1
    assert (found[..., :2].sum() / exact[..., :2].sum()).item() == pytest.approx(1, abs=0.1)


def test_a_denoiser_learns_through_it():
    process = RadialFlow(4)
    network = torch.nn.Identity()
    network.forward = lambda q, t, c: torch.zeros_like(q)
    denoiser = EvidenceDenoiser(process, network)
    x_1, t = torch.randint(4, (64, 9), generator=seeded()), torch.full((64,), 0.99)
    x_t, target = process.corrupt(x_1, t, generator=seeded())
    # At the end the state says all by itself.
    assert process.loss(denoiser(x_t, t), target, t).mean() < 1e-3


@every_process
def test_a_process_is_a_value(process):
    assert process == dataclasses.replace(process)
    assert hash(process) == hash(dataclasses.replace(process))
    with pytest.raises(dataclasses.FrozenInstanceError):
        process.num_classes = 3


def test_large_alphabets_have_a_smaller_variance_and_the_same_noise():
    for K in (10, 1000):
        process = RadialFlow(K, walk=TangentNormal())
        x_1, t = torch.zeros(1, 200, dtype=torch.int64), torch.tensor([0.5])
        x_t, _ = process.corrupt(x_1, t, generator=seeded())
        # At even odds of its clock about half of a single token is told, whatever K.
        p = process.evidence(x_t, t).log_softmax(-1)[..., 0]
        assert 0.2 < -p.mean().item() / np.log(K) < 0.6


def test_refusals():
    process = RadialFlow(4)
    t, x = torch.full((2,), 0.5), process.sample_prior((2, 3))
    with pytest.raises(ValueError, match="num_classes of at least 2, got 1"):
        RadialFlow(1)
    with pytest.raises(ValueError, match="num_classes of at least 2, got 0"):
        RadialFlow(0)
    with pytest.raises(ValueError, match=r"clean tokens in 0\.\.3, got 4, which is the mask"):
        process.corrupt(torch.full((2, 3), 4), t)
    with pytest.raises(ValueError, match=r"of shape \(2, 4, 5\), got \(2, 3, 5\)"):
        process.corrupt(torch.zeros(2, 4, dtype=torch.int64), t, x)
    with pytest.raises(ValueError, match=r"logits of shape \(2, 3, 4\), got \(2, 3, 5\)"):
        process.step(x, x, t, t)
    with pytest.raises(ValueError, match=r"points of the sphere of shape \(2, 3, 5\)"):
        process.step(x[..., 1:], x[..., 1:], t, t)
    assert FreshWalk() == RadialFlow(4).walk
