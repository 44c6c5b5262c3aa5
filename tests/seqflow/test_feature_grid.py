"""Grids of features: continuous with their slopes, periodic, and finer than a perceptron."""

import pytest
import torch

from geometry import SO3, FlatTorus, Sphere
from seqflow.networks import MLP, FeatureGrid
from seqflow.training import seeded

MANIFOLDS = [Sphere(1), Sphere(2), FlatTorus(1), FlatTorus(2), FlatTorus(3)]
every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)


def grid_on(manifold, num_levels=2, **options):
    with seeded(0):
        return FeatureGrid(manifold, num_levels, **options).double().requires_grad_(False)


def points(manifold, num):
    g = torch.Generator().manual_seed(1)
    return manifold.random_uniform(num, generator=g, dtype=torch.float64)


@every_manifold
def test_shapes_dtypes_and_empty_batches(manifold):
    grid = grid_on(manifold)
    x = points(manifold, 6)
    assert grid(x).shape == (6, grid.channels)
    assert torch.equal(grid(x.unflatten(0, (2, 3))), grid(x).unflatten(0, (2, 3)))
    assert grid(x[:0]).shape == (0, grid.channels)
    assert grid.float()(x.float()).dtype == torch.float32


@every_manifold
def test_features_and_slopes_are_continuous_across_cells(manifold):
    """Along a curve around the manifold, in steps far below a cell."""
    grid = grid_on(manifold)
    h = 1e-5
    start, along = points(manifold, 1), torch.ones(manifold.tangent_shape, dtype=torch.float64)
    along = manifold.proju(start, along)
    # Some corners of cells lie near each of these times.
    t = torch.cat([k / 16 + h * torch.arange(-2, 3).double() for k in range(100)])
    x = manifold.projx(manifold.expmap(start, t.unsqueeze(-1) * along))
    f = grid(x).unflatten(0, (100, 5))
    first = f.diff(dim=1) / h
    # Slopes are at most 1.5 * 16 cells * the table's range of 0.02, times |along| <= sqrt 3;
    # second derivatives 6 * 16^2 * 0.02 * 3 < 100, so that slopes differ by 100 h at most.
    assert first.abs().max() < 2
    assert first.diff(dim=1).abs().max() < 200 * h


def test_a_torus_is_periodic_and_antipodes_differ():
    x = points(FlatTorus(2), 20)
    grid = grid_on(FlatTorus(2), 3)
    torch.testing.assert_close(grid(x + 2 * torch.pi), grid(x))
    pole = torch.eye(3, dtype=torch.float64)
    apart = (grid_on(Sphere(2), 3)(pole) - grid_on(Sphere(2), 3)(-pole)).abs().amax(1)
    assert (apart > 1e-4).all()


@every_manifold
def test_forward_and_backward_slopes_agree(manifold):
    """The divergence takes forward mode."""
    grid, x = grid_on(manifold), points(manifold, 4)
    u = manifold.proju(x, torch.ones_like(x))
    value, slope = torch.func.jvp(grid, (x,), (u,))
    x.requires_grad_()
    for channel in (0, grid.channels - 1):
        (gradient,) = torch.autograd.grad(grid(x)[:, channel].sum(), x)
        torch.testing.assert_close((gradient * u).sum(-1), slope[:, channel])
    assert value.shape == slope.shape


def test_a_grid_learns_what_is_finer_than_the_network():
    """A checkerboard of a hundred cells around the circle, in sixty steps."""
    manifold = FlatTorus(1)
    x = torch.linspace(0, 2 * torch.pi, 501)[:-1].unsqueeze(1)
    target = torch.sign((50 * x).sin())
    losses = {}
    for levels in (0, 5):
        with seeded(0):
            grid = FeatureGrid(manifold, levels, size=256) if levels else None
            network = MLP(manifold, 16, 1, grid=grid)
        optimiser = torch.optim.Adam(network.parameters(), 0.02)
        for _ in range(60):
            optimiser.zero_grad()
            loss = (network(x, torch.zeros(len(x))) - target).square().mean()
            loss.backward()
            optimiser.step()
        losses[levels] = loss.item()
    assert losses[0] > 0.9  # of a variance of 1
    assert losses[5] < 0.3


def test_a_scaled_network_scales_its_vectors():
    manifold = Sphere(2)
    with seeded(0):
        network = MLP(manifold, 16, 1, grid=FeatureGrid(manifold, 2)).requires_grad_(False)
        network.last.weight.normal_()
        network.last.bias.normal_()
    x, t = points(manifold, 5).float(), torch.rand(5)
    torch.testing.assert_close(network.scaled(0.25)(x, t), network(x, t) / 4)
    assert (network.scaled(0.0)(x, t) == 0).all()


def test_faults():
    for manifold in (Sphere(3), FlatTorus(4), SO3()):
        with pytest.raises(ValueError, match="expected a grid on"):
            FeatureGrid(manifold, 2)
    with pytest.raises(ValueError, match="at least one level"):
        FeatureGrid(Sphere(2), 0)
