"""Laws of pooled targets: the density of the path, and the same field with less variance."""

import pytest
import torch

from geometry import SO3, Euclidean, FlatTorus, Mesh, Product, Sphere
from geometry.distributions import Uniform, WrappedNormal
from seqflow.couplings import Independent
from seqflow.objectives import FlowMatching
from seqflow.pairs import pairs
from seqflow.pooled_targets import PooledFlowMatching, pool
from seqflow.riemannian import VelocityFlow

MANIFOLDS = [
    Sphere(1),
    Sphere(2),
    Sphere(4),
    FlatTorus(2),
    SO3(),
    Product(Sphere(2), FlatTorus(1)),
]
every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(manifold, *batch, seed=0, dtype=torch.float64):
    return Uniform(manifold).sample(*batch, generator=seeded(seed), dtype=dtype)


@every_manifold
@pytest.mark.parametrize("left", [0.9, 0.5])
def test_likelihoods_are_those_of_the_path(manifold, left):
    """Against draws of x_t: the ratio of two test functions' means, by importance sampling.

    Under uniform x the weights exp(log p) are the density up to a number, so that the weighted
    mean of f(x) is its mean over the path; both are Monte Carlo means of 40,000 draws.
    """
    n = 40000
    x_1 = points(manifold, 1, seed=1)
    x = points(manifold, n, seed=2)
    w = pairs(manifold, x, x_1).log_likelihoods(torch.full((n,), left).double())[:, 0].exp()
    flow = VelocityFlow(manifold)
    drawn, _ = flow.corrupt(x_1.expand(n, *x_1.shape[1:]), torch.full((n,), 1 - left).double(),
                            generator=seeded(3))  # fmt: skip
    for power in (1, 2):
        f, g = (manifold.dist(a, x_1) ** power for a in (x, drawn))
        weighted = (w * f).mean() / w.mean()
        error = ((w * (f - weighted)).std() / w.mean() + g.std()) / n**0.5
        assert (weighted - g.mean()).abs() < 4 * error


@every_manifold
def test_mean_log_is_the_mean_of_logarithms(manifold):
    x, x_1 = points(manifold, 4), points(manifold, 5, seed=1)
    w = torch.rand(4, 5, generator=seeded(), dtype=torch.float64)
    each = torch.stack([manifold.logmap(x, y.expand_as(x)) for y in x_1], 1)
    plain = (w.reshape(4, 5, *(1,) * (each.ndim - 2)) * each).sum(1)
    # Chords lose half the digits near the antipode, at most 1e-8 of a length below 4.
    torch.testing.assert_close(pairs(manifold, x, x_1).mean_log(w), plain, rtol=0, atol=1e-7)


@every_manifold
def test_pooling_keeps_the_field_and_lowers_the_variance(manifold):
    """E[u phi(x_t, t)] is the same for every phi; here t and the direction to one point."""
    flow, size, rounds = VelocityFlow(manifold), 16, 400
    data = points(manifold, 6, seed=1)
    generator, gaps, own_square, square = seeded(), [], 0.0, 0.0
    for _ in range(rounds):
        x_1 = data[torch.randint(6, (size,), generator=generator)]
        t = torch.rand(size, generator=generator, dtype=torch.float64)
        x_t, own = flow.corrupt(x_1, t, generator=generator)
        pooled = pool(flow, own, t).velocity
        phi = manifold.logmap(x_t, data[0].expand_as(x_t))
        gap = manifold.inner(x_t, phi, pooled - own.velocity)
        gaps.append(torch.stack([gap, gap * t], -1))
        own_square += manifold.inner(x_t, own.velocity, own.velocity).mean()
        square += manifold.inner(x_t, pooled, pooled).mean()
    gap = torch.stack(gaps).mean(1)  # means of batches, which are independent
    assert (gap.mean(0).abs() < 4 * gap.std(0) / rounds**0.5).all()
    assert square < 0.9 * own_square


@every_manifold
@every_dtype
def test_finite_at_both_ends_for_one_row_and_for_coincident_rows(manifold, dtype):
    flow = VelocityFlow(manifold)
    one = points(manifold, 1, dtype=dtype)
    for x_1 in (
        one[:0],
        one,
        one.repeat(3, *(1,) * (one.ndim - 1)),
        points(manifold, 7, dtype=dtype),
    ):
        for time in (0.0, 1e-6, 0.5, 1 - 1e-6, 1.0):
            t = torch.full((len(x_1),), time, dtype=dtype)
            _, own = flow.corrupt(x_1, t, generator=seeded())
            pooled = pool(flow, own, t)
            assert pooled.velocity.dtype == dtype
            assert pooled.velocity.isfinite().all()
            if len(x_1) == 1:
                assert torch.equal(pooled.velocity, own.velocity)


@every_manifold
def test_half_precision_of_the_network_does_not_reach_targets(manifold):
    flow, x_1 = VelocityFlow(manifold), points(manifold, 9, dtype=torch.float32)
    t = torch.linspace(0, 0.99, 9)
    _, own = flow.corrupt(x_1, t, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        half = pool(flow, own, t).velocity
    assert torch.equal(half, pool(flow, own, t).velocity)


def test_late_targets_are_a_row_s_own():
    """Where no other row can have come from, nothing changes."""
    manifold = FlatTorus(1)
    flow, x_1 = VelocityFlow(manifold), torch.tensor([[1.0], [4.0]])
    t = torch.tensor([0.9, 0.9])  # within 0.1 pi of its own end
    _, own = flow.corrupt(x_1, t, generator=seeded())
    assert torch.equal(pool(flow, own, t).velocity, own.velocity)


def test_objective_has_the_loss_of_flow_matching_for_one_row():
    flow = VelocityFlow(Sphere(2))
    batch = {"x_1": points(Sphere(2), 1, dtype=torch.float32)}
    model = lambda x_t, t, label: manifold_up(x_t)  # noqa: E731
    pooled = PooledFlowMatching(flow)(model, batch, seeded())
    plain = FlowMatching(flow, coupling=Independent())(model, batch, seeded())
    torch.testing.assert_close(pooled, plain)


def manifold_up(x):
    return Sphere(2).proju(x, torch.ones_like(x))


def test_refusals_name_the_mend():
    normal = WrappedNormal(Sphere(2), torch.tensor([0.0, 0.0, 1.0]), 0.5)
    for flow in (VelocityFlow(Sphere(2), normal), VelocityFlow(Euclidean(2))):
        with pytest.raises(ValueError, match=r"uniform prior.*FlowMatching"):
            PooledFlowMatching(flow)
    objective = PooledFlowMatching(VelocityFlow(Sphere(2)))
    labelled = {"x_1": torch.eye(3), "label": torch.zeros(3)}
    for batch in (labelled, {"x_1": torch.eye(3)[None]}):
        with pytest.raises(ValueError, match=r"without labels.*FlowMatching"):
            objective(manifold_up, batch, seeded())
    with pytest.raises(ValueError, match="constant curvature"):
        pairs(Mesh, torch.eye(3), torch.eye(3))
