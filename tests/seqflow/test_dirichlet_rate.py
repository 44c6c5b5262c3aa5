"""The rate of the Dirichlet path against mpmath, at its corners, and its flow map."""

import mpmath
import numpy as np
import pytest
import scipy.special
import torch

from seqflow.dirichlet_rate import dirichlet_rate, distance_left, logit_speed

CLASSES = [2, 3, 4, 20, 160, 1000]
DTYPES = [torch.float32, torch.float64]
TIMES = [1e-3, 0.3, 1.0, 7.0, 30.0]
POINTS = [1e-30, 1e-12, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.25, 0.5]
POINTS += [0.75, 0.9, 0.99, 0.9999, 1 - 1e-6, 1 - 1e-7, 1.0]
# 40 digits: the first term of the recursion loses none, the worst point needs y = 1 - 1e-30.
DIGITS = 40


def exact_rate(x: float, s: float, num_classes: int) -> float:
    """C = z sum_j w_j l_{n-j}, l_r(y) = sum_m y^m/(m + r), by recursion downwards in r."""
    n = num_classes - 1
    with mpmath.workdps(DIGITS):
        z, a = mpmath.mpf(x), 1 + mpmath.mpf(s)
        y = 1 - z
        weights = [1 / (a + n - 1)]
        for j in range(n - 2, -1, -1):
            weights.append(weights[-1] * (j + 1) / (a + j))
        lerch = mpmath.hyp2f1(1, n, n + 1, y) / n
        total = weights[-1] * lerch
        for r in range(n - 1, 0, -1):
            lerch = mpmath.mpf(1) / r + y * lerch
            total += weights[r - 1] * lerch
        return float(z * total)


@pytest.fixture(scope="module", params=CLASSES)
def reference(request):
    """The grid in float32 numbers, so that both dtypes can be held to the same values."""
    num_classes = request.param
    x = torch.tensor(POINTS, dtype=torch.float32)
    s = torch.tensor(TIMES, dtype=torch.float32)[:, None]
    rows = [[exact_rate(z, u, num_classes) for z in x.tolist()] for u in s.flatten().tolist()]
    return num_classes, x, s, torch.tensor(rows, dtype=torch.float64)


# float32: a few roundings of a sum of positive terms, and (3e-3)^2/2 of neglected tail.
# float64: the quadrature, whose nodes are counted for 1e-11; at K = 2 the tail adds 4e-12.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 3e-11)])
def test_rate_is_exact(reference, dtype, tolerance):
    num_classes, x, s, exact = reference
    rate = dirichlet_rate(x.to(dtype), s.to(dtype), num_classes)
    assert rate.dtype == dtype
    assert (rate.double() / exact - 1).abs().max() < tolerance


def test_reference_is_the_derivative_of_the_incomplete_beta():
    """The reference itself, against the definition by a derivative in a at 40 digits."""
    z, s, n = 0.3, 2.0, 3
    with mpmath.workdps(DIGITS):
        a = mpmath.mpf(1 + s)
        beta = lambda b: mpmath.betainc(b, n, 0, mpmath.mpf(z), regularized=True)  # noqa: E731
        density = mpmath.mpf(z) ** (a - 1) * (1 - mpmath.mpf(z)) ** n / mpmath.beta(a, n)
        expected = float(-mpmath.diff(beta, a) / density)
    assert exact_rate(z, s, n + 1) == pytest.approx(expected, rel=1e-14)


