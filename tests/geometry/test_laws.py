"""Every law of a manifold, over the one list of conftest.py and both dtypes.

Points are compared by their distance and vectors by the norm of their difference, always at the
worst example; ``case.tolerance`` says how many roundings are allowed.
"""

import math

import pytest
import torch

BATCH = 64


def pairs(case, dtype):
    x = case.points(BATCH, dtype=dtype, seed=1)
    y = case.points(BATCH, dtype=dtype, seed=2)
    t = torch.rand(BATCH, generator=torch.Generator().manual_seed(3), dtype=dtype)
    return x, y, t


def tangents(case, x, seed):
    return case.manifold.logmap(x, case.points(BATCH, dtype=x.dtype, seed=seed))


def scaled(case, t, u):
    return t.reshape(t.shape + (1,) * len(case.manifold.tangent_shape)) * u


def gap(case, x, u, v):
    """Largest |u - v|_x."""
    return case.manifold.norm(x, u - v).max().item()


def test_exp_inverts_log(case, dtype):
    m, (x, y, _) = case.manifold, pairs(case, dtype)
    assert m.dist(m.expmap(x, m.logmap(x, y)), y).max() < case.tolerance(dtype)


def test_log_inverts_exp(case, dtype):
    m, (x, _, t) = case.manifold, pairs(case, dtype)
    u = scaled(case, t, tangents(case, x, 4))
    assert gap(case, x, m.logmap(x, m.expmap(x, u)), u) < case.tolerance(dtype)


def test_log_is_as_long_as_dist(case, dtype):
    m, (x, y, _) = case.manifold, pairs(case, dtype)
    error = m.norm(x, m.logmap(x, y)) - m.dist(x, y)
    assert error.abs().max() < case.tolerance(dtype)


def test_points_and_velocities_pass_their_checks(case, dtype):
    m, (x, y, t) = case.manifold, pairs(case, dtype)
    x_t, u_t = m.interpolant(x, y, t)
    m.check_point(x_t)
    m.check_point(m.expmap(x, m.logmap(x, y)))
    m.check_tangent(x_t, u_t)
    m.check_tangent(x, m.logmap(x, y))
    m.check_tangent(y, m.transp(x, y, m.logmap(x, y)))


def test_velocity_is_tangent(case, dtype):
    m, (x, y, t) = case.manifold, pairs(case, dtype)
    x_t, u_t = m.interpolant(x, y, t)
    assert gap(case, x_t, m.proju(x_t, u_t), u_t) < case.tolerance(dtype)


def test_speed_is_constant(case, dtype):
    m, (x, y, t) = case.manifold, pairs(case, dtype)
    x_t, u_t = m.interpolant(x, y, t)
    assert (m.norm(x_t, u_t) - m.dist(x, y)).abs().max() < case.tolerance(dtype)


def test_interpolant_ends(case, dtype):
    m, (x, y, t) = case.manifold, pairs(case, dtype)
    tolerance = case.tolerance(dtype)
    start, u_0 = m.interpolant(x, y, torch.zeros_like(t))
    end, u_1 = m.interpolant(x, y, torch.ones_like(t))
    assert m.dist(start, x).max() < tolerance
    assert m.dist(end, y).max() < tolerance
    assert gap(case, x, u_0, m.logmap(x, y)) < tolerance
    assert gap(case, y, u_1, -m.logmap(y, x)) < tolerance


def test_interpolant_is_the_exponential_of_the_scaled_log(case, dtype):
    m, (x, y, t) = case.manifold, pairs(case, dtype)
    direct = m.expmap(x, scaled(case, t, m.logmap(x, y)))
    assert m.dist(m.geodesic(x, y, t), direct).max() < case.tolerance(dtype)


def test_reversal(case, dtype):
    m, (x, y, t) = case.manifold, pairs(case, dtype)
    x_t, u_t = m.interpolant(x, y, t)
    back, v_t = m.interpolant(y, x, 1 - t)
    assert m.dist(x_t, back).max() < case.tolerance(dtype)
    assert gap(case, x_t, u_t, -v_t) < case.tolerance(dtype)


def test_velocity_by_forward_mode(case, dtype):
    m, (x, y, t) = case.manifold, pairs(case, dtype)
    x_t, u_t = m.interpolant(x, y, t)
    _, derivative = torch.func.jvp(lambda s: m.geodesic(x, y, s), (t,), (torch.ones_like(t),))
    error = ambient_velocity(case, x_t, u_t) - derivative
    assert error.abs().max() < case.tolerance(dtype)


