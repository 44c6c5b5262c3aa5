"""Held positions: exact in the output, and told to the others from the start."""

import dataclasses

import pytest
import scipy.stats
import torch

from seqflow.autoregressive import Autoregression
from seqflow.denoiser import CausalPredictor, EvidenceDenoiser
from seqflow.dirichlet import DirichletFlow
from seqflow.discrete import MaskedFlow, MetricFlow, UniformFlow
from seqflow.fisher import FisherFlow
from seqflow.guidance import ClassifierFreeGuidance
from seqflow.inpainting import FREE, Inpainting
from seqflow.networks import ConvolutionalNetwork
from seqflow.radial import RadialFlow
from seqflow.sampling import Sampler, time_grid
from seqflow.schedules import KineticOptimalSchedule
from seqflow.simplex import LinearFlow
from seqflow.simplex_state import vertices

K, LENGTH = 3, 3
NEAR = ((0.0, 0.5, 1.0), (0.5, 0.0, 1.0), (1.0, 1.0, 0.0))
PROCESSES = [
    DirichletFlow(K),
    LinearFlow(K),
    FisherFlow(K),
    RadialFlow(K),
    MaskedFlow(K),
    UniformFlow(K, KineticOptimalSchedule(1 / K)),
    MetricFlow(NEAR),
]
SIGNIFICANCE = 1e-3  # seeds are fixed; a true hypothesis fails one seed in a thousand
TEMPLATE = (FREE, 2, FREE)
TOKENS = PROCESSES[4:]

every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)
with_autoregression = pytest.mark.parametrize("process", [*PROCESSES, Autoregression(K)], ids=repr)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def joint_law() -> torch.Tensor:
    """A law of three tokens of which each depends strongly on the others, (K, K, K)."""
    logits = 1.5 * torch.randn(K, K, K, generator=seeded(11), dtype=torch.float64)
    return logits.flatten().softmax(0).reshape(K, K, K)


class ExactPosterior:
    """Bayes' rule for the joint law, from the evidence that the process shows."""

    def __init__(self, process, law):
        self.process, self.log_law = process, law.log()

    def __call__(self, x_t, t, condition=None):
        evidence = self.process.evidence(x_t, t).double()
        log_p = self.log_law.expand(len(evidence), K, K, K)
        for position in range(LENGTH):
            shape = [-1] + [K if axis == position else 1 for axis in range(LENGTH)]
            log_p = log_p + evidence[:, position].reshape(shape)
        axes = range(1, LENGTH + 1)
        rows = [log_p.logsumexp([a for a in axes if a != own]) for own in axes]
        return torch.stack(rows, 1).float()


class ExactPrefix:
    """p(x_l | x_1, ..., x_{l-1}) of the joint law."""

    def __init__(self, law):
        self.law = law

    def __call__(self, x_t, t, condition=None):
        first, second = x_t[:, 0], x_t[:, 1]
        rows = [self.law.sum((1, 2)).expand(len(x_t), -1), self.law.sum(2)[first]]
        return torch.stack([*rows, self.law[first, second]], 1).log().float()


def complete(process, predictor, num, num_steps, seed=0):
    """Decoded samples (num, LENGTH), all rows in one block."""
    generator = seeded(seed)
    x = process.sample_prior((num, LENGTH), generator=generator)
    times = time_grid(num_steps)
    for t, dt in zip(times[:-1], times.diff(), strict=True):
        t, dt = t.expand(num), dt.expand(num)
        x = process.step(x, predictor(x, t), t, dt, generator=generator)
    return process.decode(x)


def conditional(law, template):
    """The law of all sequences given the template, flat."""
    held = torch.zeros_like(law)
    index = tuple(slice(None) if token == FREE else token for token in template)
    held[index] = law[index]
    return (held / held.sum()).flatten()


def frequencies(tokens):
    powers = K ** torch.arange(LENGTH - 1, -1, -1)
    return torch.bincount((tokens * powers).sum(-1), minlength=K**LENGTH)