def test_large_vocabulary():
    """K = 32000 against the recursion, at two points where it takes long enough."""
    x, s = torch.tensor([1e-5, 0.5]), torch.tensor(7.0)
    exact = torch.tensor([exact_rate(z, 7.0, 32000) for z in x.tolist()])
    torch.testing.assert_close(dirichlet_rate(x, s, 32000), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_classes", CLASSES)
def test_limits_at_the_corners(num_classes, dtype):
    s = torch.tensor([0.0, 1.5, 30.0], dtype=dtype)
    rate = dirichlet_rate(torch.zeros(3, dtype=dtype), s, num_classes)
    assert torch.equal(rate, torch.zeros(3, dtype=dtype))
    n = num_classes - 1
    limit = (1 / (1 + s[:, None].double() + torch.arange(n))).sum(-1) / n
    rate = dirichlet_rate(torch.ones(3, dtype=dtype), s, num_classes)
    torch.testing.assert_close(rate, limit.to(dtype), rtol=2e-6, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_classes", [2, 4, 160])
def test_gradients_are_finite_everywhere(num_classes, dtype):
    tiny = torch.finfo(dtype).tiny
    points = [0.0, tiny / 8, tiny, 2 * tiny, 1e-30, 1e-20, 1e-8, 0.5, 1 - 1e-7, 1.0]
    x = torch.tensor(points, dtype=dtype, requires_grad=True)
    s = torch.tensor([[0.0], [1e-8], [30.0]], dtype=dtype, requires_grad=True)
    gradients = torch.autograd.grad(dirichlet_rate(x, s, num_classes).sum(), (x, s))
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("num_classes", [2, 4, 20])
def test_gradients_are_right(num_classes):
    x = torch.tensor([0.02, 0.5, 0.98, 1.0 - 1e-4], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([[0.5], [6.0]], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x, s: dirichlet_rate(x, s, num_classes), (x, s))


def test_time_broadcasts_as_any_tensor():
    x = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    s = torch.tensor([0.5, 2.0], dtype=torch.float64)[:, None, None]
    per_row = dirichlet_rate(x, s, 4)
    torch.testing.assert_close(dirichlet_rate(x, s.expand(2, 3, 4), 4), per_row)
    torch.testing.assert_close(dirichlet_rate(x[1], s[1, 0, 0], 4), per_row[1])


def test_rate_is_x_times_logit_speed_and_empty_is_empty():
    x, s = torch.tensor([0.2, 0.7]), torch.tensor(1.0)
    torch.testing.assert_close(dirichlet_rate(x, s, 5), x * logit_speed(x, s, 5))
    assert dirichlet_rate(torch.empty(0, 3, 5), torch.empty(0, 1, 1), 5).shape == (0, 3, 5)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="expected num_classes of at least 2, got 1"):
        dirichlet_rate(torch.tensor(0.5), torch.tensor(1.0), 1)


# The integrator's error at 16 steps of order four is 1e-6 of the logit; float32 rounds a
# logit of up to 70 sixteen times.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-5), (torch.float64, 3e-6)])
@pytest.mark.parametrize("num_classes", [2, 4, 20, 160])
def test_flow_map_keeps_the_quantile(num_classes, dtype, tolerance):
    n = num_classes - 1
    level = torch.tensor([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999], dtype=dtype)
    s = torch.tensor([[0.0], [1.0]], dtype=dtype)
    s_next = torch.tensor([[7.0], [12.0]], dtype=dtype)
    quantile = scipy.special.betaincinv
    z = torch.from_numpy(quantile(1 + s.double().numpy(), n, level.double().numpy())).to(dtype)
    left = distance_left(z, s, s_next, num_classes)
    # Compared by the level, for z has a wide density there that no tolerance on z would fit.
    moved = 1 - left.double() * (1 - z.double())
    reached = scipy.special.betainc(1 + s_next.double().numpy(), n, moved.numpy())
    before = scipy.special.betainc(1 + s.double().numpy(), n, z.double().numpy())
    np.testing.assert_allclose(reached, before, rtol=0, atol=tolerance)


def test_flow_map_at_the_corners():
    z = torch.tensor([0.0, 1.0], requires_grad=True)
    left = distance_left(z, torch.tensor(0.0), torch.tensor(7.0), 4)
    # Zero counts as 1e-38, whose quantile lies at (1e-38)^{1/8} by s = 7.
    assert 1 - 1e-4 < left[0] <= 1
    assert 0 <= left[1] <= 1
    assert torch.autograd.grad(left.sum(), z)[0].isfinite().all()
