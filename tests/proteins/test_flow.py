"""The flow of frames: exact steps, equal signs, padding without influence."""

import pytest
import torch

from geometry import SO3
from geometry.distributions.isotropic_gaussian_so3 import IsotropicGaussianSO3
from proteins.flow import ANNEALED, PREVIOUS, ROTATION, TRANSLATION, BackboneFlow, Schedules
from seqflow.sampling import Sampler, time_grid
from seqflow.schedules import (
    LINEAR,
    CosineSchedule,
    ExponentialSchedule,
    KineticOptimalSchedule,
    PolynomialSchedule,
)

L = 12
SCHEDULES = [
    LINEAR,
    ExponentialSchedule(10.0),
    ExponentialSchedule(1.0),
    PolynomialSchedule(2.0),
    CosineSchedule(),
    KineticOptimalSchedule(0.05),
]
MASK = torch.ones(L, dtype=torch.bool)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def chains(num, mask=MASK, dtype=torch.float32, seed=0):
    process = BackboneFlow().training_process(mask)
    return process.sample_prior((num, L), generator=seeded(seed), dtype=dtype)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_an_oracle_reaches_its_target(schedule, steps):
    target = chains(3, seed=1)
    flow = BackboneFlow(sampling=Schedules(schedule, schedule))
    sampler = Sampler(flow.sampling_process(MASK), lambda x, t, c=None: target, time_grid(steps))
    x_1 = sampler.sample((3, L))
    # Coordinates of 30 A and a few roundings a step.
    torch.testing.assert_close(x_1[TRANSLATION], target[TRANSLATION], rtol=0, atol=1e-4)
    assert SO3().dist(x_1[ROTATION], target[ROTATION]).max() < 1e-5


def test_the_published_step_diverges_where_this_one_does_not():
    """Five points on [0.01, 1] as published: alpha = c D = 2.475, against 1 - e^{-c D} = 0.916."""
    rate, (start, end) = 10.0, chains(2, dtype=torch.float64)[ROTATION]
    rotation = BackboneFlow().sampling_process(MASK).parts[ROTATION].process
    times = torch.linspace(0.01, 1, 5, dtype=torch.float64)
    # Nearby rotations, so that the angle grows before it wraps at half a turn.
    end = SO3().expmap(start, 0.02 * SO3().logmap(start, end))
    ours = euler = start
    first = SO3().dist(start, end)
    for t, dt in zip(times[:-1], times.diff(), strict=True):
        when = t.expand(L), dt.expand(L)
        before = SO3().dist(ours, end)
        ours = rotation.step(ours, end, *when)
        assert (SO3().dist(ours, end) <= before + 1e-12).all()
        euler = SO3().expmap(euler, rate * dt * SO3().logmap(euler, end))
    # |1 - 2.475|^4 = 4.73; the angles of the exact step end at zero.
    torch.testing.assert_close(SO3().dist(euler, end), 1.475**4 * first)
    assert SO3().dist(ours, end).max() < 1e-7


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_what_remains_is_the_survival(schedule):
    """Log(q_t* q_1) = (1 - kappa) Log(q_0* q_1), and so for any number of steps."""
    x_0, x_1 = chains(4, dtype=torch.float64), chains(4, seed=1, dtype=torch.float64)
    process = BackboneFlow(training=Schedules(schedule, schedule)).training_process(MASK)
    t = torch.tensor([0.0, 0.3, 0.9, 1.0], dtype=torch.float64)
    x_t, _ = process.corrupt(x_1, t, x_0)
    left = schedule.survival(t)[:, None, None]
    way = SO3().logmap(x_0[ROTATION], x_1[ROTATION])
    torch.testing.assert_close(SO3().logmap(x_t[ROTATION], x_1[ROTATION]), left * way)
    moved = x_0
    for part in (0.5 * t, 0.5 * t):
        now = 0 * t if moved is x_0 else 0.5 * t
        moved = process.step(moved, x_1, now, part)
    for name in (TRANSLATION, ROTATION):
        torch.testing.assert_close(moved[name].abs(), x_t[name].abs())


def test_both_signs_of_a_quaternion_take_one_path():
    process, t = BackboneFlow().training_process(MASK), torch.tensor([0.1, 0.5, 0.95])
    x_0, x_1 = chains(3), chains(3, seed=1)
    flipped = x_1 | {ROTATION: -x_1[ROTATION]}
    a, b = (process.corrupt(x, t, x_0)[0][ROTATION] for x in (x_1, flipped))
    assert SO3().dist(a, b).max() < 5e-7
    a, b = (process.step(x_0, x, t, 0.01 + 0 * t)[ROTATION] for x in (x_1, flipped))
    assert SO3().dist(a, b).max() < 5e-7


def test_noise_is_centred_and_absent_from_padding():
    mask = torch.arange(L) < torch.tensor([L, 5, 1, 0])[:, None]
    x = chains(4, mask)[TRANSLATION]
    assert not x[~mask].any()
    assert x.sum(1).abs().max() < 1e-4
    # Not all residues: one is at the origin, since it is its own centre.
    assert not x[2].any()
    assert x[1, :5].std() > 3


def test_noise_has_the_wanted_scale_and_no_memory():
    state = chains(2000)
    # The variance of a residue less the mean is 100 (1 - 1/L); 5 standard errors of 24,000
    # by 3 numbers.
    variance = state[TRANSLATION].square().mean().item()
    assert variance == pytest.approx(100 * (1 - 1 / L), rel=5 * (2 / 72_000) ** 0.5)
    # Haar: the trace of R has mean 0 and variance 1.
    trace = 4 * state[ROTATION][..., 0].square() - 1
    assert abs(trace.mean().item()) < 5 / 24_000**0.5
    assert not state[PREVIOUS].any()


def test_training_and_sampling_start_from_one_law():
    gaussian = IsotropicGaussianSO3(torch.tensor([1.0, 0, 0, 0]), 0.3)
    flow = BackboneFlow(rotation_prior=gaussian)
    both = [flow.training_process(MASK), flow.sampling_process(MASK)]
    a, b = (p.sample_prior((50, L), generator=seeded()) for p in both)
    assert a[ROTATION].equal(b[ROTATION])
    assert a[TRANSLATION].equal(b[TRANSLATION])
    # The mean angle of a Gaussian of 0.3 is near that of a Maxwell law, 0.3 sqrt(8/pi) = 0.48.
    angle = SO3().dist(a[ROTATION], gaussian.mean).mean().item()
    assert angle == pytest.approx(0.48, abs=0.03)
    assert both[1].parts[ROTATION].process.schedule == ANNEALED.rotation
