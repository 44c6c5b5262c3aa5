"""Solvers on manifolds: orders, directions, start times, error control, the sampling loop."""

import math

import pytest
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
    Simplex,
    Sphere,
)
from seqflow.adaptive import DORMAND_PRINCE, ERROR, AdaptiveSteps
from seqflow.networks.mlp import tangent_head
from seqflow.priors import default_prior, draw
from seqflow.riemannian import EndpointFlow, VelocityFlow
from seqflow.sampling import Sampler, time_grid
from seqflow.solvers import (
    EULER,
    MIDPOINT,
    RK4,
    SCHEMES,
    FixedSteps,
    GeodesicSolver,
    find_scheme,
    pushforward,
    solve,
)

MANIFOLDS = [Sphere(2), FlatTorus(2), SO3(), Euclidean(2, 2), Lorentz(2), PoincareBall(2)]
MANIFOLDS += [SE3(), Product(Sphere(2), FlatTorus(1), weights=(1.0, 2.0))]
# Where coordinates are curved, each in its own way; elsewhere a scheme is that on R^n.
CURVED = [Sphere(2), SO3(), Lorentz(2), Product(Sphere(2), FlatTorus(1), weights=(1.0, 2.0))]
every_curved = pytest.mark.parametrize("manifold", CURVED, ids=repr)
every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
every_scheme = pytest.mark.parametrize("name", SCHEMES)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(manifold, *batch, seed=0, dtype=torch.float64):
    return draw(default_prior(manifold), *batch, generator=seeded(seed), dtype=dtype)


def wavy(manifold):
    """A smooth field, not along geodesics, that depends on time: length of order one."""
    size = math.prod(manifold.point_shape)
    a = torch.randn(size, math.prod(manifold.tangent_shape), generator=seeded(7)).double()

    def field(x, t):
        wave = (x.flatten(-len(manifold.point_shape)) + 2 * t[:, None]).sin() @ a / size
        return tangent_head(manifold, x, wave.reshape(*wave.shape[:-1], *manifold.tangent_shape))

    return field


@every_curved
@every_scheme
def test_order_by_halving_the_step(manifold, name):
    scheme, x, field = SCHEMES[name], points(manifold, 4), wavy(manifold)
    ends = [
        solve(scheme, manifold, field, x, torch.linspace(0.2, 1, n + 1, dtype=x.dtype))
        for n in (6, 12, 24)
    ]
    first, second = (manifold.dist(a, b).max() for a, b in zip(ends[1:], ends[:-1], strict=True))
    order = math.log2(first / second)
    # The observed order tends to the true one like the step, and may lie above at first.
    assert scheme.order - 0.35 < order < scheme.order + 1.2


@every_curved
def test_backwards_undoes_forwards(manifold):
    x, field = points(manifold, 4), wavy(manifold)
    times = torch.linspace(0.1, 0.7, 13, dtype=x.dtype)
    there = solve(RK4, manifold, field, x, times)
    manifold.check_point(there)
    back = solve(RK4, manifold, field, there, times.flip(0))
    assert manifold.dist(there, x).min() > 1e-2
    assert manifold.dist(back, x).max() < 1e-5  # twice the error of RK4 at h = 1/20


@every_scheme
@pytest.mark.parametrize(("start", "end"), [(0.5, 1.0), (1.0, 0.5), (0.25, 0.75)])
def test_start_time_and_direction_are_respected(name, start, end):
    """dx/dt = t is exact for midpoint and RK4, and off by h/2 (end - start) for Euler."""
    x = torch.tensor([[3.0]], dtype=torch.float64)
    times = torch.linspace(start, end, 9, dtype=torch.float64)
    moved = solve(SCHEMES[name], FlatTorus(1), lambda x, t: t[:, None], x, times)
    expected = 3 + (end**2 - start**2) / 2
    error = (end - start) ** 2 / 16 if name == "euler" else 0
    torch.testing.assert_close(moved, torch.full_like(x, expected - error))


@every_manifold
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_no_motion_where_the_field_is_zero(manifold, dtype):
    """Coincident points are where the logarithm is awkward."""
    x = points(manifold, 3, dtype=dtype)
    still = x.new_zeros(3, *manifold.tangent_shape)
    for scheme in SCHEMES.values():
        moved = solve(scheme, manifold, lambda x, t: still, x, torch.linspace(0, 1, 3).to(dtype))
        assert moved.dtype == dtype
        torch.testing.assert_close(moved, x)


@pytest.mark.parametrize("manifold", [Sphere(2), SE3()], ids=repr)
def test_error_control_reaches_the_solution(manifold):
    x, field = points(manifold, 5), wavy(manifold)
    exact = solve(RK4, manifold, field, x, torch.linspace(1, 0, 17, dtype=x.dtype))
    for tolerance in (1e-3, 1e-5):
        ours = AdaptiveSteps(tolerance)(manifold, lambda x, t, rows: field(x, t), x, 1.0, 0.0)
        # Some ten steps, each wrong by less than the tolerance, and spread by the flow.
        assert manifold.dist(ours, exact).max() < 50 * tolerance


