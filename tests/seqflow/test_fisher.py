"""Fisher flow: its field from a posterior, its evidence, angles near vertices."""

import math

import pytest
import torch

from geometry import PositiveOrthant, Simplex
from seqflow.fisher import FisherFlow, sinc, vertex_angles
from seqflow.process import CategoricalProcess, Tiltable
from seqflow.riemannian import EndpointFlow
from seqflow.schedules import CosineSchedule
from seqflow.simplex_state import vertices

CONFORMS: CategoricalProcess = FisherFlow(4)
TILTS: Tiltable = FisherFlow(4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def states(K, num, seed=0, dtype=torch.float64):
    return Simplex(K).random_uniform(1, num, generator=seeded(seed), dtype=dtype)


@pytest.mark.parametrize("K", [2, 4, 20])
def test_field_is_the_mean_of_the_logs_of_the_vertices(K):
    """In O(K), against K logarithms on the orthant."""
    flow, x = FisherFlow(K), states(K, 5)
    logits = torch.randn(1, 5, K, generator=seeded(1), dtype=torch.float64)
    t, y = torch.tensor([0.3], dtype=torch.float64), x.sqrt()
    ends = torch.eye(K, dtype=torch.float64)
    logs = PositiveOrthant(K).logmap(y.unsqueeze(-2), ends)
    mean = (logits.softmax(-1).unsqueeze(-1) * logs).sum(-2)
    torch.testing.assert_close(flow.velocity(x, logits, t), 2 * y * mean / 0.7)


@pytest.mark.parametrize("K", [2, 4, 20])
@pytest.mark.parametrize("end", [0.4, 0.9])
def test_it_is_the_geodesic_flow_of_the_simplex(K, end):
    """Path, and exact step for a certain prediction, are those of ``EndpointFlow``."""
    ours, geodesic = (
        FisherFlow(K, CosineSchedule()),
        EndpointFlow(Simplex(K), None, CosineSchedule()),
    )
    tokens = torch.randint(K, (2, 6), generator=seeded())
    ends, x_0 = vertices(tokens, K, torch.float64), states(K, 6).expand(2, 6, K)
    t = torch.tensor([0.2, 0.3], dtype=torch.float64)
    x_t, _ = ours.corrupt(tokens, t, x_0)
    torch.testing.assert_close(x_t, geodesic.corrupt(ends, t, x_0)[0])
    moved = ours.step(x_t, 1e3 * ends, t, end - t)
    torch.testing.assert_close(moved, geodesic.step(x_t, ends, t, end - t), atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(
        moved, ours.corrupt(tokens, 0 * t + end, x_0)[0], atol=1e-12, rtol=1e-9
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_angles_keep_their_accuracy_near_a_vertex(dtype):
    small = torch.tensor([1e-2, 1e-5, 1e-9], dtype=torch.float64)
    x = torch.stack([small.cos() ** 2, small.sin() ** 2, 0 * small], -1).to(dtype)
    theta = vertex_angles(x)
    eps = torch.finfo(dtype).eps
    # Below eps^2 a number counts as sqrt(p) eps less; 1e-18 is above that in float64 only.
    ours = theta[:, 0].double() if dtype == torch.float64 else theta[:2, 0].double()
    torch.testing.assert_close(ours, small[: len(ours)], rtol=8 * eps, atol=0)
    torch.testing.assert_close(theta[:, 2], torch.full((3,), math.pi / 2, dtype=dtype))


def test_evidence_inside_the_support_is_bounded():
    """The module's claim: 0.46 (K - 2) between any two tokens that are possible."""
    for K in (2, 4, 100):
        flow, t = FisherFlow(K), torch.tensor([0.6], dtype=torch.float64)
        tokens = torch.zeros(1, 2000, dtype=torch.int64)
        x_t, _ = flow.corrupt(tokens, t, states(K, 2000))
        evidence = flow.evidence(x_t, t)
        inside = vertex_angles(x_t) <= 0.4 * math.pi / 2
        assert inside[..., 0].all()
        assert evidence[inside].min() >= -0.4516 * (K - 2) - 1e-9
        assert evidence[inside].max() <= 1e-9
        assert inside.sum(-1).max() <= 1 / math.cos(0.4 * math.pi / 2) ** 2


@pytest.mark.parametrize("K", [3, 8])
def test_tilt_adds_the_natural_gradient_to_the_field(K):
    flow, x = FisherFlow(K), states(K, 5)
    logits = torch.randn(1, 5, K, generator=seeded(1), dtype=torch.float64)
    gradient = 1e-3 * torch.randn(1, 5, K, generator=seeded(2), dtype=torch.float64)
    t = torch.tensor([0.3], dtype=torch.float64)
    tilted = flow.tilt(logits, gradient, x, t)
    change = flow.velocity(x, tilted, t) - flow.velocity(x, logits, t)
    natural = x * (gradient - (x * gradient).sum(-1, keepdim=True))
    torch.testing.assert_close(change, natural, atol=1e-12, rtol=1e-7)


def test_sinc_and_errors():
    a = torch.tensor([0.0, 1e-9, 1.0], dtype=torch.float64, requires_grad=True)
    value = sinc(a)
    torch.testing.assert_close(value.detach(), torch.tensor([1, 1, math.sin(1)]).double())
    (slope,) = torch.autograd.grad(value.sum(), a)
    assert slope.isfinite().all()
    with pytest.raises(ValueError, match="at least 2, got 1"):
        FisherFlow(1)
