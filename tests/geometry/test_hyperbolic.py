"""Both models of hyperbolic space: extremes against mpmath, and one another."""

import mpmath
import pytest
import torch

from geometry.lorentz import Lorentz, lorentz_to_poincare
from geometry.poincare import PoincareBall, poincare_to_lorentz

N = 8
EPS = torch.finfo(torch.float32).eps


def directions(count, seed):
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(count, N, generator=generator, dtype=torch.float64)
    return v / v.norm(dim=-1, keepdim=True)


def times(count):
    return torch.rand(count, generator=torch.Generator().manual_seed(9))


def dot(a, b):
    return mpmath.fsum(p * q for p, q in zip(a, b, strict=True))


def numbers(x):
    return [mpmath.mpf(float(a)) for a in x]


def geodesic(x, y, t):
    """The hyperboloid's slerp over space parts x, y, to 50 digits."""
    x, y = ([mpmath.sqrt(1 + dot(a, a)), *a] for a in (x, y))
    theta = mpmath.acosh(x[0] * y[0] - dot(x[1:], y[1:]))
    a, b = mpmath.sinh((1 - t) * theta), mpmath.sinh(t * theta)
    da, db = -theta * mpmath.cosh((1 - t) * theta), theta * mpmath.cosh(t * theta)
    scale = mpmath.sinh(theta)
    point = [(a * p + b * q) / scale for p, q in zip(x, y, strict=True)]
    return point, [(da * p + db * q) / scale for p, q in zip(x, y, strict=True)]


def lorentz_reference(x, y, t):
    return geodesic(x[1:], y[1:], t)


def ball_reference(x, y, t):
    x, y = ([2 / (1 - dot(a, a)) * b for b in a] for a in (x, y))
    point, velocity = geodesic(x, y, t)
    down = [a / (1 + point[0]) for a in point[1:]]
    slope = velocity[0]
    return down, [
        (v - p * slope) / (1 + point[0]) for v, p in zip(velocity[1:], down, strict=True)
    ]


def errors(manifold, reference, x, y):
    """Largest absolute error of x_t and relative error of u_t in float32."""
    t = times(x.shape[0])
    found = manifold.interpolant(x, y, t)
    point_error = velocity_error = 0.0
    with mpmath.workdps(50):
        for x_i, y_i, t_i, p_i, u_i in zip(x, y, t, *found, strict=True):
            point, velocity = reference(numbers(x_i), numbers(y_i), mpmath.mpf(float(t_i)))
            off = [a - b for a, b in zip(numbers(u_i), velocity, strict=True)]
            relative = mpmath.sqrt(dot(off, off) / dot(velocity, velocity))
            velocity_error = max(velocity_error, float(relative))
            gap = (abs(a - b) for a, b in zip(numbers(p_i), point, strict=True))
            point_error = max(point_error, float(max(gap)))
    return point_error, velocity_error


def on_sheet(space):
    return Lorentz(N).projx(torch.cat([torch.zeros_like(space[:, :1]), space], -1))


# (radius, |x error|, relative |u| error): the notes' "own" row for two random points.
RADII = [
    (1, 2e-7, 2e-7),
    (2, 5e-7, 2e-7),
    (4, 5e-6, 3e-7),
    (6, 3e-5, 4e-7),
    (8, 2e-4, 5e-7),
]


@pytest.mark.parametrize(("radius", "point", "velocity"), RADII)
def test_lorentz_far_out(radius, point, velocity):
    x, y = (
        on_sheet((torch.tensor(radius).double().sinh() * directions(12, s)).float())
        for s in (1, 2)
    )
    found = errors(Lorentz(N), lorentz_reference, x, y)
    # A factor of 2 for other draws of the same kind.
    assert found[0] < 2 * point
    assert found[1] < 2 * velocity


@pytest.mark.parametrize("separation", [1e-1, 1e-3, 1e-5, 1e-6])
def test_lorentz_near_identical(separation):
    """Differences are exact to rounding: 4 eps, where a difference of roundings has eps/theta."""
    x = on_sheet((torch.tensor(1.0).double().sinh() * directions(12, 1)).float())
    y = on_sheet((x[:, 1:].double() + separation * directions(12, 2)).float())
    assert errors(Lorentz(N), lorentz_reference, x, y)[1] < 4 * EPS


def test_lorentz_from_the_origin():
    x = on_sheet(torch.zeros(12, N))
    y = on_sheet((torch.tensor(8.0).sinh() * directions(12, 2)).float())
    assert errors(Lorentz(N), lorentz_reference, x, y)[1] < 8 * EPS


@pytest.mark.parametrize("separation", [1e-1, 1e-3, 1e-6])
def test_ball_near_identical(separation):
    x = (0.5 * directions(12, 1)).float()
    y = (x.double() + separation * directions(12, 2)).float()
    assert errors(PoincareBall(N), ball_reference, x, y)[1] < 8 * EPS


@pytest.mark.parametrize("margin", [1e-1, 1e-3, 1e-5, 1e-6])
def test_ball_at_the_edge(margin):
    """theta is up to 28 here, and enters exponents: 28 eps."""
    x, y = (((1 - margin) * directions(12, s)).float() for s in (1, 2))
    found = errors(PoincareBall(N), ball_reference, x, y)
    assert found[0] < 28 * EPS
    assert found[1] < 28 * EPS


