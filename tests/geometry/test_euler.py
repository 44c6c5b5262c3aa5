"""Euler angles: twelve orders against scipy, e3nn's convention, gimbal lock."""

import importlib
import math
import warnings

import pytest
import torch
from scipy.spatial.transform import Rotation

from geometry.euler import (
    euler_to_matrix,
    euler_to_quaternion,
    matrix_to_euler,
    quaternion_to_euler,
)
from geometry.rotation_conversions import quaternion_to_matrix, rotation_vector_to_matrix

ORDERS = ["XYX", "XYZ", "XZX", "XZY", "YXY", "YXZ", "YZX", "YZY", "ZXY", "ZXZ", "ZYX", "ZYZ"]


def random_angles(count, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(count, 3, generator=generator, dtype=dtype) - 1) * math.pi


@pytest.mark.parametrize("order", ORDERS)
def test_agree_with_scipy(order):
    angles = random_angles(300)
    reference = Rotation.from_euler(order, angles.numpy())
    matrix = torch.from_numpy(reference.as_matrix())
    # A product of three rotations: a dozen roundings.
    torch.testing.assert_close(euler_to_matrix(angles, order), matrix, rtol=0, atol=3e-15)
    ours = matrix_to_euler(matrix, order)
    theirs = torch.from_numpy(reference.as_euler(order))
    difference = ours - theirs
    difference = difference - 2 * math.pi * (difference / (2 * math.pi)).round()
    # Near gimbal lock two angles lose 1/sin b digits, and the draws come within 1e-2 of it.
    assert difference.abs().max() < 1e-12


@pytest.mark.parametrize("order", ORDERS)
def test_round_trip_within_the_ranges(order, dtype):
    r = euler_to_matrix(random_angles(300, dtype), order)
    angles = matrix_to_euler(r, order)
    torch.testing.assert_close(
        euler_to_matrix(angles, order), r, rtol=0, atol=20 * torch.finfo(dtype).eps
    )
    slack = 4 * torch.finfo(dtype).eps
    low, high = (0, math.pi) if order[0] == order[2] else (-math.pi / 2, math.pi / 2)
    assert (angles[:, ::2].abs() <= math.pi + slack).all()
    assert (angles[:, 1] >= low - slack).all()
    assert (angles[:, 1] <= high + slack).all()


def test_the_product_is_intrinsic():
    a, b, c = angles = random_angles(1)[0]
    z, y, x = torch.eye(3, dtype=torch.float64).flip(0)
    product = (
        rotation_vector_to_matrix(a * z)
        @ rotation_vector_to_matrix(b * y)
        @ rotation_vector_to_matrix(c * x)
    )
    torch.testing.assert_close(euler_to_matrix(angles, "ZYX"), product)


def test_alpha_beta_gamma_of_e3nn_are_yxy():
    with warnings.catch_warnings():
        # e3nn loads its tables by torch.jit, deprecated in torch 2.13.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        o3 = importlib.import_module("e3nn.o3")
        angles = random_angles(100)
        theirs = o3.angles_to_matrix(*angles.unbind(-1))
    torch.testing.assert_close(euler_to_matrix(angles, "YXY"), theirs, rtol=0, atol=3e-15)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("end", [0, 1])
def test_gimbal_lock_is_finite_and_still_the_rotation(order, dtype, end):
    b = math.pi * end if order[0] == order[2] else math.pi * (end - 0.5)
    steps = torch.tensor([0.0, 1e-12, 1e-7, 1e-4], dtype=dtype)
    angles = torch.stack(
        [torch.full_like(steps, 0.7), b + steps, torch.full_like(steps, -0.4)], -1
    )
    q = euler_to_quaternion(angles, order).requires_grad_()
    back = quaternion_to_euler(q, order)
    back.sum().backward()
    assert q.grad.isfinite().all()
    # Within a rounding of lock an angle of that size is dropped.
    torch.testing.assert_close(
        euler_to_matrix(back.detach(), order),
        quaternion_to_matrix(q.detach()),
        rtol=0,
        atol=20 * torch.finfo(dtype).eps,
    )


def test_zero_rotation_has_zero_angles_in_every_order():
    for order in ORDERS:
        angles = quaternion_to_euler(torch.tensor([1.0, 0, 0, 0], dtype=torch.float64), order)
        torch.testing.assert_close(angles, torch.zeros_like(angles), rtol=0, atol=1e-15)


@pytest.mark.parametrize("order", ["ZYZ", "ZYX", "XYZ"])
def test_gradients_are_right(order):
    angles = random_angles(2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: euler_to_quaternion(a, order), angles)
    q = torch.randn(2, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda q: quaternion_to_euler(q, order), q.requires_grad_())


def test_opposite_quaternions_have_the_same_angles():
    q = torch.randn(100, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    for order in ORDERS:
        difference = quaternion_to_euler(q, order) - quaternion_to_euler(-3 * q, order)
        difference = difference - 2 * math.pi * (difference / (2 * math.pi)).round()
        assert difference.abs().max() < 1e-14


def test_shapes_and_vmap():
    angles = random_angles(6).reshape(2, 3, 3)
    q = euler_to_quaternion(angles, "ZYX")
    assert q.shape == (2, 3, 4)
    torch.testing.assert_close(torch.func.vmap(lambda a: euler_to_quaternion(a, "ZYX"))(angles), q)
    assert quaternion_to_euler(q[:0], "ZYZ").shape == (0, 3, 3)
    assert matrix_to_euler(torch.eye(3), "ZYZ").shape == (3,)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"expected an order of axes among .*, got 'zyx'"):
        euler_to_matrix(torch.zeros(3), "zyx")
    with pytest.raises(ValueError, match="got 'ZZX'"):
        matrix_to_euler(torch.eye(3), "ZZX")
    with pytest.raises(ValueError, match=r"expected Euler angles .* got shape \(4,\)"):
        euler_to_quaternion(torch.zeros(4), "ZYX")
