"""Divergence and exact likelihood: closed-form flows, and densities that integrate to one."""

import numpy as np
import pytest
import torch

from geometry import (
    SE3,
    SO3,
    CentredEuclidean,
    Euclidean,
    FlatTorus,
    Lorentz,
    PoincareBall,
    PositiveOrthant,
    Product,
    Sphere,
)
from geometry.distributions import PowerSpherical, WrappedNormal
from seqflow.adaptive import AdaptiveSteps
from seqflow.likelihood.divergence import (
    ExactDivergence,
    HutchinsonDivergence,
    connection,
    divergence,
    tangent_frame,
)
from seqflow.likelihood.ode import log_likelihood
from seqflow.networks.mlp import MLP, EndpointHead
from seqflow.priors import default_prior, draw
from seqflow.riemannian import EndpointFlow, VelocityFlow
from seqflow.solvers import FixedSteps
from seqflow.training import seeded as global_seed

MANIFOLDS = [Sphere(1), Sphere(2), FlatTorus(3), SO3(), Euclidean(2, 2), CentredEuclidean(3, 2)]
MANIFOLDS += [Lorentz(3), PoincareBall(3), PositiveOrthant(3), SE3()]
MANIFOLDS += [Product(Sphere(2), FlatTorus(1), Lorentz(2), weights=(1.0, 2.0, 3.0))]
every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(manifold, num, seed=0):
    if isinstance(manifold, CentredEuclidean):
        zero = torch.zeros(num, *manifold.point_shape, dtype=torch.float64)
        return manifold.random_normal(zero, 1.0, seeded(seed))
    return draw(default_prior(manifold), num, generator=seeded(seed), dtype=torch.float64)


def random_network(manifold, scale=0.3, num_labels=0):
    """A small smooth network in float64, all its weights random."""
    with global_seed(0):
        network = MLP(manifold, width=16, depth=1, num_labels=num_labels)
        network = network.double().requires_grad_(False)
        for weight in network.parameters():
            weight.add_(scale * torch.randn_like(weight))
    return network


def sphere_grid(num):
    """Gauss-Legendre in height, even in longitude: points and weights, exact to degree 2 num."""
    z, w = np.polynomial.legendre.leggauss(num)
    phi = np.arange(2 * num) * np.pi / num
    z, phi = (a.ravel() for a in np.meshgrid(z, phi, indexing="ij"))
    r = np.sqrt(1 - z**2)
    x = np.stack([r * np.cos(phi), r * np.sin(phi), z], -1)
    return torch.from_numpy(x), torch.from_numpy(np.repeat(w, 2 * num) * np.pi / num)


def torus_grid(num):
    """An even grid on T^2, exact below frequency num."""
    a = torch.arange(num, dtype=torch.float64) * 2 * torch.pi / num
    x = torch.cartesian_prod(a, a)
    return x, torch.full((len(x),), (2 * torch.pi / num) ** 2, dtype=torch.float64)


def at(network, t):
    return lambda x: network(x, torch.full((len(x),), t, dtype=x.dtype))


@every_manifold
def test_divergence_is_the_trace_of_the_covariant_derivative(manifold):
    """Against central differences of the field carried back along geodesics."""
    x = points(manifold, 4)
    field = at(random_network(manifold), 0.3)
    w, c = tangent_frame(manifold, x)
    h, trace = 1e-4, 0
    for along, covector in zip(w, c.expand_as(w), strict=True):
        ends = [manifold.expmap(x, s * along) for s in (h, -h)]
        forward, back = (manifold.transp(y, x, field(y)) for y in ends)
        trace = trace + (covector * (forward - back)).flatten(1).sum(-1) / (2 * h)
    v, div = divergence(manifold, field, x)
    torch.testing.assert_close(v, field(x))
    torch.testing.assert_close(div, trace, atol=1e-4, rtol=1e-4)  # of h^2 with third derivatives


@every_manifold
def test_frames_resolve_the_identity(manifold):
    x = points(manifold, 4)
    w, c = tangent_frame(manifold, x)
    u = manifold.proju(x, torch.randn(4, *manifold.tangent_shape, generator=seeded()).double())
    axes = tuple(range(2, w.ndim))
    coefficients = (c * u).sum(axes)
    assert torch.allclose(torch.einsum("nb,nb...->b...", coefficients, w), u)