def test_rows_do_not_see_each_other_and_only_those_on_the_way_are_evaluated():
    seen = []

    def field(x, t, rows):
        seen.append(len(rows))
        speed = torch.tensor([1.0, 30.0, 2.0], dtype=x.dtype)[rows]
        return (speed * (speed * t).sin())[:, None]

    torus, x = FlatTorus(1), torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    steps = AdaptiveSteps(1e-6)
    together = steps(torus, field, x, 0.0, 1.0)
    assert seen[0] == 3
    assert seen[-1] == 1
    for i in range(3):
        alone = steps(torus, lambda y, t, rows, i=i: field(y, t, rows + i), x[i : i + 1], 0.0, 1.0)
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-12)


def test_error_control_takes_jumps_and_says_when_it_gives_up():
    torus, x = FlatTorus(1), torch.zeros(1, 1, dtype=torch.float64)

    def jump(x, t, rows):
        return torch.where(t < 1 / 3, 1.0, 3.0)[:, None].to(x)

    moved = AdaptiveSteps(1e-9)(torus, jump, x, 0.0, 1.0)
    torch.testing.assert_close(moved, torch.full_like(x, 1 / 3 + 2), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"arrive at t = 1\.0 in 3 steps, 1 did not"):
        AdaptiveSteps(1e-9, max_steps=3)(torus, jump, x, 0.0, 1.0)
    with pytest.raises(ValueError, match="positive tolerance"):
        AdaptiveSteps(0.0)


def test_empty_batches_arrive():
    x = torch.zeros(0, 3)
    sphere = Sphere(2)
    for integrate in (AdaptiveSteps(), FixedSteps(2)):
        assert integrate(sphere, lambda x, t, rows: x, x, 0.0, 1.0).shape == (0, 3)


def test_coefficients_are_consistent():
    for scheme in (EULER, MIDPOINT, RK4, DORMAND_PRINCE):
        assert sum(scheme.b) == pytest.approx(1, abs=1e-15)
        for row, node in zip(scheme.a, scheme.c[1:], strict=True):
            assert sum(row) == pytest.approx(node, abs=1e-14)
    assert sum(ERROR) == pytest.approx(0, abs=1e-15)


@every_manifold
def test_pushforward_is_the_velocity_of_the_exponential(manifold):
    x = points(manifold, 3)
    u = wavy(manifold)(x, torch.zeros(3, dtype=x.dtype))
    h = 1e-6
    quotient = (manifold.expmap(x, h * u) - manifold.expmap(x, -h * u)) / (2 * h)
    quotient = torch.where(quotient.abs() > 1e3, 0.0, quotient)  # an angle that wrapped
    torch.testing.assert_close(pushforward(manifold, x, u), quotient, atol=1e-8, rtol=1e-7)


@every_scheme
@pytest.mark.parametrize("kind", [VelocityFlow, EndpointFlow])
def test_the_sampling_loop_takes_a_solver(name, kind):
    """It calls the predictor once a stage, and equals the same steps taken by hand."""
    manifold, calls, field = Sphere(2), [], wavy(Sphere(2))
    flow, scheme = kind(manifold), find_scheme(name)

    def predict(x, t, condition=None):
        calls.append(len(x))
        v = field(x, t)
        if kind is VelocityFlow:
            return v
        return manifold.expmap(x, (1 - t)[:, None] * v)

    times = time_grid(5).double()
    solver = GeodesicSolver(flow, scheme)
    x = Sampler(flow, predict, 0.9 * times, 64, solver=solver).sample((70, 3), seed=1)
    assert len(calls) == 5 * len(scheme.b) * 2
    assert max(calls) <= 64
    x_0 = Sampler(flow, predict, times[:2] * 0, 64).sample((70, 3), seed=1)
    by_hand = solve(scheme, manifold, field, x_0, 0.9 * times)
    torch.testing.assert_close(x, by_hand, atol=1e-9, rtol=0)


def test_unknown_solvers_are_refused():
    with pytest.raises(ValueError, match="euler, midpoint, rk4, got 'heun'"):
        find_scheme("heun")
    with pytest.raises(ValueError, match="at least one step"):
        FixedSteps(0)


def test_manifolds_without_a_logarithm_take_euler_s_steps():
    square = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=torch.float64)
    mesh = Mesh(square, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    x = torch.tensor([[0.2, 0.3, 0.0]], dtype=torch.float64)
    times = torch.linspace(0, 1, 5, dtype=torch.float64)

    def field(x, t):
        return torch.tensor([[0.4, 0.5, 0.0]], dtype=torch.float64)

    moved = solve(EULER, mesh, field, x, times)
    torch.testing.assert_close(moved, x + field(x, times))
    with pytest.raises(ValueError, match="logarithm"):
        solve(RK4, mesh, field, x, times)


def test_the_simplex_too():
    """The replicator field x (g - <x, g>) has the solution softmax(log x + t g)."""
    g = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    x = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)

    def field(x, t):
        return x * (g - (x * g).sum(-1, keepdim=True))

    moved = solve(RK4, Simplex(3), field, x, torch.linspace(0, 1, 17, dtype=x.dtype))
    torch.testing.assert_close(moved, (x.log() + g).softmax(-1), atol=1e-6, rtol=0)
