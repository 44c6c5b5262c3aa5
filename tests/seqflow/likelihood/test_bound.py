"""The variational bound against exact likelihoods of tiny joint laws."""

import math
from typing import Any

import pytest
import torch

from seqflow.autoregressive import Autoregression
from seqflow.discrete import MaskedFlow, MetricFlow, UniformFlow
from seqflow.discrete.divergences import JumpRates, ReversedNoising
from seqflow.inpainting import FREE, Inpainting
from seqflow.likelihood import variational_bound
from seqflow.schedules import CosineSchedule, KineticOptimalSchedule

K = 3
NEAR = ((0.0, 0.5, 1.0), (0.5, 0.0, 1.0), (1.0, 1.0, 0.0))
KINETIC = KineticOptimalSchedule(1 / K)
# Where the past of a path says nothing of x_1 that its present does not say.
TIGHT = {
    "masked": MaskedFlow(K),
    "masked, cosine": MaskedFlow(K, CosineSchedule()),
    "uniform, reversed": UniformFlow(K, divergence=ReversedNoising()),
    "uniform, reversed, kinetic": UniformFlow(K, KINETIC, divergence=ReversedNoising()),
}
# Where a jump, once made, tells x_1, but later the state does not show that it was made.
LOOSE = {
    "uniform, jumps": UniformFlow(K, divergence=JumpRates()),
    "uniform, jumps, kinetic": UniformFlow(K, KINETIC, divergence=JumpRates()),
    "metric": MetricFlow(NEAR),
}


def over(table: dict[str, Any]) -> Any:
    return pytest.mark.parametrize("process", table.values(), ids=table.keys())


tight_processes, loose_processes = over(TIGHT), over(LOOSE)
every_process = over(TIGHT | LOOSE)
every_length = pytest.mark.parametrize("length", [2, 3])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def joint_law(length: int) -> torch.Tensor:
    """A law of correlated tokens, (K, ..., K)."""
    logits = 1.5 * torch.randn(K**length, generator=seeded(length), dtype=torch.float64)
    return logits.softmax(0).reshape([K] * length)


def draw(law: torch.Tensor, num: int, seed: int = 1) -> torch.Tensor:
    index = torch.multinomial(law.flatten(), num, replacement=True, generator=seeded(seed))
    return torch.stack(torch.unravel_index(index, law.shape), -1)


def exact_nats(law: torch.Tensor, x_1: torch.Tensor) -> float:
    """Mean of -log p(x_1) a token."""
    return -law.log()[tuple(x_1.T)].mean().item() / x_1.shape[1]


class Posterior:
    """Bayes' rule for a joint law, its logits scaled and shifted: by 1 and 0 it is exact."""

    def __init__(self, process, law, scale=1.0, shift=0.0):
        self.process, self.log_law = process, law.log()
        self.scale, self.shift = scale, shift

    def __call__(self, x_t, t, condition=None):
        evidence = self.process.evidence(x_t, t).double()
        length = x_t.shape[1]
        log_p = self.log_law.expand(len(x_t), *self.log_law.shape)
        for position in range(length):
            shape = [-1] + [K if axis == position else 1 for axis in range(length)]
            log_p = log_p + evidence[:, position].reshape(shape)
        p = (log_p - log_p.flatten(1).amax(1).reshape(-1, *[1] * length)).exp()
        axes = set(range(1, length + 1))
        rows = [p.sum(tuple(axes - {own})) if length > 1 else p for own in sorted(axes)]
        # A token that is excluded keeps a finite logarithm.
        exact = torch.stack(rows, 1).clamp_min(1e-300).log().log_softmax(-1)
        return (self.scale * exact + self.shift * torch.arange(K)).float()


@tight_processes
@every_length
def test_with_the_exact_posterior_the_bound_is_tight(process, length):
    law = joint_law(length)
    x_1 = draw(law, 4000)
    bound = variational_bound(process, Posterior(process, law), x_1, num_draws=8, seed=2)
    excess = bound.nats - exact_nats(law, x_1)
    assert bound.draw_error < 0.03
    assert abs(excess) < 4 * bound.draw_error


@loose_processes
@every_length
def test_with_the_exact_posterior_it_is_above_where_paths_forget(process, length):
    law = joint_law(length)
    x_1 = draw(law, 4000)
    bound = variational_bound(process, Posterior(process, law), x_1, num_draws=8, seed=2)
    excess = bound.nats - exact_nats(law, x_1)
    assert 4 * bound.draw_error < excess < 0.35


@every_process
@every_length
@pytest.mark.parametrize(("scale", "shift"), [(1.0, -1.0), (1.0, 1.0)])
def test_with_another_prediction_it_is_above(process, length, scale, shift):
    law = joint_law(length)
    x_1 = draw(law, 4000)
    predictor = Posterior(process, law, scale, shift)
    bound = variational_bound(process, predictor, x_1, num_draws=8, seed=3)
    # The mistakes cost more than 0.05 nats a token, far more than the draws' noise.
    assert bound.nats > exact_nats(law, x_1) + 4 * bound.draw_error


