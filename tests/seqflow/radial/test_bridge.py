"""The walk of (a, b, r) and its tables against walks in the whole space and known moments."""

import math
from itertools import pairwise

import pytest
import torch

from geometry import Sphere
from seqflow.radial.bridge import Bridge, lift
from seqflow.radial.moments import moments
from seqflow.radial.strides import stride, time_angle
from seqflow.radial.walks import FreshWalk, ParticleTable, TangentNormal
from seqflow.schedules import LinearSchedule

# beta = 1e-3^{1 - t} 0.2^t, the schedule of the reference values: s = (200^t - 1)/199.
V_1 = 1e-3 * 199 / math.log(200)
# K, start, t, and of 100,000 walks of 2000 Euler steps: E a, sd a, E z, sd z with z = <X, x_0>.
REFERENCE = [
    (27, 0.0, 0.35, 0.0421, 0.0312, 0.9855, 0.0039),
    (27, 0.0, 0.65, 0.2281, 0.0651, 0.9005, 0.0247),
    (27, 0.0, 0.80, 0.4775, 0.0739, 0.7274, 0.0549),
    (27, 0.0, 0.95, 0.8666, 0.0328, 0.2604, 0.0741),
    (27, 27 / 28, 0.35, 0.2226, 0.0304, 0.9858, 0.0038),
    (27, 27 / 28, 0.80, 0.5649, 0.0688, 0.7648, 0.0507),
    (27, 27 / 28, 0.95, 0.8775, 0.0308, 0.3942, 0.0701),
    (3, 0.0, 0.35, 0.0423, 0.0315, 0.9976, 0.0018),
    (3, 0.0, 0.80, 0.5082, 0.0785, 0.8441, 0.0482),
    (3, 0.0, 0.95, 0.9246, 0.0301, 0.3502, 0.0763),
    (3, 3 / 4, 0.80, 0.7634, 0.0585, 0.9230, 0.0338),
    (3, 3 / 4, 0.95, 0.9607, 0.0212, 0.6856, 0.0590),
]
# alpha and rho of the wrapped normal, by matching E cos(rho chi_n) with its correct formula.
NORMALS = [(0.0427, 0.0318), (0.2455, 0.0730), (0.5488, 0.0993), (0.9577, 0.0847)]
NORMALS += [(0.0375, 0.0317), (0.4884, 0.0967), (0.9008, 0.0833), (0.0423, 0.0317)]
NORMALS += [(0.5158, 0.0991), (0.9352, 0.0869), (0.3533, 0.0947), (0.7210, 0.0839)]
WALKS = [FreshWalk(), ParticleTable(), TangentNormal()]
BRIDGES = [Bridge(K, start, 1 / K) for K in (2, 3, 27) for start in (0.0, 0.5, 1.0)]