def test_velocity_by_finite_difference(case):
    m, (x, y, t) = case.manifold, pairs(case, torch.float64)
    t, h = 0.1 + 0.8 * t, 1e-5
    x_t, u_t = m.interpolant(x, y, t)
    # On the manifold, so that angles may wrap: the error is h^2 times a third derivative.
    forward = m.logmap(x_t, m.geodesic(x, y, t + h))
    back = m.logmap(x_t, m.geodesic(x, y, t - h))
    assert gap(case, x_t, (forward - back) / (2 * h), u_t) < 1e-8 * case.slack


def ambient_velocity(case, x, u):
    """dx/dt in the ambient space, by the derivative of exp where vectors live elsewhere."""
    m = case.manifold
    if m.tangent_shape == m.point_shape:
        return u
    return torch.func.jvp(lambda v: m.expmap(x, v), (torch.zeros_like(u),), (u,))[1]


def test_dist_is_a_metric(case, dtype):
    m, (x, y, _) = case.manifold, pairs(case, dtype)
    z, tolerance = case.points(BATCH, dtype=dtype, seed=7), case.tolerance(dtype)
    assert (m.dist(x, y) - m.dist(y, x)).abs().max() < tolerance
    assert (m.dist(x, x) == 0).all()
    assert (m.dist(x, y) >= 0).all()
    assert (m.dist(x, z) - m.dist(x, y) - m.dist(y, z)).max() < tolerance


def test_dist_is_precise_for_near_points(case, dtype):
    m, (x, _, _) = case.manifold, pairs(case, dtype)
    u = tangents(case, x, 8)
    u = u / m.norm(x, u).reshape((-1,) + (1,) * len(m.tangent_shape))
    for r in (1e-2, 1e-4):
        near = m.expmap(x, r * u)
        # The rounding of the points themselves, eps, is all that may show.
        assert (m.dist(x, near) - r).abs().max() < case.tolerance(dtype)


def test_transport_is_an_isometry(case, dtype):
    m, (x, y, _) = case.manifold, pairs(case, dtype)
    u, v = tangents(case, x, 8), tangents(case, x, 9)
    there = m.inner(y, m.transp(x, y, u), m.transp(x, y, v))
    error = (there - m.inner(x, u, v)).abs() / (1 + m.norm(x, u) * m.norm(x, v))
    assert error.max() < case.tolerance(dtype)
    assert gap(case, x, m.transp(y, x, m.transp(x, y, u)), u) < 4 * case.tolerance(dtype)


def test_transport_turns_the_log(case, dtype):
    m, (x, y, _) = case.manifold, pairs(case, dtype)
    carried = m.transp(x, y, m.logmap(x, y))
    assert gap(case, y, carried, -m.logmap(y, x)) < case.tolerance(dtype)


def test_projections_are_idempotent(case, dtype):
    m, (x, _, _) = case.manifold, pairs(case, dtype)
    generator = torch.Generator().manual_seed(10)
    off = x + 0.1 * torch.randn(x.shape, generator=generator, dtype=dtype)
    once = m.projx(off)
    m.check_point(once)
    assert m.dist(m.projx(once), once).max() < case.tolerance(dtype)
    u = tangents(case, x, 8)
    assert gap(case, x, m.proju(x, u), u) < case.tolerance(dtype)
    bent = u + 0.1 * torch.randn(u.shape, generator=generator, dtype=dtype)
    flat = m.proju(x, bent)
    m.check_tangent(x, flat)
    relative = m.norm(x, m.proju(x, flat) - flat) / (1 + m.norm(x, flat))
    assert relative.max() < case.tolerance(dtype)


def test_proju_is_self_adjoint(case, dtype):
    if not case.extends:
        pytest.skip("inner is for tangent vectors only")
    m, (x, _, _) = case.manifold, pairs(case, dtype)
    u, v = tangents(case, x, 8), tangents(case, x, 9)
    generator = torch.Generator().manual_seed(10)
    bent = u + x.new_tensor(0.1) * torch.randn(u.shape, generator=generator, dtype=dtype)
    error = m.inner(x, m.proju(x, bent), v) - m.inner(x, bent, v)
    assert (error.abs() / (1 + m.norm(x, bent) * m.norm(x, v))).max() < case.tolerance(dtype)


