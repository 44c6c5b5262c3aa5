"""Couplings: permutations of least cost, seeds, stored pairs, and what objectives make of them."""

import itertools

import pytest
import torch

from geometry import SO3, Euclidean, FlatTorus, Sphere
from seqflow.couplings import Independent, OptimalTransport, Paired, SquaredDistance
from seqflow.dirichlet import DirichletFlow
from seqflow.objectives import FlowMatching
from seqflow.riemannian import EndpointFlow, VelocityFlow
from seqflow.sampling import Sampler, time_grid

MANIFOLDS = [Sphere(2), FlatTorus(2), SO3()]
every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@every_manifold
def test_transport_is_the_best_permutation(manifold):
    """Against all 120 permutations of five rows."""
    x_0, x_1 = (manifold.random_uniform(5, generator=seeded(s)) for s in (0, 1))
    cost = SquaredDistance(manifold)(x_0, x_1)
    torch.testing.assert_close(cost[1, 3], manifold.dist(x_0[1], x_1[3]).square())
    chosen = OptimalTransport(SquaredDistance(manifold)).match(x_0, x_1)
    totals = [cost[list(s), range(5)].sum() for s in itertools.permutations(range(5))]
    torch.testing.assert_close(cost[chosen, range(5)].sum(), torch.stack(totals).min())


@every_manifold
def test_transport_uses_each_noise_once_and_shortens_the_way(manifold):
    flow, batch = VelocityFlow(manifold), {"x_1": manifold.random_uniform(60, generator=seeded())}
    coupling = OptimalTransport(SquaredDistance(manifold), group=20)
    x_0 = coupling(flow, batch, seeded(1))
    drawn = flow.sample_prior(x_0.shape, generator=seeded(1), dtype=x_0.dtype)
    assert torch.equal(x_0, coupling(flow, batch, seeded(1)))
    assert not torch.equal(x_0, coupling(flow, batch, seeded(2)))
    for rows in torch.arange(60).split(20):  # the same rows, in another order
        assert {tuple(r) for r in x_0[rows].tolist()} == {tuple(r) for r in drawn[rows].tolist()}
    before, after = (manifold.dist(a, batch["x_1"]).square().mean() for a in (drawn, x_0))
    assert after < 0.5 * before


def test_cost_of_a_row_of_points_is_the_sum():
    torus = FlatTorus(1)
    x_0, x_1 = (torus.random_uniform(4, 3, generator=seeded(s)) for s in (0, 1))
    cost = SquaredDistance(torus)(x_0, x_1)
    assert cost.shape == (4, 4)
    torch.testing.assert_close(cost[2, 1], torus.dist(x_0[2], x_1[1]).square().sum())


def test_objective_hands_the_noise_on_and_leaves_data_and_labels_in_order():
    seen = {}
    flow = VelocityFlow(Sphere(2))

    def model(x_t, t, label):
        seen.update(x_t=x_t, t=t, label=label)
        return torch.zeros_like(x_t)

    x_0, x_1 = (Sphere(2).random_uniform(6, generator=seeded(s)) for s in (0, 1))
    batch = {"x_0": x_0, "x_1": x_1, "label": torch.arange(6)}
    loss = FlowMatching(flow, coupling=Paired())(model, batch, seeded())
    assert torch.equal(seen["label"], batch["label"])
    x_t, target = flow.corrupt(x_1, seen["t"], x_0)
    assert torch.equal(seen["x_t"], x_t)
    torch.testing.assert_close(loss, target.velocity.square().sum(-1) / 2)


def test_default_objective_leaves_the_draw_to_the_process():
    """Tokens have cheaper ways to their noisy state than by way of x_0."""
    process, tokens = DirichletFlow(4), torch.zeros(3, 5, dtype=torch.int64)
    assert Independent()(process, {"x_1": tokens}, seeded()) is None

    def model(x_t, t, label):
        return x_t

    loss = FlowMatching(process)(model, {"x_1": tokens}, seeded())
    assert loss.shape == (3,)


def test_empty_batches_and_errors():
    flow, cost = VelocityFlow(Sphere(2)), SquaredDistance(Sphere(2))
    assert OptimalTransport(cost)(flow, {"x_1": torch.zeros(0, 3)}, seeded()).shape == (0, 3)
    with pytest.raises(ValueError, match="finite costs"):
        OptimalTransport(cost)(flow, {"x_1": torch.full((2, 3), torch.nan)}, seeded())
    with pytest.raises(ValueError, match="at least 1 row"):
        OptimalTransport(cost, group=0)
    with pytest.raises(ValueError, match=r"'x_0', the noise of each datum, got \['x_1'\]"):
        Paired()(flow, {"x_1": torch.zeros(2, 3)}, seeded())


def test_pairs_of_a_sampler_do_not_cross():
    """What rectification lives on, where it can be seen: on the line, order is kept.

    Of two points -1 and 1 the mean of x_1 given x_t is tanh(t x/(1 - t)^2), for x_0 of variance 1.
    """
    flow = EndpointFlow(Euclidean(1))

    def mean(x_t, t, condition=None):
        t = t[:, None]
        return torch.tanh(t * x_t / (1 - t).square())

    x_0, x_1 = Sampler(flow, mean, time_grid(50)).ends((400, 1), seed=0)
    order = x_0[:, 0].argsort()
    assert (x_1[order].diff(dim=0) >= 0).all()
    assert (x_1.abs() - 1).abs().max() < 1e-3
    # Stored, they are what an objective is given.
    assert Paired()(flow, {"x_0": x_0, "x_1": x_1}, seeded()).equal(x_0)
