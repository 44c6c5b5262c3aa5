"""Positive definite matrices: geomstats, gradcheck at equal eigenvalues, invariances."""

import pytest
import torch

from geometry.geomstats_adapter import GeomstatsManifold, geomstats_module
from geometry.jacobi import ROUNDS, from_planes, jacobi, pays, to_planes
from geometry.log_euclidean import SPDLogEuclidean
from geometry.spd import SPD
from geometry.spd_small import geodesic
from geometry.symmetric import spectrum, symmetric

MANIFOLDS = [SPD(3), SPDLogEuclidean(3)]
each = pytest.mark.parametrize("manifold", MANIFOLDS, ids=str)


def points(manifold, count, seed, dtype=torch.float64, std=0.7):
    origin = torch.eye(manifold.n, dtype=dtype).expand(count, -1, -1)
    return manifold.random_normal(origin, std, torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def peers():
    """geomstats' two metrics."""
    matrices = geomstats_module("geomstats.geometry.spd_matrices")
    affine = GeomstatsManifold.build(matrices.SPDMatrices, 3)
    flat = matrices.SPDMatrices(3, equip=False)
    flat.equip_with_metric(matrices.SPDLogEuclideanMetric)
    return {"SPD(3)": affine, "SPDLogEuclidean(3)": GeomstatsManifold(flat)}


@each
def test_against_geomstats(manifold, peers):
    peer = peers[repr(manifold)]
    x, y, z = (points(manifold, 8, seed) for seed in (1, 2, 3))
    u, v = manifold.logmap(x, y), manifold.logmap(x, z)
    # Chains of about 20 products of matrices of condition up to 100.
    close = {"rtol": 1e-10, "atol": 1e-10}
    assert torch.allclose(u, peer.logmap(x, y), **close)
    assert torch.allclose(manifold.expmap(x, v), peer.expmap(x, v), **close)
    assert torch.allclose(manifold.dist(x, y), peer.dist(x, y), **close)
    assert torch.allclose(manifold.inner(x, u, v), peer.inner(x, u, v), **close)
    if isinstance(manifold, SPD):
        assert torch.allclose(manifold.transp(x, y, v), peer.transp(x, y, v), **close)


EIGENVALUES = [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0), (1.0, 1.0 + 1e-9, 3.0), (0.5, 1.0, 2.0)]


@each
@pytest.mark.parametrize("values", EIGENVALUES, ids=str)
def test_first_derivatives_at_equal_eigenvalues(manifold, values):
    """Against finite differences, in both modes, with the pair equal and apart."""
    frame = spectrum(symmetric(torch.arange(9.0, dtype=torch.float64).reshape(3, 3))).vectors
    x = frame @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ frame.mT
    t = torch.tensor(0.3, dtype=torch.float64)
    v = symmetric(torch.ones(3, 3, dtype=torch.float64) + torch.eye(3))

    def maps(a, b):
        a, b = symmetric(a), symmetric(b)
        u = manifold.logmap(a, b)
        transported = manifold.transp(a, b, v)
        return (*manifold.interpolant(a, b, t), u, manifold.expmap(a, v), transported)

    def by_numbers(a, b):
        return geodesic(symmetric(a), symmetric(b), t)

    for y in (x, points(manifold, 1, 4)[0]):
        pair = [z.clone().requires_grad_() for z in (x, y)]
        for f in (maps, by_numbers):
            assert torch.autograd.gradcheck(f, pair)
            assert torch.autograd.gradcheck(
                f, pair, check_forward_ad=True, check_backward_ad=False, check_undefined_grad=False
            )