def test_uniform_points_fill_small_balls(uniform_case):
    """Share of points within r of a centre against exp(log_uniform) times the ball's volume.

    The statistic is the binomial z of the count, |z| < 4.5, after an allowance of r^2/4 for the
    curvature (a scalar curvature of at most 6 changes the volume by 6 r^2 / 6(n + 2)).
    """
    m, n, r, count = uniform_case.manifold, uniform_case.manifold.dim, 0.25, 100_000
    generator = torch.Generator().manual_seed(11)
    x = m.random_uniform(count, generator=generator, dtype=torch.float64)
    centre = x[0] if uniform_case.centre is None else uniform_case.centre(torch.float64)
    ball = math.pi ** (n / 2) / math.gamma(n / 2 + 1) * r**n
    expected = math.exp(m.log_uniform()) * ball * count
    found = (m.dist(centre, x) < r).sum().item()
    assert abs(found - expected) < 4.5 * math.sqrt(expected) + 0.25 * r**2 * expected


def test_infinite_volume_has_no_uniform_law(infinite_case):
    with pytest.raises(ValueError, match="finite volume"):
        infinite_case.manifold.log_uniform()
    with pytest.raises(ValueError, match="finite volume"):
        infinite_case.manifold.random_uniform(2)


def test_normal_points(case, dtype):
    """E d(x, exp_x xi)^2 = dim std^2 for a narrow law; z of the mean below 5."""
    m, x = case.manifold, case.points(dtype=dtype, seed=12)
    # A narrow law stays inside the boundary of a simplex.
    std, count = 1e-3, 4000
    many = x.expand(count, *m.point_shape)
    generator = torch.Generator().manual_seed(13)
    y = m.random_normal(many, std, generator)
    assert y.dtype == dtype
    ratio = (m.dist(many, y) / std).square().double()
    z = (ratio.mean() - m.dim) / math.sqrt(2 * m.dim / count)
    assert abs(z) < 5
    wide = m.random_normal(many[:2], torch.tensor([0.1, 0.2], dtype=dtype), generator)
    m.check_point(wide)


def test_broadcasting_and_shapes(case, dtype):
    m = case.manifold
    x = case.points(3, 1, dtype=dtype, seed=14)
    y = case.points(4, dtype=dtype, seed=15)
    t = torch.rand(5, 1, 1, dtype=dtype)
    x_t, u_t = m.interpolant(x, y, t)
    assert x_t.shape == (5, 3, 4, *m.point_shape)
    assert u_t.shape == (5, 3, 4, *m.tangent_shape)
    one, _ = m.interpolant(x[2, 0], y[1], t[4, 0, 0])
    assert torch.allclose(one, x_t[4, 2, 1], rtol=0, atol=case.tolerance(dtype))
    u = m.logmap(x, y)
    assert u.shape == (3, 4, *m.tangent_shape)
    assert m.dist(x, y).shape == m.norm(x, u).shape == (3, 4)
    assert m.transp(x, y, u).shape == u.shape
    assert m.expmap(x, u).shape == (3, 4, *m.point_shape)


@pytest.mark.parametrize("batch", [(), (0,), (2, 0)], ids=str)
def test_single_and_empty_batches(case, dtype, batch):
    m = case.manifold
    x, y = (case.points(*batch, dtype=dtype, seed=seed) for seed in (16, 17))
    x_t, u_t = m.interpolant(x, y, torch.full(batch, 0.5, dtype=dtype))
    assert (x_t.shape, u_t.shape) == ((*batch, *m.point_shape), (*batch, *m.tangent_shape))
    u = m.logmap(x, y)
    assert m.dist(x, y).shape == m.inner(x, u, u).shape == batch
    m.check_point(m.projx(m.expmap(x, m.transp(y, x, m.logmap(y, x)))))
    m.check_tangent(x, m.proju(x, u))


def everything(m, x, y, t):
    """All maps at once."""
    x_t, u_t = m.interpolant(x, y, t)
    u = m.logmap(x, y)
    return (
        x_t,
        u_t,
        u,
        m.expmap(x, u),
        m.dist(x, y),
        m.norm(x, u),
        m.transp(x, y, u),
        m.projx(x),
        m.proju(x, u),
    )


def test_dtype_is_kept(case, dtype):
    x, y, t = pairs(case, dtype)
    assert {a.dtype for a in everything(case.manifold, x, y, t)} == {dtype}


def test_vmap_agrees(case):
    x, y, t = pairs(case, torch.float64)
    together = everything(case.manifold, x, y, t)
    apart = torch.func.vmap(lambda *a: everything(case.manifold, *a))(x, y, t)
    for a, b in zip(together, apart, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=case.tolerance(torch.float64))


