r"""Euler angles in any of the twelve orders, to and from quaternions and matrices.

The angles (a, b, c) of the order "IJK" are the intrinsic rotations

    R = R_I(a) R_J(b) R_K(c),

first about K, then J, then I when applied to a column vector. Common names:

    "ZYX"   yaw, pitch, roll: a about z, b in [-pi/2, pi/2] about y, c about x
    "ZYZ"   alpha, beta, gamma of physics, b in [0, pi]
    "YXY"   alpha, beta, gamma of e3nn, whose axes are permuted

For a proper order (I = K) the quaternion is, with L the third axis and e_I x e_J = s e_L,

    w = cos(b/2) cos((a+c)/2),       q_I = cos(b/2) sin((a+c)/2),
    q_J = sin(b/2) cos((a-c)/2),     q_L = s sin(b/2) sin((a-c)/2),

so that half sum and half difference are two angles of atan2 and b is a third (Bernardes and
Viollet, PLoS ONE 2022). An order of three different axes becomes proper by a fixed quarter
turn about J, which takes e_I to -s e_K:

    R_I(a) R_J(b) R_K(c) = R_I(a) R_J(b + pi/2) R_I(-s c) R_J(-pi/2).

At gimbal lock (b at an end of its range) only a + c or a - c is determined: the other
combination counts as zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import check_shape
from .rotation_conversions import matrix_to_quaternion, quaternion_to_matrix

_ORDERS = ("XYX", "XYZ", "XZX", "XZY", "YXY", "YXZ", "YZX", "YZY", "ZXY", "ZXZ", "ZYX", "ZYZ")


def euler_to_quaternion(angles: Tensor, order: str) -> Tensor:
    """The unit quaternion of R_I(a) R_J(b) R_K(c).

    Args:
        angles: ``(..., 3)``, (a, b, c) in radians.
        order: three axes such as ``"ZYX"``, neighbours different.

    Returns:
        ``(..., 4)``, (w, x, y, z), of either sign.

    Raises:
        ValueError: the last dimension is not 3, the dtype is not floating, or the order is
            not one of the twelve.

    >>> euler_to_quaternion(torch.tensor([torch.pi, 0.0, 0.0]), "ZYZ").abs().round()
    tensor([0., 0., 0., 1.])
    """
    check_shape("(a, b, c)", "Euler angles", angles, (3,))
    i, j, ell, sign, proper = _axes(order)
    a, b, c = angles.unbind(-1)
    if not proper:
        b, c = b + torch.pi / 2, -sign * c
    cos_b, sin_b = (b / 2).cos(), (b / 2).sin()
    half_sum, half_difference = (a + c) / 2, (a - c) / 2
    q = {0: cos_b * half_sum.cos(), i: cos_b * half_sum.sin()}
    q |= {j: sin_b * half_difference.cos(), ell: sign * sin_b * half_difference.sin()}
    if not proper:
        q = {k: part * 0.5**0.5 for k, part in _turn(q, i, j, ell, -1, sign).items()}
    return torch.stack([q[k] for k in range(4)], -1)


def quaternion_to_euler(q: Tensor, order: str) -> Tensor:
    """The Euler angles (a, b, c) of a rotation; even in q and free of its length.

    a and c are in [-pi, pi]; b is in [0, pi] for a proper order such as "ZYZ" and in
    [-pi/2, pi/2] for one such as "ZYX". Within a rounding of gimbal lock the undetermined
    combination of a and c is zero, with zero gradient.

    Args:
        q: ``(..., 4)``, (w, x, y, z).
        order: three axes such as ``"ZYX"``, neighbours different.

    Returns:
        ``(..., 3)`` in radians.

    Raises:
        ValueError: the last dimension is not 4, the dtype is not floating, or the order is
            not one of the twelve.

    >>> quaternion_to_euler(torch.tensor([1.0, 0.0, 0.0, 1.0]), "ZYX").rad2deg().abs().round()
    tensor([90.,  0.,  0.])
    """
    check_shape("(w, x, y, z)", "quaternions", q, (4,))
    i, j, ell, sign, proper = _axes(order)
    length = (q * q).sum(-1, keepdim=True).clamp_min(torch.finfo(q.dtype).tiny).sqrt()
    parts = dict(enumerate((q / length).unbind(-1)))
    if not proper:
        parts = _turn(parts, i, j, ell, 1, sign)
    half_sum, cos_b = _polar(parts[i], parts[0])
    half_difference, sin_b = _polar(sign * parts[ell], parts[j])
    b = 2 * _polar(sin_b, cos_b)[0]
    a, c = half_sum + half_difference, half_sum - half_difference
    if not proper:
        b, c = b - torch.pi / 2, -sign * c
    return torch.stack([_wrap(a), b, _wrap(c)], -1)


def euler_to_matrix(angles: Tensor, order: str) -> Tensor:
    """R_I(a) R_J(b) R_K(c); ``(..., 3)`` to ``(..., 3, 3)``.

    Raises ``ValueError`` as ``euler_to_quaternion`` does.

    >>> euler_to_matrix(torch.zeros(3), "ZYZ").diagonal()
    tensor([1., 1., 1.])
    """
    return quaternion_to_matrix(euler_to_quaternion(angles, order))


def matrix_to_euler(r: Tensor, order: str) -> Tensor:
    """The Euler angles of a rotation matrix; ``(..., 3, 3)`` to ``(..., 3)``.

    Ranges, gimbal lock and errors are those of ``quaternion_to_euler``.

    >>> matrix_to_euler(torch.eye(3), "ZYZ")
    tensor([0., 0., 0.])
    """
    return quaternion_to_euler(matrix_to_quaternion(r), order)


def _axes(order: str) -> tuple[int, int, int, int, bool]:
    """(I, J, L, s, proper): axes counted from 1, with e_I x e_J = s e_L."""
    if order not in _ORDERS:
        raise ValueError(f"expected an order of axes among {', '.join(_ORDERS)}, got {order!r}")
    i, j = "XYZ".index(order[0]), "XYZ".index(order[1])
    return i + 1, j + 1, 4 - i - j, 1 if (j - i) % 3 == 1 else -1, order[0] == order[2]


def _turn(
    q: dict[int, Tensor], i: int, j: int, ell: int, turn: int, sign: int
) -> dict[int, Tensor]:
    """The parts of q (1 + turn e_J), sqrt(2) times q after a quarter turn about J."""
    s = turn * sign
    new = {0: q[0] - turn * q[j], j: q[j] + turn * q[0]}
    return new | {i: q[i] - s * q[ell], ell: q[ell] + s * q[i]}


def _polar(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Angle and length of (x, y); both zero, without gradient, within a rounding of (0, 0)."""
    squared = x * x + y * y
    positive = squared > torch.finfo(x.dtype).eps ** 2
    length = torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)
    angle = torch.atan2(torch.where(positive, y, 0.0), torch.where(positive, x, 1.0))
    return angle, length


def _wrap(angle: Tensor) -> Tensor:
    """Into [-pi, pi], by a whole number of turns that is a constant to the gradient."""
    return angle - 2 * torch.pi * (angle.detach() / (2 * torch.pi)).round()
