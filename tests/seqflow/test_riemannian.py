"""Laws of geodesic flows over manifolds: paths, losses, exact steps, priors, exact fields."""

import dataclasses

import pytest
import scipy.stats
import torch

from geometry import (
    SE3,
    SO3,
    Euclidean,
    FlatTorus,
    Lorentz,
    Mesh,
    PoincareBall,
    Product,
    Sphere,
)
from geometry.distributions import Uniform, VonMisesFisher, WrappedNormal
from seqflow.priors import ProductDistribution, default_prior, draw, placed
from seqflow.riemannian import EndpointFlow, VelocityFlow
from seqflow.sampling import Sampler, time_grid
from seqflow.schedules import CosineSchedule, LinearSchedule, PolynomialSchedule

MANIFOLDS = [Sphere(1), Sphere(2), FlatTorus(2), SO3(), Euclidean(3), Euclidean(2, 3)]
MANIFOLDS += [Lorentz(2), PoincareBall(3), SE3()]
MANIFOLDS += [Product(Sphere(2), FlatTorus(2), Euclidean(1), weights=(1.0, 2.0, 0.5))]
SCHEDULES = [LinearSchedule(), PolynomialSchedule(2.0), CosineSchedule()]
SIGNIFICANCE = 1e-3  # seeds are fixed; a true hypothesis fails one seed in a thousand

every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
every_flow = pytest.mark.parametrize("kind", [VelocityFlow, EndpointFlow])
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(manifold, *batch, seed=0, dtype=torch.float64):
    return draw(default_prior(manifold), *batch, generator=seeded(seed), dtype=dtype)


def apart(manifold, x, y):
    return manifold.dist(x, y).amax().item()


def right(kind, target):
    """The prediction that the loss is least for."""
    return target.velocity if kind is VelocityFlow else target.x_1


@every_manifold
@every_schedule
def test_path_runs_from_noise_to_data_and_velocity_is_its_derivative(manifold, schedule):
    flow = VelocityFlow(manifold, schedule=schedule)
    x_0, x_1 = points(manifold, 5), points(manifold, 5, seed=1)

    def at(t):
        return flow.corrupt(x_1, torch.full((5,), t, dtype=torch.float64), x_0)

    # Distances of rounded points: sqrt(eps) where the distance itself is a square root.
    assert apart(manifold, at(0.0)[0], x_0) < 1e-7
    assert apart(manifold, at(1.0)[0], x_1) < 1e-7
    h = 1e-5
    x_t, target = at(0.4)
    quotient = (manifold.logmap(x_t, at(0.4 + h)[0]) - manifold.logmap(x_t, at(0.4 - h)[0])) / 2
    # Central difference: h^2 of truncation and eps/h of rounding, times lengths of order 10.
    t = torch.full((5,), 0.4, dtype=torch.float64)
    velocity = flow.velocity(x_t, target.velocity, t)
    torch.testing.assert_close(quotient / h, velocity, atol=1e-8, rtol=1e-7)


@every_manifold
@every_flow
@every_dtype
def test_loss_is_zero_for_the_right_prediction_and_has_the_batch_shape(manifold, kind, dtype):
    flow, x_1 = kind(manifold), points(manifold, 4, 3, dtype=dtype)
    t = torch.tensor([0.0, 0.3, 0.9, 1.0], dtype=dtype)
    _, target = flow.corrupt(x_1, t, generator=seeded(2))
    loss = flow.loss(right(kind, target), target, t)
    assert loss.shape == (4,)
    assert loss.dtype == dtype
    assert (loss == 0).all()


@every_manifold
def test_loss_is_the_metric_s(manifold):
    """A vector of length r away from the target costs r^2/dim at every point."""
    flow, x_1 = VelocityFlow(manifold), points(manifold, 6)
    t = torch.linspace(0, 1, 6, dtype=torch.float64)
    x_t, target = flow.corrupt(x_1, t, generator=seeded(1))
    noise = torch.randn(target.velocity.shape, generator=seeded(3), dtype=torch.float64)
    error = manifold.proju(x_t, noise)
    expected = manifold.norm(x_t, error).square() / manifold.dim
    torch.testing.assert_close(flow.loss(target.velocity + error, target, t), expected)


@every_manifold
def test_endpoint_loss_is_least_at_the_mean_of_the_logs(manifold):
    """Its minimiser gives the exact field, also where the manifold is curved."""
    flow = EndpointFlow(manifold)
    x = points(manifold, 1)
    # Ends near each other, so that no pair straddles the cut locus of x.
    centre = manifold.random_normal(x, 0.3, seeded(1))
    ends = manifold.random_normal(centre.expand(16, *x.shape[1:]), 0.2, seeded(2))
    _, target = flow.corrupt(ends, torch.zeros(16, dtype=x.dtype), x.expand_as(ends))
    mean = manifold.logmap(x, ends).mean(0, keepdim=True).requires_grad_()
    end = manifold.expmap(x, mean).expand_as(ends)
    loss = flow.loss(end, target, torch.zeros(16, dtype=x.dtype)).mean()
    (slope,) = torch.autograd.grad(loss, mean)
    # exp and log undo each other to rounding, whose derivative grows by 1/distance.
    assert slope.abs().max() < 1e-6