def test_compiles_to_one_graph(case):
    x, y, t = pairs(case, torch.float32)
    torch.compiler.reset()
    compiled = torch.compile(everything, fullgraph=True, backend="eager")
    for a, b in zip(
        everything(case.manifold, x, y, t), compiled(case.manifold, x, y, t), strict=True
    ):
        assert torch.equal(a, b)


def test_values_and_gradients_are_finite_at_awkward_points(case, dtype):
    """Of the sum of all maps and of their squares: one NaN anywhere would show."""
    for name, x, y in case.awkward(dtype):
        batch = x.shape[: x.ndim - len(case.manifold.point_shape)]
        for t in (0.0, 0.5, 1.0):
            inputs = [z.detach().clone().requires_grad_() for z in (x, y)]
            inputs.append(torch.full(batch, t, dtype=dtype, requires_grad=True))
            outputs = everything(case.manifold, *inputs)
            assert all(out.isfinite().all() for out in outputs), (name, t)
            total = sum(out.sum() + out.square().sum() for out in outputs)
            grads = torch.autograd.grad(total, inputs, create_graph=case.smooth)
            assert all(grad.isfinite().all() for grad in grads), (name, t)
            if case.smooth:
                again = torch.autograd.grad(sum(g.square().sum() for g in grads), inputs)
                assert all(grad.isfinite().all() for grad in again), ("second", name, t)


def test_ends_hold_at_awkward_points(case, dtype):
    m, tolerance = case.manifold, case.tolerance(dtype)
    for name, x, y in case.awkward(dtype):
        batch = x.shape[: x.ndim - len(m.point_shape)]
        distance = m.dist(x, y)
        for t, end in ((0.0, x), (1.0, y)):
            x_t, u_t = m.interpolant(x, y, torch.full(batch, t, dtype=dtype))
            assert m.dist(x_t, end).max() < tolerance, (name, t)
        x_t, u_t = m.interpolant(x, y, torch.full(batch, 0.3, dtype=dtype))
        m.check_point(x_t)
        assert (m.norm(x_t, u_t) - distance).abs().max() < tolerance, name
        assert (m.dist(x, x_t) - 0.3 * distance).abs().max() < tolerance, name


def test_gradients_in_both_precisions_agree(case):
    """float32 gradients of a scalar of (x_t, u_t) against float64, from the same inputs."""
    for name, x, y in case.awkward(torch.float32):
        if "locus" in name or "from it" in name or "edge" in name:
            continue
        grads = []
        for dtype in (torch.float32, torch.float64):
            a, b = (z.to(dtype).detach().requires_grad_() for z in (x, y))
            t = torch.full((3,), 0.3, dtype=dtype)
            x_t, u_t = case.manifold.interpolant(a, b, t)
            weights = torch.linspace(-1, 1, x_t.numel(), dtype=dtype).reshape(x_t.shape)
            slopes = torch.linspace(1, -1, u_t.numel(), dtype=dtype).reshape(u_t.shape)
            loss = (weights * x_t).sum() + (slopes * u_t).sum()
            grads.append(torch.cat([g.double() for g in torch.autograd.grad(loss, (a, b))], -1))
        scale = 1 + grads[1].abs().max()
        error = (grads[0] - grads[1]).abs().max() / scale
        assert error < case.tolerance(torch.float32), (name, error)


def test_bad_input_is_refused(case):
    m = case.manifold
    x = case.points(2, dtype=torch.float32, seed=18)
    u = m.logmap(x, x.flip(0))
    name = repr(m).split("(")[0]
    with pytest.raises(ValueError, match=f"{name}.*floating-point tensor, got torch.int64"):
        m.check_point(x.long())
    with pytest.raises(ValueError, match=f"{name}.*float32 and torch.float64"):
        m.check_tangent(x, u.double())
    with pytest.raises(ValueError, match=name):
        m.check_point(torch.full_like(x, float("nan")))
    with pytest.raises(ValueError, match=name):
        m.check_tangent(x, torch.full_like(u, float("nan")))
    if m.point_shape:
        with pytest.raises(ValueError, match=rf"{name}.*got shape \(2,"):
            m.check_point(torch.cat((x, x), -1))
        with pytest.raises(ValueError, match=rf"{name}.*got shape \(2,"):
            m.check_tangent(x, torch.cat((u, u), -1))
        with pytest.raises(ValueError, match="batch dimensions"):
            m.check_tangent(x, torch.cat((u, u[:1])))


def test_values_are_hashable_and_print_as_written(case):
    assert hash(case.manifold) == hash(case.manifold)
    assert repr(case.manifold).startswith(type(case.manifold).__name__ + "(")