def agrees(tokens, law):
    """Whether a chi-square test accepts the law; what it excludes must not occur at all."""
    counts, possible = frequencies(tokens), law > 0
    if counts[~possible].any():
        return False
    expected = law[possible] * len(tokens)
    return scipy.stats.chisquare(counts[possible], expected).pvalue > SIGNIFICANCE


# Tokens drawn in one step do not see each other: with h = 1/100 that, and the error of a
# step of a flow, is beyond what 2000 draws resolve (a total variation of about 0.03).
@every_process
@pytest.mark.parametrize("template", [TEMPLATE, (0, FREE, FREE), (FREE, 1, 0)], ids=str)
def test_completions_have_the_conditional_law(process, template):
    law = joint_law()
    held = Inpainting(process, template)
    tokens = complete(held, ExactPosterior(held, law), 2000, 100)
    assert agrees(tokens, conditional(law, template))


@every_process
def test_noise_on_the_template_would_give_another_law(process):
    """Why held positions are shown clean: the same predictor that sees them at time t."""
    law = joint_law()
    held = Inpainting(process, TEMPLATE)

    class Noisy(ExactPosterior):
        def __call__(self, x_t, t, condition=None):
            tokens = torch.tensor(TEMPLATE).clamp_min(0).expand(len(x_t), -1)
            noisy, _ = process.corrupt(tokens, t, generator=self.generator)
            shown = (torch.tensor(TEMPLATE) != FREE)[(..., *[None] * (x_t.ndim - 2))]
            return super().__call__(torch.where(shown, noisy, x_t), t)

    predictor = Noisy(process, law)
    predictor.generator = seeded(1)
    tokens = complete(held, predictor, 2000, 100)
    assert not agrees(tokens, conditional(law, TEMPLATE))


def test_autoregression_completes_a_prefix():
    law, template = joint_law(), (1, 2, FREE)
    held = Inpainting(Autoregression(K), template)
    tokens = complete(held, ExactPrefix(law), 4000, LENGTH)
    assert agrees(tokens, conditional(law, template))


@with_autoregression
@pytest.mark.parametrize("template", [(FREE,) * 5, (0, FREE, 2, 2, FREE), (1, 0, 2, 0, 1)])
def test_what_is_held_is_exact_whatever_is_predicted(process, template):
    held = Inpainting(process, template)

    def wrong(x_t, t, condition=None):
        return 20 * torch.randn(len(x_t), 5, K, generator=seeded(2))

    x_1 = Sampler(held, wrong, time_grid(5)).sample((70, 5), seed=3)
    tokens = held.decode(x_1)
    for position, token in enumerate(template):
        if token != FREE:
            assert (tokens[:, position] == token).all()


@with_autoregression
def test_nothing_held_changes_nothing(process):
    predictor = denoiser(process)
    held = Inpainting(process, (FREE,) * 6)
    condition = torch.ones(5, dtype=torch.int64)
    plain, wrapped = (
        Sampler(p, predictor.seeing(p), time_grid(6)).sample((5, 6), condition=condition)
        for p in (process, held)
    )
    assert torch.equal(process.decode(plain), held.decode(wrapped))


def denoiser(process):
    """A small network with fresh weights, as a predictor of the process."""
    causal = isinstance(process, Autoregression)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ConvolutionalNetwork(
            K, K, 2, channels=8, max_length=6, kernel_size=3, dilations=[1], causal=causal
        )
    return CausalPredictor(K, network) if causal else EvidenceDenoiser(process, network)


@with_autoregression
@pytest.mark.parametrize("strength", [0, 1, 3])
def test_guidance_and_seeds_work_unchanged(process, strength):
    template = (2, FREE, FREE, 0, FREE, 1)
    held = Inpainting(process, template)
    guided = ClassifierFreeGuidance(denoiser(process).seeing(held), strength)
    condition = torch.arange(70) % 2
    a, b = (
        held.decode(
            Sampler(held, guided, time_grid(6), size).sample((70, 6), condition=condition, seed=9)
        )
        for size in (64, 7)
    )
    assert torch.equal(a, b)
    assert (a[:, [0, 3, 5]] == torch.tensor([2, 0, 1])).all()
    assert len(a.unique(dim=0)) > 10


