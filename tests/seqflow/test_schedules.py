"""Laws of schedules, and refusals."""

from dataclasses import dataclass

import pytest
import torch

from seqflow.radial import OddsSchedule
from seqflow.schedules import (
    CosineSchedule,
    ExponentialSchedule,
    KineticOptimalSchedule,
    LinearSchedule,
    PolynomialSchedule,
    check_schedule,
    hazard,
    next_time,
)

SCHEDULES = [LinearSchedule(), PolynomialSchedule(1.0), PolynomialSchedule(2.5), CosineSchedule()]
SCHEDULES += [KineticOptimalSchedule(p) for p in (0.0, 0.05, 0.25, 0.9)]
SCHEDULES += [ExponentialSchedule(c) for c in (0.1, 3.0, 10.0)]
SCHEDULES += [OddsSchedule(odds) for odds in (1e-4, 0.06, 3.0)]

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@every_schedule
@every_dtype
def test_runs_from_0_to_1_and_keeps_the_dtype(schedule, dtype):
    check_schedule(schedule)
    t = torch.linspace(0, 1, 101, dtype=dtype)
    parts = [schedule.kappa(t), schedule.survival(t), schedule.derivative(t), hazard(schedule, t)]
    assert all(part.dtype == dtype and part.isfinite().all() for part in parts)
    assert all((part >= 0).all() for part in parts)
    assert schedule.survival(t)[-1] == 0
    assert schedule.kappa(t)[0] == 0
    # A handful of roundings of numbers up to one.
    torch.testing.assert_close(parts[0] + parts[1], torch.ones_like(t))


@every_schedule
def test_derivative_is_that_of_kappa(schedule):
    t = torch.linspace(0.01, 0.99, 99, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(schedule.kappa(t).sum(), t)
    torch.testing.assert_close(schedule.derivative(t), slope.detach())


@every_schedule
def test_inverse(schedule):
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    # Flat ends: where kappa ~ t^2 an error of eps in kappa is one of sqrt(eps) = 1.5e-8 in t.
    torch.testing.assert_close(schedule.inverse(schedule.kappa(t)), t, rtol=0, atol=1e-7)


@every_schedule
def test_survival_keeps_its_digits_near_the_end(schedule):
    """The jump probability of a step close to t = 1, against float64 of the same times."""
    t = 1 - torch.tensor([1e-3, 1e-4, 1e-5, 1e-6])
    s = 1 - 2 * (1 - t)
    exact = schedule.survival(t.double()) / schedule.survival(s.double())
    ratio = schedule.survival(t) / schedule.survival(s)
    # 1 - t is exact; a few float32 roundings of the rest. For powers, log t loses eps/(1 - t).
    tolerance = 1e-6 if not isinstance(schedule, PolynomialSchedule) else 1e-5
    torch.testing.assert_close(ratio.double(), exact, rtol=tolerance, atol=0)


@pytest.mark.parametrize("p_0", [0.0, 0.05, 0.25])
def test_kinetic_optimal_has_constant_fisher_rao_speed(p_0):
    """cos(angle) between sqrt(p_s) and sqrt(p_t) is that of (t - s) W, for all s and t."""
    schedule = KineticOptimalSchedule(p_0)
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    kappa, survival = schedule.kappa(t), schedule.survival(t)
    datum, rest = (kappa + survival * p_0).sqrt(), (survival * (1 - p_0)).sqrt()
    cosine = datum[:, None] * datum + rest[:, None] * rest
    torch.testing.assert_close(cosine, ((t[:, None] - t) * schedule.angle).cos())


def test_cosine_is_kinetic_optimal_for_masks():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    torch.testing.assert_close(CosineSchedule().kappa(t), KineticOptimalSchedule(0.0).kappa(t))


@every_dtype
@pytest.mark.parametrize("num_steps", [3, 7, 10, 100, 1000])
def test_the_last_of_many_steps_ends_at_1(dtype, num_steps):
    times = torch.linspace(0, 1, num_steps + 1, dtype=dtype)
    end = next_time(times[:-1], times.diff())
    assert end[-1] == 1
    assert (end[:-1] < 1).all()


@dataclass(frozen=True)
class Table(LinearSchedule):
    """kappa = low + (high - low) t + bump sin(2 pi t)."""

    low: float = 0.0
    high: float = 1.0
    bump: float = 0.0

    def kappa(self, t):
        return self.low + (self.high - self.low) * t + self.bump * (2 * torch.pi * t).sin()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Table(low=0.1), r"from 0 to 1, got .* from 0.1 to 1"),
        (Table(high=0.9), r"from 0 to 1, got .* from 0 to 0.9"),
        (Table(bump=0.5), r"increasing schedule, got .* which falls at t = 0.5"),
        (Table(bump=0.1), "survival of 1 - kappa"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule, message):
    with pytest.raises(ValueError, match=message):
        check_schedule(schedule)


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"power of at least 1, got 0\.5"):
        PolynomialSchedule(0.5)
    for p_0 in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"p_0 in \[0, 1\), got"):
            KineticOptimalSchedule(p_0)
    for rate in (0.0, 51.0):
        with pytest.raises(ValueError, match="rate above 0 and up to 50, got"):
            ExponentialSchedule(rate)