every_walk = pytest.mark.parametrize("walk", WALKS, ids=repr)
every_bridge = pytest.mark.parametrize("bridge", BRIDGES, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def angle_at(s, dtype=torch.float64):
    return torch.tensor([math.asin(math.sqrt(s))], dtype=dtype)


def points(bridge, walk, s, num, token=0):
    """num states of a token at bridge time s, (num, K + 1)."""
    tokens = torch.full((1, num), token)
    point = walk(bridge, angle_at(s), num, seeded(1))
    return lift(bridge, tokens, point, seeded(2))[0]


def by_brute_force(bridge, s, num, num_steps, token=0):
    """The walk in R^{K+1}, step by step on the sphere."""
    sphere, generator = Sphere(bridge.num_classes), seeded(3)
    x = bridge.origin(torch.float64).repeat(num, 1)
    end = torch.zeros_like(x)
    end[:, token] = 1
    times = angle_at(s) * torch.linspace(0, 1, num_steps + 1, dtype=torch.float64)
    for first, last in pairwise(times):
        share, std = stride(bridge.variance, first, last)
        noise = torch.empty_like(x).normal_(generator=generator)
        x = sphere.expmap(x, share * sphere.logmap(x, end) + sphere.proju(x, std * noise))
        x = sphere.projx(x)
    return x


def discrepancy(x, y, width):
    """Unbiased squared maximum mean discrepancy with a Gaussian kernel."""

    def kernel(u, v):
        return (-torch.cdist(u, v).square() / (2 * width**2)).exp()

    n, m = len(x), len(y)
    xx, yy = kernel(x, x).sum() - n, kernel(y, y).sum() - m
    return (xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * kernel(x, y).mean()).item()


@pytest.mark.parametrize("row", REFERENCE, ids=str)
@pytest.mark.parametrize("walk", [FreshWalk(), ParticleTable()], ids=repr)
def test_moments(row, walk):
    K, start, t, mean_a, sd_a, mean_z, sd_z = row
    bridge, s, num = Bridge(K, start, V_1), (200**t - 1) / 199, 10_000
    point = walk(bridge, angle_at(s), num, seeded(4))
    z = bridge.cosine * point.a + bridge.sine * point.b
    paths = min(num, getattr(walk, "num_paths", num))
    for value, mean, sd in ((point.a, mean_a, sd_a), (z, mean_z, sd_z)):
        # Four errors of the paths and one of the reference's 100,000, its printed digits, and for
        # the steps 1/32 deviations, first order in their length.
        steps = 1 / 32
        error = sd * (4 / paths**0.5 + 1 / 316 + steps) + 5e-5
        assert abs(value.mean().item() - mean) < error
        # A deviation is known to 1/sqrt(2 N) if the law is normal; z near its end is not quite.
        assert abs(value.std().item() - sd) < sd * (6 / (2 * paths) ** 0.5 + steps) + 5e-5


@pytest.mark.parametrize(("row", "normal"), list(zip(REFERENCE, NORMALS, strict=True)), ids=str)
def test_the_wrapped_normal_is_that_of_matched_cosines(row, normal):
    """Fitted by likelihood, so alike but not the same where the law is not quite normal."""
    K, start, t = row[:3]
    bridge = Bridge(K, start, V_1)
    mean = moments(bridge).at(angle_at((200**t - 1) / 199))
    # alpha is the sine of the angle between the mean and x_0.
    assert mean.travelled.sin().item() == pytest.approx(normal[0], rel=0.005, abs=4e-4)
    assert mean.variance.sqrt().item() == pytest.approx(normal[1], rel=0.01)


@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("K", [3, 27])
@pytest.mark.parametrize("s", [0.03, 0.5])
def test_the_law_is_that_of_the_walk_in_the_whole_space(K, start, s):
    bridge, num = Bridge(K, start, 1 / K), 1000
    exact = by_brute_force(bridge, s, num, 48)
    width = math.sqrt(2 * K * bridge.variance * s * (1 - s))
    # Under equal laws the statistic has a deviation of at most sqrt(2 E k^2) sqrt(2)/num.
    noise = 2 / num
    for walk in (FreshWalk(), ParticleTable()):
        assert abs(discrepancy(points(bridge, walk, s, num), exact, width)) < 4 * noise
    # It tells laws apart: that at twice the odds of s is found out.
    later = points(bridge, FreshWalk(), 2 * s / (1 + s), num)
    assert discrepancy(later, exact, width) > 4 * noise


@every_bridge
@every_walk
@every_dtype
def test_walks_are_finite_and_on_the_sphere_at_any_time(bridge, walk, dtype):
    times = torch.cat([angle_at(s, dtype) for s in (0.0, 1e-12, 1e-6, 0.2, 0.999999, 1.0)])
    point = walk(bridge, times, 7, seeded())
    eps = torch.finfo(dtype).eps
    total = sum(each.square() for each in point)
    assert point.a.dtype == dtype
    assert point.a.shape == (6, 7)
    assert ((total - 1).abs() < 8 * eps).all()
    assert (point.r >= 0).all()
    # Within the square root of a rounding: r^2 is known to eps only.
    for row, a in ((0, bridge.cosine), (-1, 1.0)):
        assert ((point.a[row] - a).abs() < 4 * math.sqrt(eps)).all()
        assert (point.r[row] < 4 * math.sqrt(eps)).all()


@every_bridge
@every_dtype
def test_a_lifted_point_has_its_numbers_and_a_random_direction(bridge, dtype):
    K, num = bridge.num_classes, 4000
    tokens = torch.full((num,), K - 1)
    point = FreshWalk(4)(bridge, angle_at(0.5, dtype), num, seeded())
    x = lift(bridge, tokens, type(point)(*(each[0] for each in point)), seeded(1))
    a, b, r = (each[0] for each in point)
    eps = torch.finfo(dtype).eps
    f = bridge.origin(dtype)
    f[K - 1] -= bridge.cosine
    f = f / bridge.sine
    f[K - 1] = 0
    assert (x[:, K - 1] == a).all()
    assert ((x @ f - b).abs() < 8 * K * eps).all()
    assert ((x.norm(dim=-1) - 1).abs() < 8 * eps).all()
    u = (x - a[:, None] * torch.eye(K + 1, dtype=dtype)[K - 1] - b[:, None] * f) / r[:, None]
    frame = torch.eye(K + 1, dtype=dtype) - torch.outer(f, f)
    frame[K - 1, K - 1] = 0
    # Covariance I/(K - 1) on the other directions; entries known to about 1/((K-1) sqrt(num)).
    error = u.T @ u / num - frame / (K - 1)
    assert error.abs().max() < 6 * 1.5 / ((K - 1) * math.sqrt(num))
    assert (u.mean(0).abs() < 5 / math.sqrt((K - 1) * num)).all()


def test_a_table_is_one_for_all_and_fresh_walks_are_not():
    bridge, num = Bridge(3, 0.0, 1 / 3), 40_000
    table = ParticleTable(num_paths=4, num_nodes=2)
    at_node = table(bridge, torch.tensor([math.pi / 4]), num, seeded())
    assert len(at_node.a.round(decimals=4).unique()) <= 4
    fresh = FreshWalk()(bridge, torch.tensor([math.pi / 4]), num, seeded())
    assert len(fresh.a.round(decimals=4).unique()) > 1000


def test_time_angles_keep_their_digits_at_both_ends():
    t = torch.tensor([0.0, 1e-12, 1e-6, 0.5, 1.0])
    angle = time_angle(LinearSchedule(), t)
    torch.testing.assert_close(angle.sin().square(), t, rtol=1e-6, atol=0)
    near = torch.tensor([1 - 2.0**-20])
    left = time_angle(LinearSchedule(), near).double().cos().square()
    # An angle near pi/2 is known to eps, its cosine of 1e-3 to 1e-4 of itself.
    torch.testing.assert_close(left, (1 - near).double(), rtol=5e-4, atol=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Bridge(1, 0.0, 0.1), "num_classes of at least 2, got 1"),
        (lambda: Bridge(4, 1.5, 0.1), "a start between 0, the mask, and 1, got 1.5"),
        (lambda: Bridge(4, 0.0, 0.0), "a finite variance > 0, got 0"),
        (lambda: FreshWalk(0), "at least one step, got 0"),
        (lambda: ParticleTable(3), "an even number of paths, got 3"),
        (lambda: ParticleTable(4, 1), "at least two intervals, got 1"),
    ],
)
def test_refusals(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
