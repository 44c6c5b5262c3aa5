"""What every distribution promises, over the list LAWS of conftest.py."""

import pytest
import torch

from geometry import SO3, FlatTorus, Sphere


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def parameter(distribution):
    base = getattr(distribution, "base", distribution)
    return base.mean if hasattr(base, "mean") else base.scale_tril[..., 0, :]


def awkward(distribution):
    """The mean, points within a rounding of it, and the other end of the manifold."""
    mean = parameter(distribution)
    manifold = distribution.manifold
    x = [mean, distribution.sample(generator=seeded())]
    if isinstance(manifold, FlatTorus):
        x += [manifold.projx(mean + torch.pi)]
    elif isinstance(manifold, Sphere):
        x += [-mean]
    elif isinstance(manifold, SO3):
        x += [-mean, mean.roll(1, -1), mean.roll(2, -1)]
    u = manifold.logmap(x[0], x[1])
    x += [manifold.expmap(mean, scale * u) for scale in (1e-3, 1e-7, 1e-12)]
    return torch.stack(x)


def test_draws_have_shape_and_dtype_and_are_on_the_manifold(law, dtype):
    distribution = law(dtype)
    shape = distribution.sample(generator=seeded()).shape
    x = distribution.sample(2, 100, generator=seeded())
    assert x.shape == (2, 100, *shape)
    assert x.dtype == dtype
    distribution.manifold.check_point(x)
    assert distribution.sample(0, generator=seeded()).shape == (0, *shape)
    assert distribution.log_prob(x).dtype == dtype
    event = len(distribution.manifold.point_shape)
    assert distribution.log_prob(x).shape == x.shape[: x.ndim - event]
    assert distribution.log_prob(x[:, :0]).numel() == 0


def test_equal_seeds_give_equal_draws(law, dtype):
    distribution = law(dtype)
    x = distribution.sample(5, generator=seeded(3))
    assert torch.equal(x, distribution.sample(5, generator=seeded(3)))
    assert not torch.equal(x, distribution.sample(5, generator=seeded(4)))


def test_float32_draws_are_rounded_float64_draws_of_the_same_law(law):
    """Not the same numbers, but the same density to float32 accuracy at the same point."""
    x = law(torch.float64).sample(20, generator=seeded())
    single = law(torch.float32).log_prob(x.float()).double()
    double = law(torch.float64).log_prob(x.float().double())
    # One rounding of a point moves log p by |grad log p| eps: up to 1e3 for kappa = 1e6.
    torch.testing.assert_close(single, double, rtol=1e-4, atol=2e-3)


def test_values_and_gradients_are_finite_at_awkward_points(law, dtype):
    distribution = law(dtype)
    x = awkward(distribution).detach().requires_grad_()
    log_p = distribution.log_prob(x)
    assert log_p.isfinite().all()
    (gradient,) = torch.autograd.grad(log_p.sum(), x)
    assert gradient.isfinite().all()


def test_the_gradient_in_the_parameter_is_finite(law, dtype):
    distribution = law(dtype)
    base = getattr(distribution, "base", distribution)
    name = "mean" if hasattr(base, "mean") else "scale_tril"
    value = getattr(base, name).clone().requires_grad_()
    object.__setattr__(base, name, value)
    points = awkward(distribution).detach()
    distribution.log_prob(points).sum().backward()
    assert value.grad.isfinite().all()
    value.grad = None
    distribution.sample(3, generator=seeded()).sum().backward()
    assert value.grad.isfinite().all()


def test_the_normalised_measure_is_the_uniform_law(law):
    distribution = law(torch.float64)
    x = distribution.sample(10, generator=seeded())
    try:
        log_uniform = distribution.manifold.log_uniform()
    except ValueError:
        with pytest.raises(ValueError, match="finite volume"):
            distribution.log_prob_normalised(x)
        return
    expected = distribution.log_prob(x) - log_uniform
    torch.testing.assert_close(distribution.log_prob_normalised(x), expected)


def test_vmap_and_repr(law):
    distribution = law(torch.float64)
    x = distribution.sample(6, generator=seeded())
    torch.testing.assert_close(torch.func.vmap(distribution.log_prob)(x), distribution.log_prob(x))
    assert "tensor(" not in repr(distribution)
    assert len(repr(distribution)) < 120
