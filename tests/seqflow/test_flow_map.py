"""The flow map: inverse of itself backwards, independent of batches, in closed form."""

import math

import pytest
import torch

from geometry import SO3, FlatTorus, Lorentz, Product, Sphere
from seqflow.adaptive import AdaptiveSteps
from seqflow.flow_map import flow_map
from seqflow.networks import MLP, EndpointHead
from seqflow.priors import default_prior, draw
from seqflow.riemannian import EndpointFlow, VelocityFlow
from seqflow.solvers import FixedSteps
from seqflow.training import seeded

MANIFOLDS = [Sphere(2), FlatTorus(3), SO3(), Lorentz(2), Product(Sphere(2), FlatTorus(1))]
INTEGRATORS = [AdaptiveSteps(1e-5), FixedSteps(8)]


def points(manifold, num):
    g = torch.Generator().manual_seed(0)
    return draw(default_prior(manifold), num, generator=g, dtype=torch.float64)


def random_network(manifold, num_labels=0):
    with seeded(0):
        network = MLP(manifold, 16, 1, num_labels=num_labels).double().requires_grad_(False)
        for weight in network.parameters():
            weight.add_(0.15 * torch.randn_like(weight))
    return network


@pytest.mark.parametrize("integrator", INTEGRATORS, ids=["adaptive", "fixed"])
@pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
def test_the_way_back_undoes_the_way(manifold, integrator):
    flow, network, x = VelocityFlow(manifold), random_network(manifold), points(manifold, 5)
    there = flow_map(flow, network, x, 0.0, 1.0, integrator=integrator)
    manifold.check_point(there)
    back = flow_map(flow, network, there, 1.0, 0.0, integrator=integrator)
    assert manifold.dist(x, there).max() > 0.05
    # Errors of 1e-5 a step, or of RK4 at (1/8)^4 ~ 2e-4, times what the field stretches.
    assert manifold.dist(x, back).max() < 2e-3


def test_parts_of_the_way_make_the_whole():
    manifold = Sphere(2)
    flow, network, x = VelocityFlow(manifold), random_network(manifold), points(manifold, 5)
    half = flow_map(flow, network, flow_map(flow, network, x, 0.0, 0.4), 0.4, 1.0)
    # Some twenty steps with errors of 1e-5, times what the field stretches.
    assert manifold.dist(half, flow_map(flow, network, x, 0.0, 1.0)).max() < 2e-3
    assert torch.equal(flow_map(flow, network, x, 0.3, 0.3, integrator=FixedSteps(1)), x)


def test_a_rotation_of_the_globe():
    def spin(x, t, condition=None):
        return torch.stack([-x[:, 1], x[:, 0], 0 * x[:, 2]], -1)

    x = torch.eye(3, dtype=torch.float64)  # the pole stays where it is
    found = flow_map(VelocityFlow(Sphere(2)), spin, x, 1.0, 0.0)
    c, s = math.cos(1), math.sin(1)
    expected = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("integrator", INTEGRATORS, ids=["adaptive", "fixed"])
def test_batches_and_conditions(integrator):
    """Rows arrive at different times; each keeps its condition."""
    manifold = FlatTorus(2)
    flow, network, x = VelocityFlow(manifold), random_network(manifold, 3), points(manifold, 7)
    label = torch.tensor([0, 1, 2, 0, 1, 2, -1])
    whole = flow_map(flow, network, x, 1.0, 0.0, condition=label, integrator=integrator)
    for row in range(7):
        own = slice(row, row + 1)
        alone = flow_map(
            flow, network, x[own], 1.0, 0.0, condition=label[own], integrator=integrator
        )
        assert manifold.dist(alone, whole[own]).max() < 1e-7
    parts = flow_map(
        flow, network, x, 1.0, 0.0, condition=label, integrator=integrator, batch_size=3
    )
    assert manifold.dist(parts, whole).max() < 1e-7
    other = flow_map(flow, network, x, 1.0, 0.0, integrator=integrator)
    assert manifold.dist(other, whole).max() > 1e-3


def test_endpoints_float32_and_empty_batches():
    manifold = Sphere(2)
    network = EndpointHead(manifold, random_network(manifold)).float()
    flow, x = EndpointFlow(manifold), points(manifold, 4).float()
    there = flow_map(flow, network, x, 0.0, 0.9)
    assert there.dtype == torch.float32
    # The tolerance of 1e-5 a step, stretched tenfold by the hazard at 0.9.
    assert manifold.dist(flow_map(flow, network, there, 0.9, 0.0), x).max() < 1e-2
    assert flow_map(flow, network, x[:0], 0.0, 0.9).shape == (0, 3)


def test_faults():
    flow, x = VelocityFlow(Sphere(2)), torch.eye(3)
    with pytest.raises(ValueError, match=r"expected times from 0 to 1, got 0 and 1\.5"):
        flow_map(flow, random_network(Sphere(2)), x, 0, 1.5)
    with pytest.raises(ValueError, match="points on"):
        flow_map(flow, random_network(Sphere(2)), x[:, :2], 0.0, 1.0)
