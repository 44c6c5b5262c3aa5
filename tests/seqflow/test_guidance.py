"""Guidance: identities at 0 and 1, closed forms, one or two evaluations, batch invariance."""

import pytest
import torch

from seqflow.dirichlet import DirichletFlow
from seqflow.guidance import (
    NO_LABEL,
    ClassifierFreeGuidance,
    ClassifierGuidance,
    drop_labels,
    linear,
    log_linear,
)
from seqflow.simplex import LinearFlow

B, L, K = 5, 3, 4


class Table:
    """Logits looked up by label (the last row without one), plus the state; counts its rows."""

    def __init__(self):
        self.logits = torch.randn(3, L, K, generator=torch.Generator().manual_seed(0))
        self.rows = []

    def __call__(self, x_t, t, condition=None):
        self.rows.append(len(x_t))
        return x_t + self.logits[condition]


@pytest.fixture
def state():
    x_t = torch.rand(B, L, K, generator=torch.Generator().manual_seed(1))
    return x_t / x_t.sum(-1, keepdim=True), torch.full((B,), 0.4), torch.tensor([0, 1, 0, 1, 1])


@pytest.mark.parametrize("combine", [linear, log_linear])
def test_strengths_0_and_1_are_the_predictor_itself(state, combine):
    x_t, t, label = state
    table = Table()
    for strength, condition in ((0.0, drop_labels(label)), (1.0, label)):
        guided = ClassifierFreeGuidance(table, strength, combine)(x_t, t, label)
        assert torch.equal(guided, table(x_t, t, condition))
    # One evaluation of B rows each, and one each for the comparison.
    assert table.rows == [B] * 4


def test_other_strengths_cost_two_evaluations_in_one_call(state):
    table = Table()
    ClassifierFreeGuidance(table, 3.0)(*state)
    assert table.rows == [2 * B]


def test_log_linear_is_the_geometric_mixture(state):
    x_t, t, label = state
    table, w = Table(), 2.5
    p_0, p_y = table(x_t, t, drop_labels(label)).softmax(-1), table(x_t, t, label).softmax(-1)
    expected = p_y**w * p_0 ** (1 - w)
    guided = ClassifierFreeGuidance(table, w)(x_t, t, label).softmax(-1)
    # A few float32 roundings of powers of order one.
    torch.testing.assert_close(guided, expected / expected.sum(-1, keepdim=True))


def test_linear_is_the_mixture_without_its_negative_part(state):
    x_t, t, label = state
    table, w = Table(), 2.5
    p_0, p_y = table(x_t, t, drop_labels(label)).softmax(-1), table(x_t, t, label).softmax(-1)
    mixture = ((1 - w) * p_0 + w * p_y).clamp(min=0)
    guided = ClassifierFreeGuidance(table, w, linear)(x_t, t, label)
    assert guided.isfinite().all()
    expected = mixture / mixture.sum(-1, keepdim=True)
    torch.testing.assert_close(guided.softmax(-1), expected)


def test_small_strengths_agree_between_the_rules(state):
    # d/dw at w = 1 of both is p_y (log ratio - its mean), to first order in the ratio.
    x_t, t, label = state
    table = Table()
    table.logits *= 1e-2
    a, b = (
        ClassifierFreeGuidance(table, 1.5, combine)(x_t, t, label).softmax(-1)
        for combine in (linear, log_linear)
    )
    # Second order: the squared spread of the logits, about (3e-2)^2.
    torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_empty_batch(state):
    x_t, t, label = (part[:0] for part in state)
    guided = ClassifierFreeGuidance(Table(), 2.0)(x_t, t, label)
    assert guided.shape == (0, L, K)


def test_labels_are_dropped_in_mappings_too():
    dropped = drop_labels({"site": torch.tensor([1, 2])})
    assert dropped["site"].tolist() == [NO_LABEL, NO_LABEL]
    assert drop_labels(None) is None


def test_conditions_are_required(state):
    x_t, t, _ = state
    with pytest.raises(ValueError, match="expected a condition to guide towards"):
        ClassifierFreeGuidance(Table(), 2.0)(x_t, t)
    process = LinearFlow(K)
    with pytest.raises(ValueError, match="expected a tensor of labels"):
        ClassifierGuidance(process, Table(), lambda x, t: x.sum((1, 2)), 1.0)(x_t, t)


@pytest.mark.parametrize("process", [DirichletFlow(K), LinearFlow(K)])
class TestClassifierGuidance:
    weight = torch.randn(L * K, 2, generator=torch.Generator().manual_seed(2))

    def classifier(self, x_t, t):
        return x_t.flatten(1) @ self.weight

    def guided(self, process, state, strength):
        return ClassifierGuidance(process, Table(), self.classifier, strength)(*state)

    def test_strength_does_not_depend_on_the_batch_size(self, process, state):
        together = self.guided(process, state, 2.0)
        alone = torch.cat(
            [self.guided(process, [part[i : i + 1] for part in state], 2.0) for i in range(B)]
        )
        # The same arithmetic up to the order of summation in a matrix product; compared as
        # probabilities, since the logit of a token that is cut off is a rounding error's.
        torch.testing.assert_close(together.softmax(-1), alone.softmax(-1))

    def test_strength_0_is_the_unconditional_predictor(self, process, state):
        x_t, t, label = state
        expected = Table()(x_t, t, drop_labels(label))
        assert torch.equal(self.guided(process, state, 0.0), expected)

    def test_uses_the_closed_form(self, process, state):
        x_t, t, label = state
        x = x_t.clone().requires_grad_()
        log_p = self.classifier(x, t).log_softmax(-1).gather(1, label[:, None]).sum()
        (gradient,) = torch.autograd.grad(log_p, x)
        base = Table()(x_t, t, drop_labels(label))
        expected = process.tilt(base, 0.1 * gradient, x_t, t)
        torch.testing.assert_close(self.guided(process, state, 0.1), expected)

    def test_raises_the_probability_of_the_wanted_tokens(self, process, state):
        label = state[2]
        base, tilted = (self.guided(process, state, w).softmax(-1) for w in (0.0, 1.0))
        gain = self.weight.T[label] - self.weight.T[1 - label]
        score = [(p * gain.reshape(B, L, K)).sum((1, 2)) for p in (base, tilted)]
        assert (score[1] > score[0]).all()

    @pytest.mark.parametrize("time", [0.0, 1.0])
    def test_finite_at_the_ends(self, process, state, time):
        x_t, _, label = state
        vertex = torch.nn.functional.one_hot(x_t.argmax(-1), K).float()
        guided = self.guided(process, (vertex, torch.full((B,), time), label), 5.0)
        assert guided.isfinite().all()
