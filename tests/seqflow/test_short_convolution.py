"""Short convolutions: sums of neighbours by weights of their own."""

import pytest
import torch

from seqflow.networks.short_convolution import ShortConvolution


def layer(kernel_size, *, causal=False, dtype=torch.float64):
    torch.manual_seed(0)
    made = ShortConvolution(3, kernel_size, causal=causal)
    torch.nn.init.normal_(made.weight)
    return made.to(dtype)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel_size", [1, 2, 5, 12])
def test_it_is_the_weighted_sum_of_neighbours(kernel_size, causal):
    made, h = layer(kernel_size, causal=causal), torch.randn(2, 6, 3, dtype=torch.float64)
    first = -(kernel_size - 1) if causal else -(kernel_size // 2)
    expected = torch.zeros_like(h)
    for position in range(6):
        for tap in range(kernel_size):
            place = position + first + tap
            if 0 <= place < 6:
                expected[:, position] += made.weight[:, 0, tap] * h[:, place]
    torch.testing.assert_close(made(h), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(0, 4), (2, 0), (1, 1), (2, 5)])
def test_any_shape(shape, dtype):
    h = torch.randn(*shape, 3, dtype=dtype, requires_grad=True)
    made = layer(5, dtype=dtype)
    made(h).square().sum().backward()
    assert made(h).shape == h.shape
    assert h.grad.isfinite().all()
    assert made.weight.grad is None or made.weight.grad.isfinite().all()


def test_a_fresh_one_adds_nothing():
    assert not ShortConvolution(3, 5)(torch.randn(2, 4, 3)).any()


def test_no_positions_are_refused():
    with pytest.raises(ValueError, match="at least one position, got 0"):
        ShortConvolution(3, 0)