@every_manifold
@every_schedule
@pytest.mark.parametrize("start", [0.0, 0.3, 0.9])
def test_step_to_a_frozen_endpoint_is_exact_from_any_start(manifold, schedule, start):
    flow = EndpointFlow(manifold, schedule=schedule)
    x_0, x_1 = points(manifold, 5), points(manifold, 5, seed=1)

    def time(t):
        return torch.full((5,), t, dtype=torch.float64)

    x, _ = flow.corrupt(x_1, time(start), x_0)
    for end in (start / 2, 0.95, 1.0):
        moved = flow.step(x, x_1, time(start), time(end - start))
        assert apart(manifold, moved, flow.corrupt(x_1, time(end), x_0)[0]) < 1e-6


@every_manifold
def test_velocity_of_an_endpoint_is_the_path_s(manifold):
    flow = EndpointFlow(manifold, schedule=CosineSchedule())
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    x_t, target = flow.corrupt(points(manifold, 3), t, generator=seeded(1))
    velocity = VelocityFlow(manifold, schedule=CosineSchedule()).velocity(x_t, target.velocity, t)
    torch.testing.assert_close(flow.velocity(x_t, target.x_1, t), velocity)


@every_manifold
@every_flow
@every_dtype
def test_steps_stay_on_the_manifold(manifold, kind, dtype):
    flow, x = kind(manifold), points(manifold, 3, 2, dtype=dtype)
    t = torch.tensor([0.0, 0.5, 0.9], dtype=dtype)
    x_t, target = flow.corrupt(x, t, generator=seeded(1))
    moved = flow.step(x_t, right(kind, target), t, (1 - t) / 2)
    assert moved.dtype == dtype
    manifold.check_point(moved)


@every_manifold
@every_flow
@every_dtype
@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_finite_at_coincident_and_opposite_points(manifold, kind, dtype, t):
    """Values and gradients, where the end is the start, and where it is its antipode."""
    flow, x_0 = kind(manifold), points(manifold, 2, dtype=dtype)
    opposite = x_0 if isinstance(manifold, (Lorentz, PoincareBall)) else manifold.projx(-x_0)
    time = torch.full((2,), t, dtype=dtype)
    for x_1 in (x_0, opposite):
        end = x_1.clone().requires_grad_()
        x_t, target = flow.corrupt(end, time, x_0)
        prediction = right(kind, target) * 1
        values = [x_t, target.velocity, flow.loss(0.9 * prediction, target, time)]
        values += [flow.step(x_t, prediction, time, (1 - time) / 2)]
        values += [flow.velocity(x_t, prediction, time)]
        for value in values:
            assert value.isfinite().all()
            (slope,) = torch.autograd.grad(value.sum(), end, retain_graph=True)
            assert slope.isfinite().all()


@every_manifold
@every_flow
def test_empty_batches_and_wrong_shapes(manifold, kind):
    flow, t = kind(manifold), torch.zeros(0)
    x_t, target = flow.corrupt(points(manifold, 0, dtype=torch.float32), t, generator=seeded())
    assert flow.loss(right(kind, target), target, t).shape == (0,)
    assert flow.step(x_t, right(kind, target), t, t).shape == x_t.shape
    with pytest.raises(ValueError, match="points on"):
        flow.corrupt(torch.zeros(2, 11), torch.zeros(2))
    with pytest.raises(ValueError, match="expected a shape"):
        flow.sample_prior((2, 11))
    with pytest.raises(ValueError, match="one point of noise a datum"):
        flow.corrupt(points(manifold, 3), torch.zeros(3), points(manifold, 2))