@tight_processes
def test_independent_tokens(process):
    """Any number of independent tokens: the bound a token is the entropy of one."""
    law = joint_law(1)
    x_1 = draw(law, 3000)[:, 0].reshape(300, 10)
    # A law of one token serves positions on their own: as rows of length one.
    alone = Posterior(process, law)

    def predictor(x_t, t, condition=None):
        rows = alone(x_t.reshape(-1, 1), t.repeat_interleave(10))
        return rows.reshape(len(x_t), 10, K)

    bound = variational_bound(process, predictor, x_1, seed=4)
    exact = -law.log()[x_1].mean().item()
    assert abs(bound.nats - exact) < 4 * bound.draw_error


def test_the_bound_of_autoregression_is_its_likelihood():
    law = joint_law(2)
    x_1 = draw(law, 500)

    def predictor(x_t, t, condition=None):
        first = law.sum(1).expand(len(x_t), -1)
        return torch.stack([first, law[x_t[:, 0]]], 1).log().float()

    bound = variational_bound(Autoregression(K), predictor, x_1, num_draws=2)
    # A float32 rounding of numbers of order one.
    assert abs(bound.nats - exact_nats(law, x_1)) < 1e-6
    assert variational_bound(Autoregression(K), predictor, x_1).draw_error < 1e-7
    assert bound.bits == pytest.approx(bound.nats / math.log(2))


@tight_processes
def test_of_a_template_it_bounds_the_conditional_likelihood(process):
    law = joint_law(3)
    template = (FREE, 1, FREE)
    conditional = law[:, 1] / law[:, 1].sum()
    free = draw(conditional, 4000)
    x_1 = torch.stack([free[:, 0], torch.ones_like(free[:, 0]), free[:, 1]], 1)
    held = Inpainting(process, template)
    bound = variational_bound(held, Posterior(held, law), x_1, num_draws=8, seed=5)
    exact = exact_nats(conditional, free) * 2 / 3
    assert abs(bound.nats - exact) < 4 * bound.draw_error


def test_its_standard_error_is_that_of_repetitions():
    """Over 60 sets of 50 fresh sequences: the spread of the bound, and what it reports."""
    process, law = MaskedFlow(K), joint_law(2)
    predictor = Posterior(process, law)
    bounds = [
        variational_bound(process, predictor, draw(law, 50, seed), num_draws=4, seed=seed)
        for seed in range(60)
    ]
    spread = torch.tensor([b.nats for b in bounds]).std().item()
    reported = sum(b.standard_error for b in bounds) / len(bounds)
    # The standard deviation of 60 normal draws is known to 9%; three of those.
    assert 0.73 < reported / spread < 1.27
    same = [
        variational_bound(process, predictor, draw(law, 50), num_draws=4, seed=seed)
        for seed in range(60)
    ]
    spread = torch.tensor([b.nats for b in same]).std().item()
    reported = sum(b.draw_error for b in same) / len(same)
    # Strata make the draws better than independent ones, so it is reported too large.
    assert spread < 1.27 * reported
    assert reported < 3 * spread


def test_seeds_and_batch_sizes():
    process, law = UniformFlow(K), joint_law(2)
    x_1, predictor = draw(law, 30), Posterior(process, law)
    a, b, c = (
        variational_bound(process, predictor, x_1, seed=seed, batch_size=size)
        for seed, size in ((0, 256), (0, 7), (1, 256))
    )
    # Sums of float32 values in another order.
    assert a.nats == pytest.approx(b.nats, rel=1e-6)
    assert a.nats != pytest.approx(c.nats, rel=1e-6)
    assert (a.num_draws, a.num_sequences) == (16, 30)


def test_conditions_go_to_the_predictor():
    process = MaskedFlow(K)
    laws = torch.eye(K) * 9

    def predictor(x_t, t, condition):
        return laws[condition][:, None].expand(*x_t.shape, K)

    x_1 = torch.arange(K)[:, None].expand(K, 4)
    told = variational_bound(process, predictor, x_1, condition=torch.arange(K), batch_size=2)
    wrong = variational_bound(process, predictor, x_1, condition=torch.arange(K).flip(0))
    assert told.nats < 0.01 < wrong.nats


def test_errors_that_cannot_be_known_are_not_numbers():
    process, law = MaskedFlow(K), joint_law(2)
    predictor = Posterior(process, law)
    one = variational_bound(process, predictor, draw(law, 1))
    assert math.isnan(one.standard_error)
    assert one.draw_error > 0
    assert math.isnan(variational_bound(process, predictor, draw(law, 2), num_draws=2).draw_error)


def test_faults_are_named():
    process = MaskedFlow(K)
    predictor = Posterior(process, joint_law(2))
    for shape in ((0, 2), (2, 0)):
        with pytest.raises(ValueError, match="expected at least one token"):
            variational_bound(process, predictor, torch.zeros(shape, dtype=torch.int64))
    for num in (0, 1, 3):
        with pytest.raises(ValueError, match=f"expected an even number of draws.* got {num}"):
            variational_bound(process, predictor, torch.zeros(1, 2).long(), num_draws=num)
    with pytest.raises(ValueError, match=r"clean tokens in 0\.\.2, got 3, which is the mask"):
        variational_bound(process, predictor, torch.tensor([[0, K]]))