def awkward_matrices(n, dtype):
    """Graded, with equal and nearly equal eigenvalues, of integers, with zeros: |A| = 1 or 0."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(4, 2000, n, n, generator=generator, dtype=torch.float64)
    integers = (2 * noise[1]).round()
    graded = 1000 ** noise[2].clamp(-2, 2)
    sparse = noise[3] * (noise[0] > 0)
    almost_one = torch.eye(n) + 1e-9 * noise[3]
    zero = torch.zeros(1, n, n, dtype=torch.float64)
    a = torch.cat([noise[0], integers, graded, sparse, almost_one, zero])
    a = a + a.mT
    return (a / a.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-30)).to(dtype)


@pytest.mark.parametrize("n", list(ROUNDS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_jacobi_diagonalises(n, dtype):
    a = awkward_matrices(n, dtype)
    values, vectors = jacobi(to_planes(a))
    w, v = torch.stack(values, -1).double(), from_planes(vectors).double()
    # 6 rounds of 6 rotations, each of a few roundings that add up like a random walk.
    limit = 16 * torch.finfo(dtype).eps
    assert (v * w.unsqueeze(-2) @ v.mT - a.double()).abs().max() < limit
    assert (v @ v.mT - torch.eye(n)).abs().max() < limit


def by_matrices(n):
    """The interpolant of few matrices, by LAPACK."""
    assert not pays(n, 8)
    return SPD(n).interpolant


@pytest.mark.parametrize("n", list(ROUNDS))
def test_geodesics_by_numbers_agree_with_those_by_matrices(n):
    """Values and gradients; many matrices take the first way by themselves."""
    x, y = points(SPD(n), 8, 1).requires_grad_(), points(SPD(n), 8, 2).requires_grad_()
    t = torch.linspace(0, 1, 8, dtype=torch.float64, requires_grad=True)
    ways = [way(x, y, t) for way in (geodesic, by_matrices(n))]
    # Chains of about 20 products of matrices of condition up to 1000.
    close = {"rtol": 1e-9, "atol": 1e-10}
    grads = []
    for x_t, u_t in ways:
        gx, gy, gt = torch.autograd.grad((x_t.sin() + u_t.cos()).sum(), (x, y, t))
        # An antisymmetric part is no direction in which a point can move.
        grads.append((symmetric(gx), symmetric(gy), gt))
    for a, b in zip(ways[0] + grads[0], ways[1] + grads[1], strict=True):
        assert torch.allclose(a, b, **close)
    many = [z.detach().repeat(125, *(1,) * (z.ndim - 1)) for z in (x, y, t)]
    assert torch.equal(SPD(n).interpolant(*many)[0], ways[0][0].detach().repeat(125, 1, 1))


@pytest.mark.parametrize("n", [*ROUNDS, 5])
def test_interpolants_agree_with_exp_and_log(n):
    m = SPD(n)
    x, y = points(m, 8, 1), points(m, 8, 2)
    t = torch.linspace(0, 1, 8, dtype=torch.float64)
    x_t, u_t = m.interpolant(x, y, t)
    u = t[:, None, None] * m.logmap(x, y)
    # Chains of about 20 products of matrices of condition up to 1000.
    close = {"rtol": 1e-9, "atol": 1e-10}
    assert torch.allclose(x_t, m.expmap(x, u), **close)
    assert torch.allclose(u_t, m.transp(x, x_t, m.logmap(x, y)), **close)


@each
def test_dist_and_norm_have_finite_gradients_at_zero(manifold):
    x = torch.eye(3).repeat(2, 1, 1).requires_grad_()
    total = manifold.dist(x, x.detach()).sum() + manifold.norm(x, 0 * x).sum()
    (grad,) = torch.autograd.grad(total, x)
    assert grad.isfinite().all()
    assert total == 0


def test_second_derivatives_are_refused():
    x = torch.eye(2).requires_grad_()
    (grad,) = torch.autograd.grad(SPD(2).dist(2 * torch.eye(2), x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        grad.sum().backward()


def test_congruence_is_an_isometry():
    m = SPD(3)
    x, y = points(m, 4, 1), points(m, 4, 2)
    g = torch.tensor([[1.0, 2, 0], [0, 1, 3], [1, 0, 1]], dtype=torch.float64)
    t = torch.tensor([0.0, 0.2, 0.7, 1.0], dtype=torch.float64)
    for a, b in zip(
        m.interpolant(x, y, t), m.interpolant(g @ x @ g.mT, g @ y @ g.mT, t), strict=True
    ):
        assert torch.allclose(g @ a @ g.mT, b, rtol=1e-11, atol=1e-10)


@each
def test_inversion_is_an_isometry(manifold):
    x, y = points(manifold, 4, 1), points(manifold, 4, 2)
    inverse = manifold.dist(x.inverse(), y.inverse())
    assert torch.allclose(manifold.dist(x, y), inverse, rtol=1e-11, atol=0)


def test_near_pairs_keep_their_digits():
    """log of W - I: relative error of a few eps, where log of W would have eps/1e-6."""
    m, x = SPD(3), points(SPD(3), 8, 1, torch.float32)
    y = x + 1e-6 * symmetric(torch.ones(3, 3))
    exact = m.dist(x.double(), y.double())
    error = (m.dist(x, y) - exact).abs() / exact
    # Amplified by the condition of x, up to 30 here.
    assert error.max() < 30 * 16 * torch.finfo(torch.float32).eps


def test_far_pairs_keep_small_eigenvalues():
    m, x = SPD(2), torch.eye(2)
    assert torch.allclose(m.dist(x, 1e-6 * x), torch.tensor(2**0.5 * 13.815511), rtol=1e-6)


@each
def test_projection_floors_eigenvalues(manifold):
    bad = torch.tensor([[1.0, 2, 0], [2, 1, 0], [0, 0, 1]])
    fixed = manifold.projx(bad)
    manifold.check_point(fixed)
    assert torch.allclose(manifold.projx(fixed), fixed, rtol=0, atol=1e-6)
    good = points(manifold, 4, 3, torch.float32)
    assert torch.equal(manifold.projx(good), good)


def test_bad_points_are_named():
    bad = torch.eye(2).repeat(2, 1, 1)
    bad[1, 0, 0] = -3
    with pytest.raises(ValueError, match=r"SPD\(2\).*eigenvalue above 0, got -3 at index \(1,\)"):
        SPD(2).check_point(bad)
    with pytest.raises(ValueError, match=r"SPD\(2\).*\|x - x\^T\|.*projx"):
        SPD(2).check_point(torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="proju"):
        SPD(2).check_tangent(torch.eye(2), torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="finite volume"):
        SPD(2).random_uniform(1)