@every_manifold
def test_default_prior_has_a_density_and_obeys_the_seed(manifold):
    flow = VelocityFlow(manifold)
    shape = (200, *manifold.point_shape)
    a, b, c = (
        flow.sample_prior(shape, generator=seeded(s), dtype=torch.float32) for s in (0, 0, 1)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert a.dtype == torch.float32
    manifold.check_point(a)
    density = placed(flow.prior_law, a).log_prob(a)
    assert density.shape == (200,)
    assert density.dtype == torch.float32
    assert density.isfinite().all()


def test_product_prior_is_its_parts():
    """Against the wrapped normal of a product, whose density is known there."""
    product = Product(Euclidean(2), Lorentz(2), weights=(2.0, 0.5))
    x = points(product, 10)
    parts = tuple(
        WrappedNormal(m, m.projx(torch.zeros(m.point_shape, dtype=x.dtype)), 0.7 / w**0.5)
        for m, w in zip(product.factors, product.weights, strict=True)
    )
    mean = product.join([part.mean for part in parts])
    own, known = ProductDistribution(product, parts), WrappedNormal(product, mean, 0.7)
    torch.testing.assert_close(own.log_prob(x), known.log_prob(x))
    drawn = own.sample(5, generator=seeded()), known.sample(5, generator=seeded())
    torch.testing.assert_close(*drawn)
    with pytest.raises(ValueError, match="one distribution on each"):
        ProductDistribution(product, parts[:1])


def test_a_prior_is_a_choice_and_must_fit():
    north = torch.tensor([0.0, 0.0, 1.0])
    flow = VelocityFlow(Sphere(2), VonMisesFisher(Sphere(2), north, 50.0))
    x = flow.sample_prior((500, 3), generator=seeded(), dtype=torch.float64)
    assert x.dtype == torch.float64
    assert x[:, 2].mean() > 0.95  # coth(50) - 1/50 = 0.98
    with pytest.raises(ValueError, match=r"prior on Sphere\(2\), got one on Sphere\(3\)"):
        VelocityFlow(Sphere(2), Uniform(Sphere(3)))


@every_flow
def test_a_flow_is_a_value(kind):
    flow = kind(Euclidean(3))
    assert flow == dataclasses.replace(flow) == kind(Euclidean(3))
    assert hash(flow) == hash(kind(Euclidean(3)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        flow.manifold = Sphere(2)


def circle_field(theta, t, mean, std):
    """v_t on T^1 for uniform noise and data N(mean, std) wrapped.

    Given x_1 the state is uniform on the arc |x - x_1| <= (1 - t) pi and moves by
    (x_1 - x)/(1 - t); so the posterior of x_1 - x is the data's density cut off there, whose
    mean has a closed form for each turn.
    """
    centre = mean - theta[:, None] + 2 * torch.pi * torch.arange(-2, 3)
    ends = torch.tensor([-1.0, 1.0]) * (1 - t) * torch.pi
    z = (ends - centre[..., None]) / std
    mass = torch.special.ndtr(z).diff(dim=-1)[..., 0]
    density = (-z.square() / 2).exp().diff(dim=-1)[..., 0] / (2 * torch.pi) ** 0.5
    mean_shift = (centre * mass - std * density).sum(-1) / mass.sum(-1).clamp_min(1e-300)
    return mean_shift / (1 - t)


@pytest.mark.parametrize("manifold", [FlatTorus(1), Sphere(1)], ids=repr)
@pytest.mark.parametrize("kind", [VelocityFlow, EndpointFlow])
def test_the_exact_field_samples_the_data_on_a_circle(manifold, kind):
    mean, std = 2.0, 0.4

    def predict(x, t, condition=None):
        theta = x[:, 0] if manifold == FlatTorus(1) else torch.atan2(x[:, 1], x[:, 0])
        v = circle_field(theta, t[0], mean, std)[:, None]
        u = v if manifold == FlatTorus(1) else v * torch.stack([-x[:, 1], x[:, 0]], -1)
        return u if kind is VelocityFlow else manifold.expmap(x, (1 - t[0]) * u)

    flow = kind(manifold)
    sampler = Sampler(flow, predict, time_grid(100).double(), 1000)
    x = sampler.sample((1000, *manifold.point_shape), seed=0)
    theta = x[:, 0] if manifold == FlatTorus(1) else torch.atan2(x[:, 1], x[:, 0])
    # Wrapping is out of sight: the cut is eight deviations away. 100 steps are off by 0.01
    # in the distribution function, and 1000 draws resolve 0.06.
    centred = torch.remainder(theta - mean + torch.pi, 2 * torch.pi) - torch.pi
    assert scipy.stats.kstest(centred.numpy(), "norm", (0, std)).pvalue > SIGNIFICANCE


def test_velocity_flow_on_a_mesh():
    """No logarithm there: the path follows the premetric, steps walk, endpoints are refused."""
    grid = torch.linspace(0, 1, 6)
    x, y = torch.meshgrid(grid, grid, indexing="ij")
    vertices = torch.stack([x, y, 0.3 * (3 * x).sin()], -1).reshape(-1, 3)
    corner = (torch.arange(5)[:, None] * 6 + torch.arange(5)).reshape(-1)
    below = torch.stack([corner, corner + 6, corner + 7], -1)
    above = torch.stack([corner, corner + 7, corner + 1], -1)
    mesh = Mesh(vertices, torch.cat([below, above]), num_eigenpairs=30)
    flow = VelocityFlow(mesh)
    x_1 = flow.sample_prior((8, 3), generator=seeded(), dtype=torch.float64)
    t = torch.linspace(0, 0.9, 8, dtype=torch.float64)
    x_t, target = flow.corrupt(x_1, t, generator=seeded(1))
    mesh.check_point(x_t)
    mesh.check_tangent(x_t, target.velocity)
    moved = flow.step(x_t, target.velocity, t, (1 - t) / 50)
    mesh.check_point(moved)
    # A short step along the path brings the end nearer.
    assert (mesh.dist(moved, x_1) < mesh.dist(x_t, x_1)).all()
    with pytest.raises(ValueError, match="logarithm"):
        EndpointFlow(mesh).velocity(x_t, x_1, t)
