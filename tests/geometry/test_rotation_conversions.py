"""Quaternion, matrix, rotation vector, 6-D: round trips, oracles, gradients, shapes."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from geometry.rotation_6d import matrix_to_rotation_6d, rotation_6d_to_matrix
from geometry.rotation_conversions import (
    matrix_to_quaternion,
    matrix_to_rotation_vector,
    quaternion_to_matrix,
    quaternion_to_rotation_vector,
    rotation_vector_to_matrix,
    rotation_vector_to_quaternion,
)

ANGLES = [0.0, 1e-8, 1e-4, 9.9e-3, 1.01e-2, 1.0, math.pi - 1e-4, math.pi - 1e-8, math.pi]
CONVERTERS = [
    (quaternion_to_matrix, (4,)),
    (matrix_to_quaternion, (3, 3)),
    (rotation_vector_to_quaternion, (3,)),
    (quaternion_to_rotation_vector, (4,)),
    (rotation_vector_to_matrix, (3,)),
    (matrix_to_rotation_vector, (3, 3)),
    (matrix_to_rotation_6d, (3, 3)),
    (rotation_6d_to_matrix, (6,)),
]


def roundings(dtype: torch.dtype, count: float) -> float:
    """``count`` roundings: each entry is a handful of products and sums of numbers <= 2."""
    return count * torch.finfo(dtype).eps


def vectors(dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Rotation vectors of every angle of the list and random ones, in every octant and axis."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    axes = torch.cat([torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64), axes])
    axes = axes / axes.norm(dim=-1, keepdim=True)
    angles = torch.tensor(ANGLES, dtype=torch.float64)
    angles = torch.cat(
        [angles, math.pi * torch.rand(10, generator=generator, dtype=torch.float64)]
    )
    return (angles[:, None, None] * axes).reshape(-1, 3).to(dtype)


def scipy_rotation(u: Tensor) -> Rotation:
    return Rotation.from_rotvec(u.double().numpy())


def test_agree_with_scipy(dtype):
    u = vectors(dtype)
    reference = scipy_rotation(u)
    matrix = torch.from_numpy(reference.as_matrix())
    quaternion = torch.from_numpy(reference.as_quat(scalar_first=True))
    torch.testing.assert_close(
        rotation_vector_to_matrix(u).double(), matrix, rtol=0, atol=roundings(dtype, 8)
    )
    q = rotation_vector_to_quaternion(u).double()
    sign = (q * quaternion).sum(-1, keepdim=True).sign()
    torch.testing.assert_close(q, sign * quaternion, rtol=0, atol=roundings(dtype, 4))


def test_round_trips_are_exact_to_rounding_at_every_angle(dtype):
    u = vectors(dtype)
    r = rotation_vector_to_matrix(u)
    tol = {"rtol": 0, "atol": roundings(dtype, 16)}
    torch.testing.assert_close(quaternion_to_matrix(matrix_to_quaternion(r)), r, **tol)
    torch.testing.assert_close(rotation_vector_to_matrix(matrix_to_rotation_vector(r)), r, **tol)
    torch.testing.assert_close(rotation_6d_to_matrix(matrix_to_rotation_6d(r)), r, **tol)


def test_the_quaternion_of_a_matrix_keeps_absolute_accuracy_at_pi(dtype):
    """The axis survives at pi, where the antisymmetric part of the matrix is gone."""
    u = vectors(dtype)
    q = rotation_vector_to_quaternion(u)
    back = matrix_to_quaternion(quaternion_to_matrix(q))
    sign = (back * q).sum(-1, keepdim=True).sign()
    # A rounding of the matrix is divided by 4 max|q_i| >= 2.
    torch.testing.assert_close(sign * back, q, rtol=0, atol=roundings(dtype, 8))
    assert (back[:, 0] >= 0).all()


def test_rotation_vectors_keep_relative_accuracy_through_quaternions(dtype):
    u = vectors(dtype)
    u = u[u.norm(dim=-1) < math.pi - 1e-3]
    back = quaternion_to_rotation_vector(rotation_vector_to_quaternion(u))
    error = (back - u).norm(dim=-1)
    assert (error <= roundings(dtype, 8) * u.norm(dim=-1)).all()


def test_opposite_quaternions_have_one_rotation_vector():
    q = torch.randn(50, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    u = quaternion_to_rotation_vector(q)
    torch.testing.assert_close(quaternion_to_rotation_vector(-q), u, rtol=0, atol=0)
    assert (u.norm(dim=-1) <= math.pi).all()
    # The length of the quaternion does not matter.
    torch.testing.assert_close(quaternion_to_rotation_vector(7 * q), u)
    torch.testing.assert_close(quaternion_to_matrix(7 * q), quaternion_to_matrix(q))


def test_a_full_turn_is_the_negative_identity():
    u = torch.tensor([0.0, 0.0, 2 * math.pi], dtype=torch.float64, requires_grad=True)
    q = rotation_vector_to_quaternion(u)
    torch.testing.assert_close(q, q.new_tensor([-1, 0, 0, 0]), rtol=0, atol=1e-15)
    gradient = torch.autograd.functional.jacobian(rotation_vector_to_quaternion, u.detach())
    assert gradient.isfinite().all()
    back = quaternion_to_rotation_vector(q)
    assert back.norm() < 1e-14


def test_zhou_columns_of_any_scale_give_a_rotation(dtype):
    a = torch.randn(200, 6, generator=torch.Generator().manual_seed(2), dtype=dtype)
    a = a * 10.0 ** torch.linspace(-30, 30, 200, dtype=dtype)[:, None]
    r = rotation_6d_to_matrix(a)
    eye = torch.eye(3, dtype=dtype).expand_as(r)
    torch.testing.assert_close(r.mT @ r, eye, rtol=0, atol=roundings(dtype, 8))
    torch.testing.assert_close(torch.linalg.det(r), r.new_ones(200))
    # b_1 is along a_1 and b_2 in the half plane of a_2.
    assert ((r[..., 0] * a[:, :3]).sum(-1) > 0).all()
    assert ((r[..., 1] * a[:, 3:]).sum(-1) > 0).all()


@pytest.mark.parametrize(
    "a",
    [[0.0] * 6, [0, 0, 0, 1, 0, 0], [1, 2, 3, 0, 0, 0], [1, 2, 3, -2, -4, -6]],
    ids=["zero", "no a_1", "no a_2", "parallel"],
)
def test_degenerate_6d_input_is_completed(dtype, a):
    a = torch.tensor(a, dtype=dtype, requires_grad=True)
    r = rotation_6d_to_matrix(a)
    eye = torch.eye(3, dtype=dtype)
    torch.testing.assert_close(r.mT @ r, eye, rtol=0, atol=roundings(dtype, 8))
    (r * torch.arange(9.0, dtype=dtype).reshape(3, 3)).sum().backward()
    assert a.grad.isfinite().all()


def test_nearly_parallel_6d_input_is_orthogonal_to_rounding(dtype):
    """One pass of Gram-Schmidt would miss by eps/angle."""
    a = torch.tensor([1.0, 2, 3, 1, 2, 3], dtype=dtype)
    a[3] += 1e3 * torch.finfo(dtype).eps
    r = rotation_6d_to_matrix(a)
    torch.testing.assert_close(
        r.mT @ r, torch.eye(3, dtype=dtype), rtol=0, atol=roundings(dtype, 8)
    )


def test_gradients_are_finite_at_every_angle(dtype):
    u = vectors(dtype)
    u = torch.cat([u, 2 * u])  # up to 2 pi
    q = rotation_vector_to_quaternion(u)
    q = torch.cat([q, -q])
    r = quaternion_to_matrix(q)
    inputs = {
        rotation_vector_to_quaternion: u,
        rotation_vector_to_matrix: u,
        quaternion_to_matrix: torch.cat([q, 0 * q]),
        quaternion_to_rotation_vector: torch.cat([q, 0 * q]),
        matrix_to_quaternion: r,
        matrix_to_rotation_vector: r,
        rotation_6d_to_matrix: matrix_to_rotation_6d(r),
    }
    for convert, x in inputs.items():
        x = x.clone().requires_grad_()
        y = convert(x)
        (y * torch.linspace(-1, 2, y.numel(), dtype=dtype).reshape(y.shape)).sum().backward()
        assert y.isfinite().all(), convert.__name__
        assert x.grad.isfinite().all(), convert.__name__


@pytest.mark.parametrize(
    ("convert", "shape"), CONVERTERS, ids=lambda c: getattr(c, "__name__", "")
)
def test_gradients_are_right(convert, shape):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    if shape == (3, 3):
        # Within the rotations: off them the conversion is one of many extensions.
        x = quaternion_to_matrix(torch.randn(3, 4, generator=generator, dtype=torch.float64))
    assert torch.autograd.gradcheck(convert, x.requires_grad_())


@pytest.mark.parametrize("scale", [1e-3, 9e-3, 1.1e-2])
def test_gradients_are_right_on_both_sides_of_the_series(scale):
    u = torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64) * scale
    assert torch.autograd.gradcheck(rotation_vector_to_quaternion, u.clone().requires_grad_())
    q = rotation_vector_to_quaternion(u).requires_grad_()
    assert torch.autograd.gradcheck(quaternion_to_rotation_vector, q)
    # Steps of 1e-6 at 1e-3: second differences of a smooth map, hence the looser tolerance.
    assert torch.autograd.gradgradcheck(
        rotation_vector_to_quaternion, u.clone().requires_grad_(), atol=1e-4
    )


@pytest.mark.parametrize(
    ("convert", "shape"), CONVERTERS, ids=lambda c: getattr(c, "__name__", "")
)
def test_shapes_dtypes_and_vmap(convert, shape, dtype):
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(4), dtype=dtype)
    y = convert(x)
    assert y.dtype == dtype
    torch.testing.assert_close(convert(x[0, 1]), y[0, 1])
    assert convert(x[:0]).shape == (0, *y.shape[1:])
    torch.testing.assert_close(torch.func.vmap(convert)(x), y)
    torch.testing.assert_close(convert(x.transpose(0, 1)), y.transpose(0, 1))


def test_compile_in_one_graph():
    r = rotation_vector_to_matrix(vectors(torch.float32))
    compiled = torch.compile(matrix_to_rotation_vector, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(r), matrix_to_rotation_vector(r))


@pytest.mark.parametrize(
    ("convert", "shape"), CONVERTERS, ids=lambda c: getattr(c, "__name__", "")
)
def test_bad_input_is_refused(convert, shape):
    with pytest.raises(ValueError, match=r"expected .* got shape \(2, 5\)"):
        convert(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"floating-point .* got torch.int64"):
        convert(torch.zeros(shape, dtype=torch.int64))
