"""The perceptron for points: tangent, periodic, even in quaternions, zero at first, it learns."""

import pytest
import torch

from geometry import SE3, SO3, Euclidean, FlatTorus, Lorentz, PoincareBall, Product, Sphere
from seqflow.networks.mlp import MLP, EndpointHead, features, tangent_head
from seqflow.objectives import FlowMatching
from seqflow.priors import default_prior, draw
from seqflow.riemannian import EndpointFlow, VelocityFlow
from seqflow.training import seeded as global_seed

MANIFOLDS = [Sphere(2), FlatTorus(3), SO3(), Euclidean(2, 2), Lorentz(2), PoincareBall(2), SE3()]
MANIFOLDS += [Product(Sphere(2), FlatTorus(2), SO3())]
every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(manifold, *batch, seed=0):
    return draw(default_prior(manifold), *batch, generator=seeded(seed), dtype=torch.float32)


def network_on(manifold, **options):
    with global_seed(0):
        network = MLP(manifold, width=16, depth=2, **options)
        for weight in network.parameters():
            weight.data.add_(0.2 * torch.randn_like(weight))
    return network


@every_manifold
@pytest.mark.parametrize("num_frequencies", [0, 2])
def test_answers_are_tangent_vectors(manifold, num_frequencies):
    network, t = network_on(manifold, num_frequencies=num_frequencies), torch.rand(5)
    for batch in ((5,), (5, 3)):
        x = points(manifold, *batch)
        v = network(x, t)
        assert v.shape == (*batch, *manifold.tangent_shape)
        manifold.check_tangent(x, v)
        end = EndpointHead(manifold, network)(x, t)
        manifold.check_point(end)
    assert network(points(manifold, 0), torch.zeros(0)).shape == (0, *manifold.tangent_shape)


@every_manifold
def test_the_first_answer_is_zero_and_all_weights_can_learn(manifold):
    with global_seed(0):
        network = MLP(manifold, width=16, depth=2)
    x, t = points(manifold, 8), torch.rand(8)
    assert (network(x, t) == 0).all()
    torch.testing.assert_close(EndpointHead(manifold, network)(x, t), x)
    network = network_on(manifold)
    network(x, t).square().sum().backward()
    unused = [n for n, w in network.named_parameters() if not w.grad.abs().sum() > 0]
    # The bias of the head's normal part does nothing; no tensor as a whole may be idle.
    assert unused == []


def test_torus_is_periodic_and_rotations_have_no_sign():
    torus, so3 = FlatTorus(2), SO3()
    x, q, t = points(torus, 4), points(so3, 4), torch.rand(4)
    network = network_on(torus, num_frequencies=1)
    torch.testing.assert_close(network(x, t), network(x + 2 * torch.pi, t), atol=1e-4, rtol=1e-4)
    network = network_on(so3)
    assert torch.equal(network(q, t), network(-q, t))


@pytest.mark.parametrize("manifold", [Lorentz(2), PoincareBall(2)], ids=repr)
def test_hyperbolic_heads_keep_lengths_far_out(manifold):
    origin = manifold.projx(torch.zeros(1, *manifold.point_shape))
    raw = manifold.proju(origin, torch.randn(50, *manifold.point_shape, generator=seeded()))
    far = manifold.random_normal(origin.expand(50, -1), 2.0, seeded(1))
    ours = manifold.norm(far, tangent_head(manifold, far, raw))
    torch.testing.assert_close(ours, manifold.norm(origin, raw), rtol=1e-3, atol=1e-4)
    # Seen by its distance from the origin, not by coordinates that grow like its exponential.
    assert features(manifold, far).norm(dim=-1).max() <= manifold.dist(origin, far).max() + 1e-3


def test_labels_matter_and_may_be_absent():
    network = network_on(Sphere(2), num_labels=3)
    x, t = points(Sphere(2), 4), torch.rand(4)
    told = network(x, t, torch.tensor([0, 1, 2, -1]))
    untold = network(x, t)
    torch.testing.assert_close(told[3], untold[3])
    assert not torch.allclose(told[0], untold[0])


@pytest.mark.parametrize("kind", [VelocityFlow, EndpointFlow])
def test_it_learns_a_cloud_on_the_sphere(kind):
    sphere = Sphere(2)
    flow, mean = kind(sphere), torch.tensor([0.0, 0.6, 0.8])
    with global_seed(0):
        network = MLP(sphere, width=32, depth=1)
    model = network if kind is VelocityFlow else EndpointHead(sphere, network)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for step in range(60):
        x_1 = sphere.random_normal(mean.expand(128, 3), 0.1, seeded(step))
        loss = FlowMatching(flow)(model, {"x_1": x_1}, seeded(step)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    # From about (pi^2 - 4)/4 = 1.5; the best field leaves the spread of the ends, and what
    # antipodes do not know.
    assert sum(losses[-5:]) / 5 < 0.25 * losses[0]
