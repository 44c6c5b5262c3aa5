"""Angles: wrapping at the ends of the interval, the shorter arc, and its uniform law."""

import math

import pytest
import torch

from geometry import FlatTorus
from geometry.torus import shortest, wrap


def test_wrap_never_leaves_the_interval(dtype):
    """Numbers next to multiples of 2 pi, where floor and remainder return 2 pi or less than 0."""
    turns = torch.arange(-50, 51, dtype=torch.float64) * 2 * math.pi
    x = turns.to(dtype)
    for _ in range(4):
        x = torch.cat(
            (x, x.nextafter(x.new_tensor(math.inf)), x.nextafter(-x.new_tensor(math.inf)))
        )
    x = torch.cat((x, torch.tensor([-1e-9, -1e-30, 1e-30, -0.0], dtype=dtype)))
    y = wrap(x)
    assert ((y >= 0) & (y.double() < 2 * math.pi)).all()
    # The same point of the circle, to the rounding of x.
    miss = shortest(y.double() - x.double()).abs()
    assert (miss <= 2 * torch.finfo(dtype).eps * (x.double().abs() + 2 * math.pi)).all()


def test_wrap_has_gradient_one():
    x = torch.tensor([-1e-9, 7.0, 2 * math.pi, -20.0], requires_grad=True)
    wrap(x).sum().backward()
    assert (x.grad == 1).all()


def test_the_shorter_arc_across_zero():
    m = FlatTorus(2)
    x, y = torch.tensor([6.0, 1.0]), torch.tensor([0.5, 5.0])
    expected = torch.tensor([0.5 + 2 * math.pi - 6, 4 - 2 * math.pi])
    assert torch.allclose(m.logmap(x, y), expected, rtol=0, atol=1e-6)
    x_t, u_t = m.interpolant(x, y, torch.tensor(0.75))
    assert torch.equal(u_t, m.logmap(x, y))
    assert m.dist(m.projx(x + 0.75 * expected), x_t) < 1e-6


def test_across_zero_to_the_rounding_of_the_angles():
    generator = torch.Generator().manual_seed(1)
    x, y = (2 * math.pi * torch.rand(2, 1000, 3, generator=generator)).unbind()
    exact = FlatTorus(3).logmap(x.double(), y.double())
    assert (FlatTorus(3).logmap(x, y) - exact).abs().max() < 4 * torch.finfo(torch.float32).eps


def test_half_a_turn_has_opposite_logs():
    m, x, y = FlatTorus(1), torch.tensor([0.0]), torch.tensor([math.pi])
    assert torch.equal(m.logmap(x, y), -m.logmap(y, x))
    assert m.dist(x, y) == torch.tensor(math.pi)


def test_uniform_characters():
    """E exp(i k.x) = 0 for all |k_j| <= 2 but k = 0: z of real and imaginary part below 5."""
    count = 50_000
    x = FlatTorus(2).random_uniform(count, generator=torch.Generator().manual_seed(2))
    for a in range(-2, 3):
        for b in range(-2, 3):
            if (a, b) != (0, 0):
                phase = x.double() @ torch.tensor([a, b], dtype=torch.float64)
                z = torch.stack((phase.cos(), phase.sin())).mean(-1) * math.sqrt(2 * count)
                assert z.abs().max() < 5


def test_messages():
    with pytest.raises(ValueError, match="integer n >= 1, got n = -3"):
        FlatTorus(-3)
    with pytest.raises(
        ValueError,
        match=r"\|floor\(x / 2 pi\)\| = 0 .* = 1 at index \(1,\); wrap",
    ):
        FlatTorus(2).check_point(torch.tensor([[0.0, 1], [1, 7]]))
    with pytest.raises(ValueError, match=r"finite numbers, got inf at index \(0,\)"):
        FlatTorus(1).check_tangent(torch.zeros(2, 1), torch.tensor([[math.inf], [0]]))
