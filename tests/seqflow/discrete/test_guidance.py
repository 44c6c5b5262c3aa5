"""Guidance of token paths: exact on tiny joint laws, and what it costs."""

import itertools

import pytest
import scipy.stats
import torch
from torch import nn

from seqflow.denoiser import NoisyClassifier
from seqflow.discrete import MaskedFlow, MetricFlow, PriorFlow, UniformFlow
from seqflow.discrete.distances import transition_transversion
from seqflow.discrete.guidance import BothPredictions, JumpGuidance, KernelGuidance, Labelled
from seqflow.guidance import ClassifierFreeGuidance, ClassifierGuidance, drop_labels
from seqflow.sampling import Sampler, time_grid

L, K, MASK = 3, 3, 3
SEQUENCES = torch.tensor(list(itertools.product(range(K), repeat=L)))
JOINT = torch.rand(K**L, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 2
JOINT /= JOINT.sum()
# p(y = 1 | x_1), far from a product over positions.
LABEL = torch.rand(K**L, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
FOUR = [MaskedFlow(4), UniformFlow(4), PriorFlow((0.4, 0.3, 0.2, 0.1))]
FOUR += [MetricFlow(transition_transversion(0.5))]
every_process = pytest.mark.parametrize("process", FOUR, ids=lambda each: type(each).__name__)


def fits_sequences(x, law):
    counts = torch.bincount((x * torch.tensor([9, 3, 1])).sum(-1), minlength=K**L)
    return scipy.stats.chisquare(counts, law * len(x)).pvalue > 1e-3


class Masked:
    """The exact posterior and classifier of the joint law, for masked states; counts rows.

    Looked up in tables over the 4^3 states.
    """

    def __init__(self):
        self.rows = 0
        states = torch.cartesian_prod(*[torch.arange(K + 1)] * L)[:, None]
        weights = ((states == SEQUENCES) | (states == MASK)).all(-1) * JOINT
        self.plain, self.conditional = self.posterior(weights), self.posterior(weights * LABEL)
        p = (weights @ LABEL) / weights.sum(-1)
        self.scores = torch.stack([1 - p, p], -1).log()

    def posterior(self, weights):
        p = torch.stack([(weights @ (i == SEQUENCES).double()) for i in range(K)], -1)
        return p.clamp_min(1e-300).log()

    def number(self, x_t):
        return x_t @ torch.tensor([16, 4, 1])

    def __call__(self, x_t, t, condition=None):
        told = condition is not None and (condition >= 0).all()
        return (self.conditional if told else self.plain)[self.number(x_t)]

    def classify(self, x_t, t):
        self.rows += len(x_t)
        return self.scores[self.number(x_t)]


def sample(process, predictor, num=2500, steps=80, seed=0):
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    sampler = Sampler(process, predictor, times, batch_size=num)
    return sampler.sample((num, L), condition=torch.ones(num, dtype=torch.int64), seed=seed)


def test_exact_posterior_of_masks_samples_the_joint_law():
    """Two positions jump in the same step of 80 with probability 4%: below the resolution."""
    model = Masked()
    assert fits_sequences(sample(MaskedFlow(K), lambda x, t, c: model(x, t)), JOINT)


def test_jump_guidance_samples_the_conditional_law():
    model = Masked()
    process = JumpGuidance(MaskedFlow(K), model.classify, 1.0)
    x = sample(process, Labelled(model))
    law = JOINT * LABEL
    assert fits_sequences(x, law / law.sum())
    assert not fits_sequences(x, JOINT)
    # Each position of each sample jumps once and asks for K candidates: not K for every step.
    assert model.rows == 2500 * L * K


def test_the_predictor_of_guided_masks_agrees_with_bayes():
    """Weighing p(i) by p(y | i) is the conditional posterior."""
    model, x_t = Masked(), torch.tensor([[3, 3, 3], [0, 3, 3], [3, 2, 1]])
    t, label = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.int64)
    seen = []

    class Spy(MaskedFlow):
        def step(self, x_t, prediction, t, dt, *, generator=None):
            seen.append(prediction.rows(torch.arange(x_t.numel())).view(*x_t.shape, K))
            return x_t

    guided = JumpGuidance(Spy(K), model.classify, 1.0, batch_size=4)
    guided.step(x_t, Labelled(model)(x_t, t, label), t, t)
    hidden = x_t == MASK
    expected = model(x_t, t, label)
    torch.testing.assert_close(seen[0].softmax(-1)[hidden], expected.softmax(-1)[hidden])


def test_strength_0_asks_no_classifier():
    model = Masked()
    plain = sample(MaskedFlow(K), lambda x, t, c: model(x, t), num=50)
    process = JumpGuidance(MaskedFlow(K), model.classify, 0.0)
    assert torch.equal(sample(process, Labelled(model), num=50), plain)
    assert model.rows == 0


def test_classifier_free_guidance_of_masks_is_the_conditional_law_at_1():
    model = Masked()
    law = JOINT * LABEL
    x = sample(MaskedFlow(K), ClassifierFreeGuidance(model, 1.0))
    assert fits_sequences(x, law / law.sum())


class Table:
    """Logits by label, the last row without one; counts calls and rows."""

    def __init__(self):
        self.logits = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
        self.rows = []

    def __call__(self, x_t, t, condition=None):
        self.rows.append(len(x_t))
        return self.logits[condition]


@every_process
def test_classifier_free_costs_one_doubled_call_a_step(process):
    for predictor, around in (
        (lambda table: ClassifierFreeGuidance(table, 3.0), process),
        (BothPredictions, KernelGuidance(process, 3.0)),
    ):
        table = Table()
        sampler = Sampler(around, predictor(table), time_grid(7))
        x = sampler.sample((6, 5), condition=torch.tensor([0, 1, 0, 1, 1, 0]))
        assert x.shape == (6, 5)
        assert table.rows == [12] * 7


@every_process
@pytest.mark.parametrize("strength", [0.0, 1.0, 2.5])
def test_kernel_guidance_mixes_the_one_step_laws(process, strength):
    num = 20_000
    x = torch.zeros(1, num, dtype=torch.int64) if process != FOUR[0] else torch.full((1, num), 4)
    t, dt = torch.tensor([0.5]), torch.tensor([0.25])
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(3))
    pair = {
        name: each.expand(1, num, 4)
        for name, each in zip(("unconditional", "conditional"), logits, strict=True)
    }
    generator = torch.Generator().manual_seed(4)
    moved = KernelGuidance(process, strength).step(x, pair, t, dt, generator=generator)
    q_0, q_y = (
        process.log_kernel(x[:, :1], each[:, :1], t, dt)[0, 0].double() for each in pair.values()
    )
    law = ((1 - strength) * q_0 + strength * q_y).softmax(-1)
    counts = torch.bincount(moved[0], minlength=len(law))
    assert scipy.stats.chisquare(counts, law * num).pvalue > 1e-3


