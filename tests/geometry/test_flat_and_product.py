"""Linear spaces, products, the interface's own helpers, and the words of refusals."""

import math

import pytest
import torch

from geometry import (
    SO3,
    CentredEuclidean,
    Euclidean,
    FlatTorus,
    MaskedEuclidean,
    Product,
    Sphere,
    check_time,
)
from geometry.lengths import dot, length, root
from geometry.manifold import random_like


def test_euclidean_shapes():
    assert (Euclidean(5, 3).dim, Euclidean().dim, Euclidean(4).point_shape) == (15, 1, (4,))
    assert repr(Euclidean(5, 3)) == "Euclidean(5, 3)"
    x, y = torch.zeros(2, 5, 3), torch.ones(5, 3)
    x_t, u_t = Euclidean(5, 3).interpolant(x, y, torch.tensor([0.25, 0.5]))
    assert torch.equal(x_t[0], torch.full((5, 3), 0.25))
    assert u_t.shape == x_t.shape
    assert torch.allclose(Euclidean(5, 3).dist(x, y), torch.tensor(math.sqrt(15)))


def test_centred_clouds():
    m = CentredEuclidean(4, 3)
    x = torch.randn(100, 4, 3, generator=torch.Generator().manual_seed(1))
    assert m.projx(x).mean(-2).abs().max() < 1e-6
    assert m.dim == 9
    with pytest.raises(ValueError, match=r"CentredEuclidean\(4, 3\) with \|x - projx\(x\)\|"):
        m.check_point(x)


def test_masked_clouds():
    """Padding stays at zero, whatever stands in it, and the rest is centred by itself."""
    mask = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    m = MaskedEuclidean(mask, 2)
    x = torch.randn(3, 3, 2, generator=torch.Generator().manual_seed(2))
    x[0, 2] = torch.nan
    y = m.projx(x)
    m.check_point(y)
    assert (y[0, 2] == 0).all()
    assert (y[2] == 0).all()
    assert y.sum(-2).abs().max() < 1e-6
    assert torch.allclose(y[1], CentredEuclidean(3, 2).projx(x[1]))
    drawn = m.random_normal(torch.zeros(5, 3, 3, 2), 2.0, torch.Generator().manual_seed(3))
    m.check_point(drawn)
    assert (drawn[:, ~mask] == 0).all()
    assert m.dim == 4
    assert m != MaskedEuclidean(mask, 2)
    with pytest.raises(ValueError, match="batch dimensions that broadcast"):
        m.check_point(torch.zeros(2, 3, 2))
    with pytest.raises(ValueError, match="boolean mask"):
        MaskedEuclidean(mask.float(), 2)


def test_product_weights():
    m = Product(Sphere(2), FlatTorus(1), weights=(4.0, 0.25))
    generator = torch.Generator().manual_seed(4)
    x = m.random_uniform(20, generator=generator, dtype=torch.float64)
    y = m.random_uniform(20, generator=generator, dtype=torch.float64)
    (a, b), (c, d) = m.split(x), m.split(y)
    squared = 4 * Sphere(2).dist(a, c) ** 2 + 0.25 * FlatTorus(1).dist(b, d) ** 2
    assert torch.allclose(m.dist(x, y).square(), squared, rtol=1e-13)
    volume = 4 * math.pi * 4 * 2 * math.pi * 0.5
    assert m.log_uniform() == pytest.approx(-math.log(volume), rel=1e-13)
    assert torch.equal(m.join(m.split(x)), x)
    near = m.random_normal(x[:1].expand(50_000, -1), 1e-3, generator)
    spread = FlatTorus(1).dist(near[:, 3:], x[:1, 3:]).square().mean().sqrt()
    assert spread == pytest.approx(2e-3, rel=0.02)


def test_product_flattens_matrices_and_broadcasts():
    m = Product(Euclidean(2, 3), SO3())
    assert (m.point_shape, m.tangent_shape, m.dim) == ((10,), (9,), 9)
    q = torch.eye(4)[0]
    x = m.join((torch.zeros(5, 2, 3), q))
    assert x.shape == (5, 10)
    assert m.split(x)[0].shape == (5, 2, 3)


def test_product_messages():
    with pytest.raises(ValueError, match="one or more manifolds"):
        Product()
    with pytest.raises(ValueError, match="expected 1 positive weights, one a factor, got"):
        Product(Sphere(2), weights=(1, 2))
    with pytest.raises(ValueError, match="positive weights"):
        Product(Sphere(2), weights=(-1,))
    m = Product(Sphere(1), FlatTorus(1), weights=(1, 2))
    assert repr(m) == "Product(Sphere(1), FlatTorus(1), weights=(1.0, 2.0))"
    assert hash(m) == hash(Product(Sphere(1), FlatTorus(1), weights=(1, 2)))
    with pytest.raises(ValueError, match=r"part 1 of Product\(.*FlatTorus\(1\) with"):
        m.check_point(torch.tensor([1.0, 0, 7]))


def test_lengths():
    assert root(torch.tensor(9.0)) == 3
    assert root(torch.tensor(1e-30)) == pytest.approx(1e-15, rel=1e-6)
    x = torch.zeros(2, requires_grad=True, dtype=torch.float64)
    (first,) = torch.autograd.grad(root(dot(x, x)), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert (first == 0).all()
    assert second.isfinite().all()
    assert length(torch.tensor(0.0, dtype=torch.float64)) == torch.finfo(torch.float64).eps


def test_random_like_broadcasts_its_deviation():
    x = torch.zeros(3, 1, 4)
    noise = random_like(x, (2,), torch.ones(5), torch.Generator().manual_seed(5))
    assert noise.shape == (3, 5, 2)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (torch.tensor([0.5, 1.5]), r"times in \[0, 1\], got 1.5 at index \(1,\)"),
        (torch.tensor(float("nan")), "got nan"),
        (torch.tensor(1), "floating-point tensor, got torch.int64"),
        (0.5, "floating-point tensor, got float"),
    ],
)
def test_times_are_checked_on_request(t, message):
    with pytest.raises(ValueError, match=message):
        check_time(t)
    check_time(torch.tensor([0.0, 1.0]))


def test_no_cloud_at_all_is_a_space_too():
    m = MaskedEuclidean(torch.ones(0, 4, dtype=torch.bool), 3)
    assert m.dim == 0
    assert m.projx(torch.zeros(0, 4, 3)).shape == (0, 4, 3)