def test_models_agree():
    lorentz, ball = Lorentz(3), PoincareBall(3)
    origin = lorentz.projx(torch.zeros(64, 4, dtype=torch.float64))
    generator = torch.Generator().manual_seed(0)
    x, y = (lorentz.random_normal(origin, 1.0, generator) for _ in range(2))
    t = times(64).double()
    p, q = lorentz_to_poincare(x), lorentz_to_poincare(y)
    assert torch.allclose(poincare_to_lorentz(p), x, rtol=1e-12, atol=0)
    assert torch.allclose(ball.dist(p, q), lorentz.dist(x, y), rtol=1e-12, atol=0)
    down = lorentz_to_poincare(lorentz.geodesic(x, y, t))
    assert torch.allclose(ball.geodesic(p, q, t), down, rtol=0, atol=1e-13)
    # Transport, through the differential of the map between the models.
    v = lorentz.logmap(x, lorentz.random_normal(origin, 1.0, generator))
    _, w = torch.func.jvp(lorentz_to_poincare, (x,), (v,))
    _, there = torch.func.jvp(lorentz_to_poincare, (y,), (lorentz.transp(x, y, v),))
    assert torch.allclose(ball.transp(p, q, w), there, rtol=1e-10, atol=1e-12)


def test_boosts_are_isometries():
    """A boost along axis 1 commutes with the interpolant."""
    lorentz, a = Lorentz(3), torch.tensor(0.7, dtype=torch.float64)
    boost = torch.eye(4, dtype=torch.float64)
    boost[0, 0] = boost[1, 1] = a.cosh()
    boost[0, 1] = boost[1, 0] = a.sinh()
    origin = lorentz.projx(torch.zeros(16, 4, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    x, y = (lorentz.random_normal(origin, 1.0, generator) for _ in range(2))
    t = times(16).double()
    for before, after in zip(
        lorentz.interpolant(x, y, t), lorentz.interpolant(x @ boost, y @ boost, t), strict=True
    ):
        assert torch.allclose(before @ boost, after, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("manifold", [Lorentz(N), PoincareBall(N)], ids=str)
def test_gradients_are_finite_at_extremes(manifold, dtype):
    """Coincident, at the origin, at radius 8 and 1e-5 from the edge, at t = 0 and 1."""
    scale = torch.tensor([0.0, 1e-9, 0.5, 1 - 1e-5], dtype=dtype).unsqueeze(-1)
    x, y = (scale * directions(4, s).to(dtype) for s in (1, 2))
    if isinstance(manifold, Lorentz):
        x, y = poincare_to_lorentz(0.9993 * x), poincare_to_lorentz(0.9993 * y)
    for a, b in ((x, y), (x, x), (x[:1].expand_as(y), y), (x, x.roll(1, 0))):
        for t in (0.0, 0.5, 1.0):
            inputs = [z.detach().clone().requires_grad_() for z in (a, b)]
            inputs.append(torch.full((4,), t, dtype=dtype, requires_grad=True))
            x_t, u_t = manifold.interpolant(*inputs)
            outputs = (x_t, u_t, manifold.dist(*inputs[:2]), manifold.logmap(*inputs[:2]))
            assert all(out.isfinite().all() for out in outputs)
            grads = torch.autograd.grad(sum(out.sum() for out in outputs), inputs)
            assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("manifold", [Lorentz(2), PoincareBall(2)], ids=str)
def test_the_differential_of_exp_at_zero_is_the_identity(manifold):
    x = manifold.projx(torch.tensor([0.3, -0.2, 0.5][: manifold.point_shape[0]]).double())
    u = manifold.proju(x, torch.tensor([0.1, 0.7, -0.4][: manifold.point_shape[0]]).double())
    _, v = torch.func.jvp(lambda w: manifold.expmap(x, w), (torch.zeros_like(u),), (u,))
    assert torch.allclose(u, v, rtol=1e-14, atol=1e-14)


def test_wrapped_normal_has_the_radii_of_its_tangent_gaussian():
    """E d^2 = n std^2; the z of the mean of 4000, of variance 2 n std^4."""
    generator = torch.Generator().manual_seed(2)
    for manifold in (Lorentz(2), PoincareBall(2)):
        x = manifold.projx(0.3 * torch.ones(4000, manifold.point_shape[0], dtype=torch.float64))
        d = manifold.dist(x, manifold.random_normal(x, 0.7, generator))
        z = (d.square().mean() / 0.49 - 2) / (4 / 4000) ** 0.5
        assert abs(z) < 4.5


def test_bad_points_are_named():
    with pytest.raises(ValueError, match=r"Lorentz\(n\) with an integer n >= 1, got n = 0"):
        Lorentz(0)
    with pytest.raises(ValueError, match=r"PoincareBall\(2\).*got 1\.5 at index \(1,\).*projx"):
        PoincareBall(2).check_point(torch.tensor([[0.0, 0.5], [0.0, 1.5]]))
    with pytest.raises(ValueError, match=r"Lorentz\(1\).*index \(0,\).*projx"):
        Lorentz(1).check_point(torch.tensor([[2.0, 0.0], [1.0, 0.0]]))
    for manifold in (Lorentz(2), PoincareBall(2)):
        with pytest.raises(ValueError, match="finite volume"):
            manifold.random_uniform(3)
