import math
from itertools import pairwise

import pytest
import torch

from geometry.euclidean import Euclidean
from geometry.sphere import Sphere
from geometry.torus import FlatTorus
from seqflow.points.charts import frame, from_chart, to_chart
from seqflow.points.distances import squared_discrepancy
from seqflow.points.kernels import fit_weights, log_scales, one_width, scale_mixture
from seqflow.points.local_kernels import fit_local_kernels
from seqflow.points.neighbours import neighbours
from seqflow.points.responsibilities import responsible_kernels

MANIFOLDS = [Sphere(2), FlatTorus(2), FlatTorus(3)]


def clusters(manifold, num, seed=0, dtype=torch.float64):
    """Three groups of points."""
    g = torch.Generator().manual_seed(7)
    centres = manifold.random_uniform(3, generator=g, dtype=dtype)
    g = torch.Generator().manual_seed(seed)
    which = torch.randint(3, (num,), generator=g)
    return manifold.random_normal(centres[which], 0.25, g)


def integral(manifold, log_density, num=4000):
    """Over the manifold, from uniform points; returned with its standard error."""
    x = manifold.random_uniform(num, generator=torch.Generator().manual_seed(3)).double()
    value = (log_density(x) - manifold.log_uniform()).exp()
    return float(value.mean()), float(value.std() / math.sqrt(num))


@pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
def test_densities_integrate_to_one(manifold):
    x = clusters(manifold, 60)
    kappa = torch.tensor([1.0, 10.0, 50.0], dtype=torch.float64)
    laws = [
        lambda y: log_scales(manifold, x, kappa, y)[:, 0],
        lambda y: log_scales(manifold, x, kappa, y)[:, 2],
        fit_local_kernels(manifold, x).log_prob,
    ]
    for law in laws:
        value, error = integral(manifold, law)
        # Five standard errors: wrong by chance once in two million.
        assert abs(value - 1) < 5 * error + 1e-3


@pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
def test_charts_are_inverse_and_keep_volumes(manifold):
    g = torch.Generator().manual_seed(0)
    c = manifold.random_uniform(50, generator=g, dtype=torch.float64)
    x = manifold.random_normal(c, 0.5, g)
    y = to_chart(manifold, c, x)
    torch.testing.assert_close(from_chart(manifold, c, y), x, atol=1e-12, rtol=0)
    assert to_chart(manifold, c, c).abs().max() < 1e-12

    def ambient(z):
        return from_chart(manifold, c[0], z)

    slope = torch.autograd.functional.jacobian(ambient, y[0])
    volume = torch.linalg.det(slope.T @ slope).sqrt()
    torch.testing.assert_close(volume, torch.ones_like(volume))


def test_frames_are_orthonormal_also_at_the_poles():
    c = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    basis = torch.stack([*frame(c), c], -1)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(3).double().expand(6, 3, 3))


def test_charts_and_kernels_refuse_other_manifolds():
    x = torch.zeros(30, 2)
    with pytest.raises(ValueError, match="expected a sphere or a torus"):
        one_width(Euclidean(2), x, x)
    with pytest.raises(ValueError, match="more than 24 points for local kernels"):
        fit_local_kernels(FlatTorus(2), x[:20])


def test_expectation_maximisation_never_lowers_the_likelihood():
    g = torch.Generator().manual_seed(0)
    parts = torch.randn(40, 5, generator=g, dtype=torch.float64)
    values = [
        (parts + fit_weights(parts, rounds=n).log()).logsumexp(1).mean() for n in (0, 1, 5, 50)
    ]
    assert all(a <= b + 1e-9 for a, b in pairwise(values))


@pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
def test_a_mixture_of_widths_is_no_worse_where_it_was_fitted(manifold):
    train, validation = clusters(manifold, 200), clusters(manifold, 100, seed=1)
    one, many = (fit(manifold, train, validation) for fit in (one_width, scale_mixture))
    # The weights are within 300 rounds of their optimum.
    assert many.log_prob(validation).mean() > one.log_prob(validation).mean() - 1e-3


def test_local_kernels_follow_a_curve():
    """On a great circle with little noise, long kernels beat round ones held out."""
    g = torch.Generator().manual_seed(0)
    angle = 2 * math.pi * torch.rand(900, generator=g, dtype=torch.float64)
    ring = torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], -1)
    x = Sphere(2).random_normal(ring, 0.01, g)
    train, validation, test = x[:300], x[300:600], x[600:]
    local = fit_local_kernels(Sphere(2), train).log_prob(test).mean()
    round_ones = scale_mixture(Sphere(2), train, validation).log_prob(test).mean()
    assert local > round_ones + 0.2


def test_samples_of_local_kernels_have_their_density():
    """The mean log density of draws is minus the entropy, found by integration."""
    manifold = FlatTorus(2)
    law = fit_local_kernels(manifold, clusters(manifold, 80))
    drawn = law.log_prob(law.sample(1000, generator=torch.Generator().manual_seed(0)))
    x = manifold.random_uniform(8000, generator=torch.Generator().manual_seed(1)).double()
    value = law.log_prob(x)
    terms = value * (value - manifold.log_uniform()).exp()
    error = float(drawn.std() / math.sqrt(1000) + terms.std() / math.sqrt(8000))
    assert abs(float(drawn.mean() - terms.mean())) < 5 * error


def test_neighbours_leave_the_point_out_among_duplicates():
    x = torch.tensor([[0.0], [0.0], [0.0], [1.0], [2.0]])
    near = neighbours(FlatTorus(1), x, 2)
    assert all(row not in own for row, own in enumerate(near.tolist()))
    assert set(near[0].tolist()) == {1, 2}


def test_no_point_starts_in_its_own_kernel():
    manifold = Sphere(2)
    x = clusters(manifold, 60, dtype=torch.float32)
    coupling = responsible_kernels(fit_local_kernels(manifold, x), reach=10)
    torch.testing.assert_close(coupling.shares.sum(1), torch.ones(60))
    assert all(row not in own for row, own in enumerate(coupling.near.tolist()))
    x_0 = coupling(None, {"row": torch.arange(60)}, torch.Generator().manual_seed(0))
    manifold.check_point(x_0)
    # Kernels that could have made the datum are near it; uniform points are 1.57 away.
    assert manifold.dist(x_0, x).median() < 0.5


def test_discrepancy_is_small_for_one_law_and_large_for_two():
    manifold = Sphere(2)
    a, b = clusters(manifold, 400), clusters(manifold, 400, seed=1)
    uniform = manifold.random_uniform(400, generator=torch.Generator().manual_seed(2)).double()
    assert abs(squared_discrepancy(manifold, a, b)) < 0.01
    assert squared_discrepancy(manifold, uniform, b) > 0.05
    with pytest.raises(ValueError, match="at least two points"):
        squared_discrepancy(manifold, a[:1], b)
