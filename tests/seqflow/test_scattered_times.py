"""Positions at times of their own: where they are, and what the network is shown of them."""

import pytest
import torch

from seqflow.denoiser import EvidenceDenoiser
from seqflow.dirichlet import DirichletFlow
from seqflow.discrete import MaskedFlow, UniformFlow
from seqflow.networks import Transformer
from seqflow.radial import RadialFlow
from seqflow.scattered_times import ScatteredTimes, scatter
from seqflow.token_denoiser import TokenDenoiser

PROCESSES = [RadialFlow(4), RadialFlow(4, start=1.0), DirichletFlow(4), UniformFlow(4)]
every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_times_scatter_about_their_example():
    t = torch.tensor([0.0, 0.2, 0.9, 1.0], dtype=torch.float64)
    own = scatter(t, 20001, 1.5, seeded())
    # The median of the log odds is theirs; its error is 1.25 spread/sqrt(n).
    assert torch.equal(own.median(1).values[[0, 3]], t[[0, 3]])
    error = (own.median(1).values.logit() - t.logit())[1:3].abs()
    assert (error < 4 * 1.25 * 1.5 / 20001**0.5).all()
    torch.testing.assert_close(scatter(t, 3, 0.0, seeded()), t[:, None].expand(4, 3))


@every_process
def test_far_apart_positions_are_clear_or_hidden(process):
    """At a spread of 1,000 the log odds are beyond 20 for all but 2 % of positions."""
    seen = []

    def network(p, t, condition):
        del t, condition
        seen.append(p)
        return torch.zeros_like(p)

    x_1 = torch.randint(4, (8, 64), generator=seeded())
    model = EvidenceDenoiser(process, network)
    loss = ScatteredTimes(process, 1000.0)(model, {"x_1": x_1}, seeded(1))
    assert loss.shape == (8,)
    assert loss.isfinite().all()
    largest = seen[0].amax(-1)
    clear, hidden = (largest > 0.99).float().mean(), (largest < 0.3).float().mean()
    assert clear + hidden > 0.9
    assert 0.3 < clear < 0.7
    found = seen[0].argmax(-1)
    assert (found == x_1)[largest > 0.99].all()


@every_process
def test_gradients_are_finite_at_all_times(process):
    weight = torch.zeros(4, requires_grad=True)
    model = EvidenceDenoiser(process, lambda p, t, condition: p * weight)
    x_1 = torch.randint(4, (64, 5), generator=seeded())
    ScatteredTimes(process, 3.0)(model, {"x_1": x_1}, seeded()).mean().backward()
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(0, 3), (2, 1)])
def test_empty_batches_and_one_token(shape):
    model = EvidenceDenoiser(PROCESSES[0], lambda p, t, condition: 0 * p)
    loss = ScatteredTimes(PROCESSES[0], 1.5)(model, {"x_1": torch.zeros(shape).long()}, seeded())
    assert loss.shape == shape[:1]
    assert loss.isfinite().all()


def test_labels_are_refused():
    batch = {"x_1": torch.zeros(1, 2).long(), "label": torch.zeros(1).long()}
    with pytest.raises(ValueError, match=r"without labels.*FlowMatching"):
        ScatteredTimes(PROCESSES[0], 1.5)(None, batch, seeded())


def test_spreads_that_are_none_are_refused():
    for spread in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="finite spread"):
            ScatteredTimes(RadialFlow(4), spread)


@pytest.mark.parametrize("process", [MaskedFlow(4), UniformFlow(4)], ids=repr)
def test_both_denoisers_of_tokens_agree(process):
    torch.manual_seed(0)
    network = Transformer(4, 4, width=8, num_layers=1, num_heads=1)
    torch.nn.init.normal_(network.head.weight)
    batch = {"x_1": torch.randint(4, (6, 5), generator=seeded())}
    objective = ScatteredTimes(process, 1.5)
    by_lookup = objective(TokenDenoiser(process, network), batch, seeded(1))
    by_features = objective(EvidenceDenoiser(process, network), batch, seeded(1))
    # Some hundred roundings of numbers of order one, beside evidence of up to 32.
    torch.testing.assert_close(by_lookup, by_features, atol=1e-4, rtol=1e-4)
