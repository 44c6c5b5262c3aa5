"""What is particular to linear flow, and what the flows on the simplex share."""

import pytest
import scipy.stats
import torch

from seqflow.categorical import probabilities
from seqflow.process import CategoricalProcess, Tiltable
from seqflow.simplex import LinearFlow
from seqflow.simplex_state import draw_vertices, tilt_logits

CONFORMS: CategoricalProcess = LinearFlow(4)
TILTS: Tiltable = LinearFlow(4)
DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_steps_are_exact_whatever_their_size(dtype):
    process, generator = LinearFlow(5), torch.Generator().manual_seed(0)
    x_0 = process.sample_prior((2, 30), generator=generator, dtype=dtype)
    x_1 = torch.randint(5, (2, 30), generator=generator)
    logits = 1e3 * torch.eye(5, dtype=dtype)[x_1]
    x, t = x_0, torch.zeros(2, dtype=dtype)
    for part in (0.5, 0.1, 0.2):
        dt = torch.full((2,), part, dtype=dtype)
        x, t = process.step(x, logits, t, dt, generator=generator), t + dt
    expected, _ = process.corrupt(x_1, t, x_0)
    torch.testing.assert_close(x, expected, rtol=0, atol=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_evidence_is_the_support_and_forgives_rounding(dtype):
    process, generator = LinearFlow(20), torch.Generator().manual_seed(1)
    t = torch.rand(50, generator=generator, dtype=dtype)
    x_1 = torch.randint(20, (50, 40), generator=generator)
    x_t, _ = process.corrupt(x_1, t, generator=generator)
    evidence = process.evidence(x_t, t)
    assert (evidence.gather(-1, x_1[..., None]) == 0).all()
    impossible = x_t < t[:, None, None] - 1e-3
    assert (evidence[impossible] < -50).all()
    possible = (evidence == 0).sum(-1)
    assert (possible <= 1 / t[:, None] + 1e-3).all()


def test_where_nothing_is_possible_the_nearest_token_wins():
    x = torch.tensor([[[0.3, 0.2, 0.3001, 0.1999]]])
    p = LinearFlow(4).evidence(x, torch.tensor([0.6])).softmax(-1)
    torch.testing.assert_close(p, torch.tensor([[[0.0, 0.0, 1.0, 0.0]]]))


def test_velocity_is_the_derivative_of_the_path():
    process, generator = LinearFlow(4), torch.Generator().manual_seed(2)
    x_0 = process.sample_prior((1, 6), generator=generator, dtype=torch.float64)
    x_1 = torch.randint(4, (1, 6), generator=generator)
    t = torch.tensor([0.3], dtype=torch.float64)
    x_t, derivative = torch.func.jvp(
        lambda t: process.corrupt(x_1, t, x_0)[0], (t,), (torch.ones_like(t),)
    )
    logits = 1e3 * torch.eye(4, dtype=torch.float64)[x_1]
    torch.testing.assert_close(process.velocity(x_t, logits, t), derivative)


def test_tilt_adds_the_natural_gradient_to_the_velocity():
    process, generator = LinearFlow(4), torch.Generator().manual_seed(3)
    x = process.sample_prior((1, 6), generator=generator, dtype=torch.float64)
    logits = torch.randn(1, 6, 4, generator=generator, dtype=torch.float64)
    gradient = 1e-2 * torch.randn(1, 6, 4, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.3], dtype=torch.float64)
    tilted = process.tilt(logits, gradient, x, t)
    change = process.velocity(x, tilted, t) - process.velocity(x, logits, t)
    natural = x * (gradient - (x * gradient).sum(-1, keepdim=True))
    torch.testing.assert_close(change, natural)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="expected num_classes of at least 2, got 1"):
        LinearFlow(1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_the_softmax(dtype):
    logits = torch.tensor(
        [[0.0, 1.0, -2.0], [1e4, 0.0, -1e4], [0.0, -torch.inf, 0.0]], dtype=dtype
    ).requires_grad_()
    p = probabilities(logits)
    torch.testing.assert_close(p, logits.softmax(-1))
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=dtype)
    ours = torch.autograd.grad((weights * p).sum(), logits)[0]
    theirs = torch.autograd.grad((weights * logits.softmax(-1)).sum(), logits)[0]
    torch.testing.assert_close(ours, theirs)


def test_vertices_are_drawn_with_their_probabilities():
    p = torch.tensor([0.0, 0.1, 0.0, 0.6, 0.3, 0.0])
    drawn = draw_vertices(p.expand(50_000, 6), generator=torch.Generator().manual_seed(4))
    assert (drawn.sum(-1) == 1).all()
    counts = drawn.sum(0)
    assert (counts[p == 0] == 0).all()
    observed, expected = counts[p > 0].double(), 50_000 * p[p > 0].double()
    expected *= observed.sum() / expected.sum()
    assert scipy.stats.chisquare(observed.numpy(), expected.numpy()).pvalue > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_draw_always_lands(dtype):
    """One vertex a row, also where the probabilities sum to less than one by rounding."""
    generator = torch.Generator().manual_seed(5)
    p = probabilities(4 * torch.randn(20_000, 160, generator=generator, dtype=dtype))
    assert (draw_vertices(0.99 * p, generator=generator).sum(-1) == 1).all()
    one = torch.nn.functional.one_hot(torch.arange(160), 160).to(dtype)
    torch.testing.assert_close(draw_vertices(one, generator=generator), one)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tilted_predictions_stay_on_the_simplex(dtype):
    generator = torch.Generator().manual_seed(6)
    x = LinearFlow(5).sample_prior((4, 8), generator=generator, dtype=dtype)
    x[0, 0] = torch.tensor([1.0, 0, 0, 0, 0], dtype=dtype)
    logits = 30 * torch.randn(4, 8, 5, generator=generator, dtype=dtype)
    gradient = 100 * torch.randn(4, 8, 5, generator=generator, dtype=dtype)
    inputs = [tensor.requires_grad_() for tensor in (logits, gradient, x)]
    tilted = tilt_logits(*inputs, torch.full((4, 1, 1), 1e6, dtype=dtype))
    assert tilted.isfinite().all()
    total = tilted.exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-5, atol=0)
    gradients = torch.autograd.grad(tilted.exp().sum(), inputs)
    assert all(gradient.isfinite().all() for gradient in gradients)