class Linear(nn.Module):
    """log p(y | features) of which the Taylor form is exact; counts backward passes."""

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(5 * 4, generator=torch.Generator().manual_seed(5))
        self.backward = 0

    def forward(self, features, t):
        if features.requires_grad:
            features.register_hook(self.count)
        return torch.stack([features.flatten(1) @ self.weight, 0 * t], -1)

    def count(self, gradient):
        self.backward += 1


@every_process
@pytest.mark.parametrize("time", [0.1, 0.6, 0.999])
def test_taylor_guidance_is_the_first_order_of_the_exact_one(process, time):
    """A weak classifier: log p(y | x with i at l) - log p(y | x) by Taylor and by replacing."""
    network, table = Linear(), Table()
    network.weight *= 1e-3
    classifier = NoisyClassifier(process, network)
    x_0 = process.sample_prior((6, 5), generator=torch.Generator().manual_seed(6))
    t, label = torch.full((6,), time), torch.tensor([0, 1, 0, 1, 1, 0])
    taylor = ClassifierGuidance(process, table, classifier, 1.0)(x_0, t, label)
    assert network.backward == 1
    base = table(x_0, t, drop_labels(label))
    gain = taylor - base
    exact = torch.empty_like(gain)
    for position, token in itertools.product(range(5), range(4)):
        x = x_0.clone()
        x[:, position] = token
        scores = classifier(x, t).log_softmax(-1)
        exact[:, position, token] = scores.gather(1, label[:, None])[:, 0]
    gain, exact = (each - each.mean(-1, keepdim=True) for each in (gain, exact))
    # Gains are of order 1e-3; the second order is their square, and float32 of log 2 is 1e-7.
    torch.testing.assert_close(gain, exact, rtol=0, atol=1e-5)


def test_taylor_guidance_costs_one_backward_pass_a_step():
    process, network, table = UniformFlow(4), Linear(), Table()
    guided = ClassifierGuidance(process, table, NoisyClassifier(process, network), 2.0)
    label = torch.ones(6, dtype=torch.int64)
    Sampler(process, guided, time_grid(9)).sample((6, 5), condition=label)
    assert network.backward == 9
    assert table.rows == [6] * 9


def test_empty_batch():
    table, t = Table(), torch.zeros(0)
    x, label = torch.zeros(0, 5, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    pair = BothPredictions(table)(x, t, label)
    assert KernelGuidance(UniformFlow(4), 2.0).step(x, pair, t, t).shape == (0, 5)
    guided = JumpGuidance(UniformFlow(4), lambda x, t: torch.zeros(len(x), 2), 1.0)
    assert guided.step(x, Labelled(table)(x, t, label), t, t).shape == (0, 5)


def test_conditions_are_required():
    x, t = torch.zeros(1, 5, dtype=torch.int64), torch.zeros(1)
    with pytest.raises(ValueError, match="expected a condition to guide towards"):
        BothPredictions(Table())(x, t)
    with pytest.raises(ValueError, match="expected a tensor of labels"):
        Labelled(Table())(x, t)
