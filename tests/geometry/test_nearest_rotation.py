"""Orthogonal Procrustes without a decomposition: against the SVD, its gradient, its cut locus."""

import pytest
import torch

from geometry.nearest_rotation import nearest_rotation
from geometry.rotation_conversions import quaternion_to_matrix


def by_svd(a):
    """The textbook answer, with signed singular values."""
    u, s, v = torch.linalg.svd(a)
    sign = torch.linalg.det(u @ v).sign()
    flip = torch.ones_like(s)
    flip[..., 2] = sign
    return u @ torch.diag_embed(flip) @ v, s * flip


def random_rotations(count, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return quaternion_to_matrix(torch.randn(count, 4, generator=generator, dtype=dtype))


def test_agrees_with_the_singular_value_decomposition(dtype):
    a = torch.randn(2000, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a = a.to(dtype)
    reference, s = by_svd(a.double())
    r = nearest_rotation(a)
    error = (r.double() - reference).abs().amax((-2, -1))
    # The condition number of the problem is s_1 / (s_2 + s_3).
    condition = s[:, 0] / (s[:, 1] + s[:, 2])
    assert (error <= 100 * torch.finfo(dtype).eps * condition).all()
    eye = torch.eye(3, dtype=dtype).expand_as(r)
    torch.testing.assert_close(r.mT @ r, eye, rtol=0, atol=8 * torch.finfo(dtype).eps)


def test_rotations_are_fixed_at_any_scale(dtype):
    r = random_rotations(100, dtype)
    for scale in (1e-30, 1.0, 1e30):
        torch.testing.assert_close(
            nearest_rotation(scale * r), r, rtol=0, atol=10 * torch.finfo(dtype).eps
        )


def test_commutes_with_rotations_from_both_sides():
    a = torch.randn(50, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p, q = random_rotations(50, seed=2), random_rotations(50, seed=3)
    torch.testing.assert_close(nearest_rotation(p @ a @ q), p @ nearest_rotation(a) @ q)


def test_gradients_are_right_where_those_of_the_svd_are_not_finite():
    generator = torch.Generator().manual_seed(4)
    generic = torch.randn(4, 3, 3, generator=generator, dtype=torch.float64)
    # All three singular values equal.
    a = torch.cat([generic, random_rotations(2), 5 * random_rotations(1)])
    assert torch.autograd.gradcheck(nearest_rotation, a.requires_grad_())


def test_matrices_without_a_unique_answer_get_a_near_one(dtype):
    generator = torch.Generator().manual_seed(5)
    column = torch.randn(3, 1, generator=generator, dtype=dtype)
    a = torch.stack(
        [
            torch.zeros(3, 3, dtype=dtype),
            -torch.eye(3, dtype=dtype),
            torch.diag(torch.tensor([1.0, 1, -1], dtype=dtype)),
            torch.ones(3, 3, dtype=dtype),
            column @ column.T,
            torch.diag(torch.tensor([1.0, 0, 0], dtype=dtype)),
        ]
    ).requires_grad_()
    r = nearest_rotation(a)
    eye = torch.eye(3, dtype=dtype).expand_as(r)
    torch.testing.assert_close(r.mT @ r, eye, rtol=0, atol=8 * torch.finfo(dtype).eps)
    _, s = by_svd(a.detach())
    reached, best = (r * a).sum((-2, -1)), s.sum(-1)
    torch.testing.assert_close(reached, best, rtol=1e-5, atol=1e-6)
    (r * torch.arange(9.0, dtype=dtype).reshape(3, 3)).sum().backward()
    assert a.grad.isfinite().all()


def test_shapes_and_vmap():
    a = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(6))
    r = nearest_rotation(a)
    torch.testing.assert_close(torch.func.vmap(nearest_rotation)(a), r)
    torch.testing.assert_close(nearest_rotation(a[1, 2]), r[1, 2])
    assert nearest_rotation(a[:0]).shape == (0, 3, 3, 3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"expected matrices .* got shape \(3, 4\)"):
        nearest_rotation(torch.zeros(3, 4))
