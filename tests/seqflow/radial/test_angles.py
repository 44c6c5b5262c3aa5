"""theta and theta/sin theta against their closed forms, with gradients, at both ends."""

import math

import pytest
import torch

from seqflow.radial.angles import angle_ratio, half_angle_and_ratio

every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@every_dtype
def test_values_are_right_to_rounding(dtype):
    # Up to 3: nearer to pi the rounding of S is magnified without bound.
    theta = torch.logspace(-6, math.log10(3.0), 400, dtype=torch.float64)
    S = (theta / 2).sin().square()
    half, ratio = half_angle_and_ratio(S.to(dtype))
    eps = torch.finfo(dtype).eps
    assert half.dtype == ratio.dtype == dtype
    # df/dS S/f is at most 1/(1 - S), which is 200 at 3.
    assert ((ratio.double() * theta.sin() / theta - 1).abs() < 200 * eps).all()
    assert ((half.double() - theta / 2).abs() < 200 * eps * theta).all()


@every_dtype
def test_gradients_are_right(dtype):
    S = torch.tensor([1e-3, 0.02, 0.3, 0.9], dtype=dtype, requires_grad=True)
    half, ratio = half_angle_and_ratio(S)
    (of_half,) = torch.autograd.grad(half.sum(), S, retain_graph=True)
    (of_ratio,) = torch.autograd.grad(ratio.sum(), S)
    wide = S.detach().double()
    f = angle_ratio(wide)
    exact = (1 - f * (1 - 2 * wide)) / (2 * wide * (1 - wide))
    tolerance = 4 * torch.finfo(dtype).eps / 1e-3
    torch.testing.assert_close(of_ratio.double(), exact, rtol=tolerance, atol=0)
    exact = 0.5 / (wide * (1 - wide)).sqrt()
    torch.testing.assert_close(of_half.double(), exact, rtol=tolerance, atol=0)


@every_dtype
def test_the_ends_are_finite_and_a_rounding_outside_is_forgiven(dtype):
    eps = torch.finfo(dtype).eps
    S = torch.tensor([-eps, 0.0, 1.0, 1 + eps], dtype=dtype, requires_grad=True)
    half, ratio = half_angle_and_ratio(S)
    assert (ratio[:2] - 1).abs().max() <= eps
    assert (ratio[2:] > 1 / math.sqrt(eps)).all()
    torch.testing.assert_close(half[2:], half.new_full((2,), math.pi / 2), rtol=1e-3, atol=0)
    for value in (half, ratio):
        (gradient,) = torch.autograd.grad(value.sum(), S, retain_graph=True)
        assert gradient.isfinite().all()
