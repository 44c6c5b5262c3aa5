"""What is particular to metric paths: the kernel, its limit, the distances, refusals."""

import pytest
import torch

from seqflow.discrete.distances import (
    check_distance,
    substitution_distance,
    transition_transversion,
    uniform_distance,
)
from seqflow.discrete.metric_path import MetricFlow
from seqflow.process import CategoricalProcess, Tiltable

CONFORMS: CategoricalProcess = MetricFlow(uniform_distance(3))
TILTS: Tiltable = MetricFlow(uniform_distance(3))
LINE = tuple(tuple(float(abs(i - j)) for j in range(6)) for i in range(6))
PROCESSES = [MetricFlow(transition_transversion(0.5)), MetricFlow(LINE, 3.0, 0.9)]
PROCESSES += [MetricFlow(uniform_distance(5), power=2.0)]
every_process = pytest.mark.parametrize("process", PROCESSES, ids=repr)


def kernels(process, s, t):
    """q(x | z, x_1) by x_1, z, x, ``(K, K, K)``."""
    K = process.num_classes
    states = torch.arange(K)[None]
    s, t = (torch.tensor([value], dtype=torch.float64) for value in (s, t))
    each = []
    for token in range(K):
        logits = torch.full((1, K, K), -1e3, dtype=torch.float64)
        logits[..., token] = 0
        each.append(process.log_kernel(states, logits, s, t - s)[0].exp())
    return torch.stack(each)


@every_process
@pytest.mark.parametrize(("s", "t"), [(0.0, 0.1), (0.2, 0.3), (0.1, 0.9), (0.5, 1.0), (0.0, 1.0)])
def test_the_kernel_carries_the_path_and_only_towards_the_datum(process, s, t):
    """sum_z p_s(z | x_1) q(x | z, x_1) = p_t(x | x_1), to rounding, for a step of any size."""
    time = torch.tensor([s, t], dtype=torch.float64)
    before, after = process.log_path(time).exp()
    q = kernels(process, s, t)
    carried = (before[:, :, None] * q).sum(1)
    torch.testing.assert_close(carried, after, rtol=0, atol=1e-12)
    d = torch.tensor(process.distance, dtype=torch.float64)
    away = d[:, None, :] > d[:, :, None]  # by x_1, z, x: x is farther than z
    assert (q[away] < 1e-300).all()


@every_process
def test_short_steps_have_the_kinetic_optimal_rates(process):
    """q/dt to p_t(x) beta' [d(z, x_1) - d(x, x_1)]_+, with an error of order dt."""
    t, dt = 0.4, 1e-6
    q = kernels(process, t, t + dt)
    time = torch.tensor([t], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(process.beta(time).sum(), time)
    d = torch.tensor(process.distance, dtype=torch.float64)
    d = d / (d.sum() / (len(d) * (len(d) - 1)))
    law = process.log_path(time.detach())[0].exp()
    rates = law[:, None, :] * slope * (d[:, :, None] - d[:, None, :]).clamp_min(0)
    off = ~torch.eye(len(d), dtype=torch.bool)
    off = off.expand(len(d), -1, -1)
    torch.testing.assert_close(q[off] / dt, rates[off], rtol=1e-4, atol=1e-6)


@every_process
def test_path_kl_is_that_of_the_rates(process):
    """Against sum over x of u' - u + u log(u/u'), u from short steps, for one position."""
    K, t, dt = process.num_classes, 0.4, 1e-7
    u = kernels(process, t, t + dt) / dt
    p = torch.randn(K, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(-1)
    model = torch.einsum("i,izx->zx", p, u)
    for z in range(K):
        keep = torch.arange(K) != z
        for x_1 in range(K):
            true, mean = u[x_1, z][keep], model[z][keep]
            expected = (mean - true + torch.special.xlogy(true, true / mean)).sum()
            actual = process.path_kl(
                p.log()[None, None],
                torch.tensor([[x_1]]),
                torch.tensor([[z]]),
                torch.tensor([t], dtype=torch.float64),
            )
            torch.testing.assert_close(actual[0], expected, rtol=1e-4, atol=1e-6)


def test_the_default_strength_meets_the_uniform_path_half_way():
    process = MetricFlow(uniform_distance(7))
    half = process.log_path(torch.tensor([0.5], dtype=torch.float64))[0].exp()
    expected = 0.5 * torch.eye(7, dtype=torch.float64) + 0.5 / 7
    torch.testing.assert_close(half, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_the_ends_of_the_path(dtype, power):
    process = MetricFlow(LINE, power=power)
    start, end = process.log_path(torch.tensor([0.0, 1.0], dtype=dtype)).exp()
    torch.testing.assert_close(start, torch.full_like(start, 1 / 6))
    assert torch.equal(end, torch.eye(6, dtype=dtype))


def test_transitions_are_nearer_than_transversions():
    d = transition_transversion(0.25)
    check_distance(d)
    assert d[0][2] == d[1][3] == 0.25  # A-G and C-T
    assert d[0][1] == d[0][3] == d[2][1] == d[2][3] == 1.0


def test_a_substitution_matrix_makes_a_distance():
    """The shape of BLOSUM62 for I, L, V, D: the aliphatic ones are near each other."""
    d = substitution_distance([[4, 2, 3, -3], [2, 4, 1, -4], [3, 1, 4, -3], [-3, -4, -3, 6]])
    assert d[0][1] == 2
    assert d[0][3] == 8
    process = MetricFlow(d)
    p = process.evidence(torch.tensor([[0]]), torch.tensor([0.5])).softmax(-1)[0, 0]
    assert p[0] > p[2] > p[1] > p[3]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (((0.0, 1.0), (2.0, 0.0)), r"symmetric distance, got d\[0, 1\] = 1.0 but d\[1, 0\] = 2.0"),
        (((0.0, 1.0), (1.0, 0.5)), r"zeros on the diagonal, got d\[1, 1\] = 0.5"),
        (((0.0, 0.0), (0.0, 0.0)), r"positive distances off the diagonal, got d\[0, 1\] = 0.0"),
        (((0.0, -1.0), (-1.0, 0.0)), r"positive distances off the diagonal, got d\[0, 1\] = -1.0"),
        (((0.0, float("inf")), (float("inf"), 0.0)), "positive distances off the diagonal"),
        (((0.0, 1.0),), r"square matrix of at least 2 x 2, got 1 rows of \[2\]"),
        (((0.0,),), "at least 2 x 2"),
    ],
)
def test_what_is_no_distance_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        MetricFlow(matrix)


def test_bad_parameters():
    for name in ("strength", "power"):
        with pytest.raises(ValueError, match=f"positive {name}, got 0.0"):
            MetricFlow(uniform_distance(2), **{name: 0.0})
        with pytest.raises(ValueError, match=f"positive {name}, got inf"):
            MetricFlow(uniform_distance(2), **{name: float("inf")})
    with pytest.raises(ValueError, match="positive ratio, got 0"):
        transition_transversion(0)


def test_bad_input():
    process, t = MetricFlow(uniform_distance(4)), torch.full((1,), 0.5)
    with pytest.raises(ValueError, match=r"clean tokens in 0..3, got 4"):
        process.corrupt(torch.tensor([[4]]), t)
    with pytest.raises(ValueError, match=r"noise tokens of shape \(1, 1\), got \(1, 2\)"):
        process.corrupt(torch.tensor([[1]]), t, torch.tensor([[1, 2]]))
    with pytest.raises(ValueError, match=r"logits of shape \(1, 1, 4\), got \(1, 1, 3\)"):
        process.step(torch.tensor([[1]]), torch.zeros(1, 1, 3), t, t)
