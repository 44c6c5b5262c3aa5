"""The radial bound: its integrand in closed form, and the entropy of independent tokens."""

import dataclasses
import math

import pytest
import torch

from geometry import Sphere
from seqflow.likelihood import variational_bound
from seqflow.radial import OddsSchedule, RadialFlow
from seqflow.radial.radial_flow import squared_drift_error
from seqflow.schedules import CosineSchedule

STARTS = [0.0, 0.5, 1.0]
every_start = pytest.mark.parametrize("start", STARTS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@every_start
@pytest.mark.parametrize("K", [2, 3, 27])
@pytest.mark.parametrize("t", [0.01, 0.5, 0.95])
def test_q_is_the_distance_of_two_short_steps(K, start, t):
    """By geodesics: dist(exp_x(h u), exp_x(h u_k))/h for the drifts u of p and u_k of e_k."""
    process, sphere = RadialFlow(K, start), Sphere(K)
    x_1 = torch.randint(K, (1, 50), generator=seeded())
    x_t, _ = process.corrupt(x_1, torch.tensor([t], dtype=torch.float64), generator=seeded(1))
    logits = 2 * torch.randn(1, 50, K, generator=seeded(2), dtype=torch.float64)
    ends = torch.eye(K + 1, dtype=torch.float64)
    logs = sphere.logmap(x_t[..., None, :], ends[:K])
    u = (logits.softmax(-1)[..., None] * logs).sum(-2)
    u_k = sphere.logmap(x_t, ends[x_1])
    h = 1e-4
    short = sphere.dist(sphere.expmap(x_t, h * u), sphere.expmap(x_t, h * u_k)) / h
    # Curvature changes distances of order h by h^2, rounding by 1e-16/h.
    torch.testing.assert_close(
        squared_drift_error(logits, x_1, x_t), short.square(), rtol=1e-5, atol=1e-10
    )


@every_start
@pytest.mark.parametrize("K", [2, 27])
def test_the_rate_at_the_start_is_known(K, start):
    process = RadialFlow(K, start, variance=0.05, schedule=OddsSchedule(1.0))
    x_0 = process.sample_prior((2, 4), dtype=torch.float64)
    t = torch.zeros(2, dtype=torch.float64)
    x_1 = torch.randint(K, (2, 4), generator=seeded())
    c = math.sqrt(start / K)
    f = math.acos(c) / math.sqrt(1 - c * c)
    rate = f**2 * (1 - 1 / K) / (2 * 0.05)
    logits = torch.zeros(2, 4, K, dtype=torch.float64)
    expected = torch.full((2,), 4 * rate, dtype=torch.float64)
    torch.testing.assert_close(process.path_kl(logits, x_1, x_0, t), expected)


def test_a_schedule_is_a_clock():
    """The same state at the same s: rates in the proportion of the clocks, all else alike."""
    process = RadialFlow(5)
    others = [CosineSchedule(), OddsSchedule(3.0)]
    s = torch.tensor([1e-3, 0.1, 0.7], dtype=torch.float64)
    x_1 = torch.randint(5, (3, 4), generator=seeded())
    t = process.clock.inverse(s)
    x_t, _ = process.corrupt(x_1, t, generator=seeded())
    logits = torch.randn(3, 4, 5, generator=seeded(1), dtype=torch.float64)
    rate = process.path_kl(logits, x_1, x_t, t) / process.clock.derivative(t)
    for schedule in others:
        other = dataclasses.replace(process, schedule=schedule)
        u = schedule.inverse(s)
        # The inverse of a flat end is known to the square root of a rounding.
        close = {"rtol": 1e-5, "atol": 1e-7}
        torch.testing.assert_close(other.evidence(x_t, u), process.evidence(x_t, t), **close)
        torch.testing.assert_close(other.corrupt(x_1, u, generator=seeded())[0], x_t, **close)
        again = other.path_kl(logits, x_1, x_t, u) / schedule.derivative(u)
        torch.testing.assert_close(again, rate, **close)


@every_start
@pytest.mark.parametrize("K", [3, 27])
def test_independent_tokens(K, start):
    """With the closed-form posterior the bound is the entropy, within its error and 0.5%."""
    process = RadialFlow(K, start)
    pi = (torch.arange(K) * 0.7).cos().mul(0.5).double().softmax(-1)
    x_1 = torch.multinomial(pi, 12_000, replacement=True, generator=seeded(1)).reshape(2000, 6)

    def predictor(x_t, t, condition=None):
        return process.evidence(x_t, t) + pi.log().float()

    bound = variational_bound(process, predictor, x_1, num_draws=8, seed=2)
    nats = -pi.log()[x_1].mean().item()
    # The evidence is not quite the posterior, for which 0.5% is allowed.
    assert bound.draw_error < 0.02 * nats
    assert -3 * bound.draw_error < bound.nats - nats < 0.005 * nats + 3 * bound.draw_error


def test_a_wrong_prediction_costs():
    process, K = RadialFlow(3), 3
    x_1 = torch.randint(K, (500, 6), generator=seeded(1))

    def predictor(x_t, t, condition=None):
        return process.evidence(x_t, t) + torch.arange(K)

    bound = variational_bound(process, predictor, x_1, num_draws=8, seed=2)
    # Its own marginal is softmax(0, 1, 2), whose cross-entropy with uniform tokens is 1.41.
    assert bound.nats > math.log(3) + 0.2