@every_manifold
def test_connection_in_closed_form_is_that_of_the_transport(manifold):
    x = points(manifold, 4)
    v = random_network(manifold)(x, torch.zeros(4, dtype=x.dtype))
    generic = connection.dispatch(object)(manifold, x, v)
    torch.testing.assert_close(connection(manifold, x, v), generic, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("law", ["rademacher", "gaussian"])
@every_manifold
def test_hutchinson_s_mean_is_the_exact_divergence(manifold, law):
    x, num = points(manifold, 3), 1000
    field = at(random_network(manifold), 0.3)
    n = len(tangent_frame(manifold, x)[0])
    probes = HutchinsonDivergence(1, law).probes(3 * num, n, x, seeded(1))
    many = x.repeat_interleave(num, 0)
    values = divergence(manifold, field, many, probes)[1].reshape(3, num)
    exact = divergence(manifold, field, x)[1]
    error = 5 * values.std(-1) / num**0.5 + 1e-10  # five standard errors
    assert ((values.mean(-1) - exact).abs() < error).all()


@pytest.mark.parametrize("manifold", [Sphere(2), FlatTorus(2)], ids=repr)
def test_divergence_integrates_to_zero(manifold):
    x, weight = sphere_grid(24) if manifold == Sphere(2) else torus_grid(48)
    div = divergence(manifold, at(random_network(manifold, 0.1), 0.5), x)[1]
    # The quadrature is spectral: what is left of a smooth network is far below its size.
    assert div.abs().max() > 1e-2
    assert (weight * div).sum().abs() < 1e-5


@pytest.mark.parametrize(
    ("integrator", "method"),
    [(AdaptiveSteps(1e-6), ExactDivergence()), (FixedSteps(12), HutchinsonDivergence())],
    ids=["adaptive", "fixed"],
)
@pytest.mark.parametrize("manifold", [Sphere(2), SO3()], ids=repr)
def test_a_rotation_carries_the_density_along(manifold, integrator, method):
    """Fields of isometries: no divergence, along any probe once the parts are summed."""
    mean = manifold.projx(torch.tensor([0.3, -0.2, 0.9, 0.1][: manifold.point_shape[0]]).double())
    law = PowerSpherical(manifold, mean, 5.0) if manifold == Sphere(2) else None
    law = law or WrappedNormal(manifold, mean, 0.5)
    spin = torch.tensor([0.5, -0.3, 0.8], dtype=torch.float64)

    def rotate(x, t, condition=None):
        if manifold == SO3():
            return spin.expand(len(x), 3)
        return torch.linalg.cross(spin.expand_as(x), x)

    x_1 = manifold.random_uniform(6, generator=seeded(), dtype=torch.float64)
    flow = VelocityFlow(manifold, law)
    ours = log_likelihood(flow, rotate, x_1, integrator=integrator, method=method)
    if manifold == SO3():
        x_0 = manifold.expmap(x_1, -spin.expand(6, 3))
    else:
        skew = torch.linalg.cross(spin.expand(3, 3), torch.eye(3, dtype=torch.float64)).mT
        x_0 = x_1 @ torch.linalg.matrix_exp(-skew).mT
    torch.testing.assert_close(ours, law.log_prob(x_0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("a", [-1.5, 1.5])
def test_a_contraction_of_the_sphere(a):
    """v = a grad z gives z = tanh(atanh z_0 + a t) and p = (1 - z_0^2)/(1 - z^2)/(4 pi)."""
    sphere = Sphere(2)
    x_1 = sphere.random_uniform(20, generator=seeded(), dtype=torch.float64)
    north = torch.tensor([0.0, 0.0, a], dtype=torch.float64)
    flow = VelocityFlow(sphere)
    ours = log_likelihood(flow, lambda x, t, condition: sphere.proju(x, north), x_1)
    z = x_1[:, 2]
    z_0 = (z.atanh() - a).tanh()
    expected = ((1 - z_0**2) / (1 - z**2)).log() + sphere.log_uniform()
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def test_a_modulated_torus():
    """dx/dt = sin x has tan(x/2) = e^t tan(x_0/2), so p = prod sin x_0/(2 pi sin x)."""
    x_1 = FlatTorus(2).random_uniform(20, generator=seeded(), dtype=torch.float64)
    ours = log_likelihood(VelocityFlow(FlatTorus(2)), lambda x, t, condition: x.sin(), x_1)
    x_0 = 2 * torch.atan(torch.tan(x_1 / 2) / torch.e)
    expected = (x_0.sin() / (2 * torch.pi * x_1.sin())).log().sum(-1)
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=0)


def test_an_affine_flow():
    """dx/dt = A x + b from N(0, I) ends in the Gaussian of e^A."""
    a = torch.tensor([[0.3, 0.8], [-0.5, -0.6]], dtype=torch.float64)
    x_1 = torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
    b = torch.tensor([0.2, -0.1], dtype=torch.float64)
    ours = log_likelihood(VelocityFlow(Euclidean(2)), lambda x, t, condition: x @ a.mT + b, x_1)
    e = torch.linalg.matrix_exp(a)
    mean = torch.linalg.solve(a, e @ b - b)
    normal = torch.distributions.MultivariateNormal(mean, e @ e.mT)
    torch.testing.assert_close(ours, normal.log_prob(x_1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("manifold", [Lorentz(3), PoincareBall(3)], ids=repr)
def test_shrinking_hyperbolic_space(manifold):
    """v = a log_x o shrinks normal coordinates u about o by e^-a, of volume (sinh r/r)^2 du."""
    a, x_1 = 0.7, points(manifold, 20)
    origin = manifold.projx(torch.zeros_like(x_1))
    flow = VelocityFlow(manifold)
    ours = log_likelihood(flow, lambda x, t, c: a * manifold.logmap(x, origin[: len(x)]), x_1)
    r_1 = manifold.dist(origin, x_1)
    r_0 = np.exp(a) * r_1
    x_0 = manifold.expmap(origin, np.exp(a) * manifold.logmap(origin, x_1))
    density = 2 * (r_0.sinh() / r_0 * r_1 / r_1.sinh()).log() + 3 * a
    expected = flow.prior_law.log_prob(x_0) + density
    torch.testing.assert_close(ours, expected, atol=2e-4, rtol=1e-4)


def test_a_product_adds_up():
    """Independent fields on the parts; weights change volumes, hence densities."""
    sphere, product = Sphere(2), Product(Sphere(2), FlatTorus(2), weights=(2.0, 3.0))
    x_1 = points(product, 5)
    north = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)

    def on_sphere(x, t, condition=None):
        return sphere.proju(x, north)

    def on_torus(x, t, condition=None):
        return x.sin()

    def both(x, t, condition=None):
        a, b = product.split(x)
        return product.join_tangent([on_sphere(a, t), on_torus(b, t)])

    a, b = product.split(x_1)
    ours = log_likelihood(VelocityFlow(product), both, x_1)
    parts = log_likelihood(VelocityFlow(sphere), on_sphere, a)
    parts = parts + log_likelihood(VelocityFlow(FlatTorus(2)), on_torus, b)
    torch.testing.assert_close(ours, parts - np.log(2) - np.log(3), atol=2e-4, rtol=0)


@pytest.mark.parametrize("kind", [VelocityFlow, EndpointFlow])
@pytest.mark.parametrize("manifold", [Sphere(2), FlatTorus(2)], ids=repr)
def test_the_density_of_a_network_integrates_to_one(manifold, kind):
    x, weight = sphere_grid(12) if manifold == Sphere(2) else torus_grid(20)
    network, t_end = random_network(manifold, 0.12 if manifold == Sphere(2) else 0.2), 1.0
    if kind is EndpointFlow:  # whose field has no limit at t = 1 under a random network
        network, t_end = EndpointHead(manifold, network), 0.5
    log_p = log_likelihood(
        kind(manifold), network, x, integrator=FixedSteps(8), t_end=t_end, batch_size=400
    )
    assert log_p.std() > 0.05
    # Quadrature of a density that the flow has made wavy, and RK4 with steps of 1/8.
    assert (weight * log_p.exp()).sum().item() == pytest.approx(1, abs=2e-3)


def test_hutchinson_s_likelihood_is_right_on_average_and_obeys_the_seed():
    torus, num = FlatTorus(2), 200
    network, x = random_network(torus), points(FlatTorus(2), 1)
    flow, many = VelocityFlow(torus), x.expand(num, 2)
    steps, method = FixedSteps(8), HutchinsonDivergence()

    def estimate(seed):
        return log_likelihood(
            flow, network, many, integrator=steps, method=method, generator=seeded(seed)
        )

    a, b, c = (estimate(seed) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    exact = log_likelihood(flow, network, x, integrator=steps)
    assert abs(a.mean() - exact) < 5 * a.std() / num**0.5


def test_batches_conditions_dtypes_and_errors():
    sphere = Sphere(2)
    network = random_network(sphere, 0.2, num_labels=2).float()
    x = sphere.random_uniform(7, generator=seeded())
    label = torch.tensor([0, 1, 0, 1, 0, 1, -1])
    flow = VelocityFlow(sphere)
    steps = FixedSteps(4)
    whole = log_likelihood(flow, network, x, condition=label, integrator=steps)
    pieces = log_likelihood(flow, network, x, condition=label, integrator=steps, batch_size=3)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(whole, pieces, atol=1e-4, rtol=1e-4)
    other = log_likelihood(flow, network, x, condition=1 - label.abs(), integrator=steps)
    assert not torch.allclose(whole, other)
    with pytest.raises(ValueError, match="one batch axis"):
        log_likelihood(flow, network, x[None])
    with pytest.raises(ValueError, match="points on"):
        log_likelihood(flow, network, x[:, :2])
    with pytest.raises(ValueError, match="at least one probe"):
        HutchinsonDivergence(0)
    with pytest.raises(ValueError, match="rademacher or gaussian, got 'cauchy'"):
        HutchinsonDivergence(1, "cauchy")
