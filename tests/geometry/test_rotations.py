"""Rotations against scipy and geomstats, the double cover, and the Haar law."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from geometry import SE3, SO3, Euclidean, Product
from geometry.quaternions import quaternion_conjugate, quaternion_multiply, quaternion_rotate


def draw(count, seed, dtype=torch.float64):
    return SO3().random_uniform(count, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def scipy(q):
    return Rotation.from_quat(q.roll(-1, -1).numpy())


def test_quaternion_algebra_against_scipy():
    p, q = draw(50, 1), draw(50, 2)
    v = torch.randn(50, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    miss = scipy(quaternion_multiply(p, q)).inv() * scipy(p) * scipy(q)
    assert miss.magnitude().max() < 1e-12
    turned = torch.from_numpy(scipy(p).apply(v.numpy()))
    assert (quaternion_rotate(p, v) - turned).abs().max() < 1e-14
    one = quaternion_multiply(p, quaternion_conjugate(p))
    assert (one - torch.eye(4)[0]).abs().max() < 1e-15


def test_scipy_agrees():
    m, p, q = SO3(), draw(50, 1), draw(50, 2)
    relative = scipy(p).inv() * scipy(q)
    omega = torch.from_numpy(relative.as_rotvec())
    assert (m.logmap(p, q) - omega).abs().max() < 1e-12
    assert (m.dist(p, q) - torch.from_numpy(relative.magnitude())).abs().max() < 1e-12
    ends = scipy(m.expmap(p, omega)).inv() * scipy(q)
    assert ends.magnitude().max() < 1e-12
    for i in range(5):
        path = Slerp([0, 1], Rotation.concatenate([scipy(p[i]), scipy(q[i])]))
        t = torch.linspace(0, 1, 7, dtype=torch.float64)
        q_t, velocity = m.interpolant(p[i], q[i], t)
        assert (scipy(q_t).inv() * path(t.numpy())).magnitude().max() < 1e-12
        assert (velocity - omega[i]).abs().max() < 1e-12


def hat(w):
    a, b, c = w.unbind(-1)
    o = torch.zeros_like(a)
    return torch.stack((o, -c, b, c, o, -a, -b, a, o), -1).reshape(*w.shape[:-1], 3, 3)


def matrix(q):
    return quaternion_rotate(q.unsqueeze(-2), torch.eye(3, dtype=q.dtype)).mT


# geomstats 2.8.0 hands tensors to numpy.array, which numpy 2 reports through torch.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_geomstats_agrees(geomstats):
    """The bi-invariant metric on matrices R, where tangent vectors are R hat(omega)."""
    peer = geomstats("geometry.special_orthogonal").SpecialOrthogonal(3).metric
    m, p, q = SO3(), draw(20, 1), draw(20, 2)
    v = torch.randn(20, 3, generator=torch.Generator().manual_seed(3))
    log = m.logmap(p, q)
    assert (peer.log(matrix(q), matrix(p)) - matrix(p) @ hat(log)).abs().max() < 1e-11
    assert (peer.dist(matrix(p), matrix(q)) - m.dist(p, q)).abs().max() < 1e-11
    carried = peer.parallel_transport(matrix(p) @ hat(v), matrix(p), matrix(p) @ hat(log))
    assert (carried - matrix(q) @ hat(m.transp(p, q, v))).abs().max() < 1e-11


def test_signs_do_not_matter():
    m, p, q = SO3(), draw(50, 4), draw(50, 5)
    t = torch.linspace(0, 1, 50, dtype=torch.float64)
    q_t, omega = m.interpolant(p, q, t)
    for a, b in ((-p, q), (p, -q), (-p, -q)):
        other, velocity = m.interpolant(a, b, t)
        assert m.dist(q_t, other).max() < 1e-14
        assert (velocity - omega).abs().max() < 1e-13
        assert (m.transp(a, b, omega) - m.transp(p, q, omega)).abs().max() < 1e-13


def test_invariance_from_both_sides():
    m, p, q, g = SO3(), draw(50, 4), draw(50, 5), draw(1, 6)
    assert (
        m.dist(quaternion_multiply(g, p), quaternion_multiply(g, q)) - m.dist(p, q)
    ).abs().max() < 1e-14
    left = m.logmap(quaternion_multiply(g, p), quaternion_multiply(g, q))
    assert (left - m.logmap(p, q)).abs().max() < 1e-13
    right = m.logmap(quaternion_multiply(p, g), quaternion_multiply(q, g))
    turned = quaternion_rotate(quaternion_conjugate(g), m.logmap(p, q))
    assert (right - turned).abs().max() < 1e-13


def test_haar_law():
    """E trace R = 0, E angle = pi/2 + 2/pi, and characters of l = 1, 2 vanish: z below 5."""
    count = 100_000
    q = draw(count, 7)
    angle = SO3().dist(torch.eye(4, dtype=torch.float64)[0], q)
    deviation = math.sqrt(count) / angle.std()
    assert abs((angle.mean() - math.pi / 2 - 2 / math.pi) * deviation) < 5
    for ell in (1, 2):
        # Characters are orthonormal, so each has variance 1.
        character = ((2 * ell + 1) * angle / 2).sin() / (angle / 2).sin()
        assert abs(character.mean() * math.sqrt(count)) < 5
    # Not only the angle: the first axis of R is uniform on the sphere.
    column = matrix(q)[:, :, 0]
    assert (column.mean(0) * math.sqrt(3 * count)).abs().max() < 5


def test_volume():
    assert SO3().log_uniform() == pytest.approx(-math.log(8 * math.pi**2), rel=1e-15)


def test_rigid_motions_are_the_product():
    m, product = SE3(), Product(SO3(), Euclidean(3))
    generator = torch.Generator().manual_seed(8)
    x, y = (torch.cat((draw(9, s), torch.randn(9, 3, generator=generator)), -1) for s in (1, 2))
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    for a, b in zip(m.interpolant(x, y, t), product.interpolant(x, y, t), strict=True):
        assert torch.equal(a, b)
    assert (m.dim, m.point_shape, m.tangent_shape) == (6, (7,), (6,))
    squared = SO3().dist(x[:, :4], y[:, :4]) ** 2 + (x - y)[:, 4:].square().sum(-1)
    assert torch.allclose(m.dist(x, y).square(), squared, rtol=1e-12)
    with pytest.raises(ValueError, match=r"part 0 of SE3\(\): .* SO3\(\) with \|q\|"):
        m.check_point(2 * x)


def test_messages():
    with pytest.raises(ValueError, match=r"SO3\(\) with last dimension 4, got shape \(3, 3\)"):
        SO3().check_point(torch.eye(3))
    with pytest.raises(ValueError, match=r"\|q\| = 0.5 at index \(0, 1\); normalise"):
        SO3().check_point(torch.stack((torch.eye(4)[0], 0.5 * torch.eye(4)[0]))[None])
    with pytest.raises(ValueError, match=r"tangent vectors of SO3\(\) with last dimension 3"):
        SO3().check_tangent(torch.eye(4), torch.eye(4))