@every_process
@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_held_positions_are_certain_at_every_time(process, t, dtype):
    held = Inpainting(process, TEMPLATE)
    time = torch.full((4,), t, dtype=dtype)
    x_1 = torch.zeros(4, LENGTH, dtype=torch.int64)
    x_t, _ = held.corrupt(x_1, time, generator=seeded())
    evidence = held.evidence(x_t, time)
    assert evidence.dtype == dtype
    assert evidence.isfinite().all()
    shown = evidence.softmax(-1)
    # Less than one rounding for any other token, whatever a network adds within reason.
    assert (1 - shown[:, 1, 2]).max() < torch.finfo(dtype).eps
    assert (evidence[:, 1, 2:] - evidence[:, 1, :2]).min() > 30
    torch.testing.assert_close(evidence[:, ::2], process.evidence(x_t, time)[:, ::2])
    clean, _ = held.corrupt(x_1, torch.ones(4))
    assert torch.equal(held.decode(clean), torch.tensor([[0, 2, 0]] * 4))


@pytest.mark.parametrize("process", TOKENS, ids=repr)
def test_the_law_of_a_step_holds_too(process):
    """Which guidance of kernels draws from, in place of ``step``."""
    held, t = Inpainting(process, TEMPLATE), torch.full((2,), 0.4)
    x_t, _ = held.corrupt(torch.zeros(2, LENGTH, dtype=torch.int64), t, generator=seeded())
    logits = torch.randn(2, LENGTH, K, generator=seeded(1))
    kernel, own = (each.log_kernel(x_t, logits, t, t / 2) for each in (held, process))
    assert kernel.isfinite().all()
    assert torch.equal(kernel[:, ::2], own[:, ::2])
    # The others keep the smallest normal number, so that logarithms can be mixed.
    assert torch.equal(
        kernel[:, 1].exp().round(decimals=30), vertices(x_t, own.shape[-1], own.dtype)[:, 1]
    )


@with_autoregression
def test_empty_batches(process):
    held = Inpainting(process, TEMPLATE)
    x_0 = held.sample_prior((0, LENGTH))
    logits = torch.zeros(0, LENGTH, K)
    assert held.step(x_0, logits, torch.zeros(0), torch.zeros(0)).shape == x_0.shape


@pytest.mark.parametrize("process", PROCESSES[:2], ids=repr)
def test_what_else_the_process_can_do_is_passed_on(process):
    held = Inpainting(process, TEMPLATE)
    assert held.num_classes == K
    x_0 = held.sample_prior((2, LENGTH), generator=seeded())
    assert held.tilt(torch.zeros(2, LENGTH, K), x_0, x_0, torch.full((2,), 0.5)).shape == x_0.shape
    with pytest.raises(AttributeError, match="nonsense"):
        held.nonsense  # noqa: B018  # the look-up is the test


@with_autoregression
def test_it_is_a_value(process):
    held = Inpainting(process, TEMPLATE)
    assert held == dataclasses.replace(held)
    assert hash(held) == hash(dataclasses.replace(held))


@with_autoregression
@pytest.mark.parametrize(("template", "entry"), [((0, K), K), ((-2, 0), -2), ((0, 99), 99)])
def test_templates_outside_the_alphabet_are_refused(process, template, entry):
    with pytest.raises(ValueError, match=rf"tokens 0\.\.2, or -1 where free, .* got {entry} at"):
        Inpainting(process, template)


@with_autoregression
def test_other_lengths_are_refused(process):
    held = Inpainting(process, TEMPLATE)
    with pytest.raises(ValueError, match=r"the template has 3 positions, got \(2, 4\)"):
        held.sample_prior((2, 4))
    with pytest.raises(ValueError, match=r"the template has 3 positions, got \(2, 5\)"):
        held.corrupt(torch.zeros(2, 5, dtype=torch.int64), torch.zeros(2))
