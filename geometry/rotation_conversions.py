r"""Quaternions, rotation matrices and rotation vectors.

A unit quaternion q = (w, v) and its negative are the same rotation

    R(q) = I + 2 w [v]_x + 2 [v]_x^2,      [v]_x y = v x y.

The sixteen products 4 q_i q_j are affine in R: 4 q q^T = I + M(R) with the linear map M of
``davenport``. Any row of 4 q q^T is a multiple of q, and the one with the largest diagonal
entry has length 4 max_i |q_i| >= 2, so that dividing by its length never loses digits: this
is the selection of ``matrix_to_quaternion``, made with an index instead of four branches
(Shepperd, J. Guid. Control 1978). A rotation vector u is axis times angle,

    exp(u / 2) = (cos(|u|/2), sin(|u|/2)/|u| u),    u = 2 atan2(|v|, w) v/|v|,

both with their series about |u| = 0.

Functions are named ``a_to_b``, take any batch shape including ``()`` and empty, keep dtype
and device, and have finite values and gradients for every finite input, angles 0 and pi and
degenerate matrices included. Angles are in radians, products are active and Hamilton's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import check_shape

# Below this square of the angle the truncated series are exact in float64.
_SMALL = 1e-4


def quaternion_to_matrix(q: Tensor) -> Tensor:
    """R(q), orthogonal to rounding even if ``q`` is not of unit length.

    R = I + 2 (w [v]_x + [v]_x^2) / |q|^2.

    Args:
        q: ``(..., 4)``, (w, x, y, z), of any length; a zero quaternion gives the identity.

    Returns:
        ``(..., 3, 3)``.

    Raises:
        ValueError: the last dimension is not 4, or the dtype is not floating.

    >>> quaternion_to_matrix(torch.tensor([0.0, 1.0, 0.0, 0.0])).diagonal()
    tensor([ 1., -1., -1.])
    """
    check_shape("(w, x, y, z)", "quaternions", q, (4,))
    scale = 2 / (q * q).sum(-1).clamp_min(torch.finfo(q.dtype).tiny)
    w, x, y, z = q.unbind(-1)
    sx, sy, sz = scale * x, scale * y, scale * z
    xx, yy, zz = sx * x, sy * y, sz * z
    xy, xz, yz = sx * y, sx * z, sy * z
    wx, wy, wz = sx * w, sy * w, sz * w
    entries = [1 - (yy + zz), xy - wz, xz + wy]
    entries += [xy + wz, 1 - (xx + zz), yz - wx]
    entries += [xz - wy, yz + wx, 1 - (xx + yy)]
    return torch.stack(entries, -1).reshape(*q.shape[:-1], 3, 3)


def davenport(a: Tensor) -> Tensor:
    """The symmetric traceless M(A) with q^T M(A) q = <R(q), A> |q|^2, ``(..., 4, 4)``.

    For a rotation, I + M(R(q)) = 4 q q^T; in general its largest eigenvector is the
    quaternion of the rotation nearest to A (Davenport's q-method, 1968). ``a``: ``(..., 3, 3)``.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in a.unbind(-2))
    wx, wy, wz = zy - yz, xz - zx, yx - xy
    s, t, u = yx + xy, xz + zx, zy + yz
    entries = [xx + yy + zz, wx, wy, wz]
    entries += [wx, xx - yy - zz, s, t]
    entries += [wy, s, yy - xx - zz, u]
    entries += [wz, t, u, zz - xx - yy]
    return torch.stack(entries, -1).reshape(*a.shape[:-2], 4, 4)


def dominant_row(outer: Tensor) -> Tensor:
    """The q, up to sign, of a positive multiple of q q^T, ``(..., 4, 4)``; unit, w >= 0.

    The row with the largest diagonal entry, found by index.
    """
    index = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    row = outer.gather(-2, index.expand(*outer.shape[:-2], 1, 4)).squeeze(-2)
    q = row / (row * row).sum(-1, keepdim=True).sqrt()
    return torch.where(q[..., :1] < 0, -q, q)


def matrix_to_quaternion(r: Tensor) -> Tensor:
    """The unit quaternion with w >= 0 of a rotation matrix.

    The row of 4 q q^T with the largest diagonal entry, divided by its length, which is at
    least 2: no cancellation at any angle. Where w = 0 either sign may come back. A matrix
    that is not quite a rotation is not projected first; see ``nearest_rotation``.

    Args:
        r: ``(..., 3, 3)``.

    Returns:
        ``(..., 4)``, (w, x, y, z).

    Raises:
        ValueError: the trailing shape is not (3, 3), or the dtype is not floating.

    >>> matrix_to_quaternion(torch.diag(torch.tensor([1.0, -1.0, -1.0])))
    tensor([0., 1., 0., 0.])
    """
    check_shape("R", "rotation matrices", r, (3, 3))
    return dominant_row(davenport(r) + torch.eye(4, dtype=r.dtype, device=r.device))


def rotation_vector_to_quaternion(u: Tensor) -> Tensor:
    """(cos(|u|/2), sin(|u|/2)/|u| u), smooth everywhere; w < 0 where |u| > pi.

    Args:
        u: ``(..., 3)``, axis times angle, of any length.

    Returns:
        ``(..., 4)``, unit.

    Raises:
        ValueError: the last dimension is not 3, or the dtype is not floating.

    >>> rotation_vector_to_quaternion(torch.tensor([torch.pi, 0.0, 0.0])).abs().round()
    tensor([0., 1., 0., 0.])
    """
    check_shape("u", "rotation vectors", u, (3,))
    squared = (u * u).sum(-1, keepdim=True)
    small = squared < _SMALL
    # The branch not taken gets angle 1, so that its gradient is finite too.
    angle = torch.where(small, 1.0, squared).sqrt()
    s = torch.where(small, squared, 0.0)
    cosine_series = 1 - s / 8 * (1 - s / 48 * (1 - s / 120))
    sine_series = 0.5 - s / 48 * (1 - s / 80)
    w = torch.where(small, cosine_series, (angle / 2).cos())
    return torch.cat([w, torch.where(small, sine_series, (angle / 2).sin() / angle) * u], -1)


def quaternion_to_rotation_vector(q: Tensor) -> Tensor:
    """The rotation vector of least length, 2 atan2(|v|, |w|) sign(w) v/|v|, at most pi long.

    Even in q, since -q is the same rotation; sign(0) = 1. Does not depend on the length of
    q, if that is above a rounding, and a zero quaternion gives zero.

    Args:
        q: ``(..., 4)``, (w, x, y, z).

    Returns:
        ``(..., 3)``.

    Raises:
        ValueError: the last dimension is not 4, or the dtype is not floating.

    >>> quaternion_to_rotation_vector(torch.tensor([-1.0, 0.0, 0.0, 1e-4]))
    tensor([-0.0000, -0.0000, -0.0002])
    """
    check_shape("(w, x, y, z)", "quaternions", q, (4,))
    q = torch.where(q[..., :1] < 0, -q, q)
    w, v = q[..., :1], q[..., 1:]
    squared = (v * v).sum(-1, keepdim=True)
    small = squared <= _SMALL * w * w
    length = torch.where(small, 1.0, squared).sqrt()
    # atan(s)/s = 1 - s^2/3 + ..., s = |v|/w: the series, too, is free of the length of q.
    w_safe = torch.where(small, w, 1.0).clamp_min(torch.finfo(q.dtype).eps)
    s = torch.where(small, squared, 0.0) / w_safe / w_safe
    series = 2 / w_safe * (1 - s * (1 / 3 - s * (1 / 5 - s / 7)))
    return torch.where(small, series, 2 * torch.atan2(length, w) / length) * v


def rotation_vector_to_matrix(u: Tensor) -> Tensor:
    """exp([u]_x), Rodrigues' rotation; ``(..., 3)`` to ``(..., 3, 3)``.

    Raises ``ValueError`` if the last dimension is not 3 or the dtype is not floating.

    >>> rotation_vector_to_matrix(torch.tensor([0.0, 0.0, torch.pi / 2])).round().abs()
    tensor([[0., 1., 0.],
            [1., 0., 0.],
            [0., 0., 1.]])
    """
    return quaternion_to_matrix(rotation_vector_to_quaternion(u))


def matrix_to_rotation_vector(r: Tensor) -> Tensor:
    """The rotation vector, at most pi long; ``(..., 3, 3)`` to ``(..., 3)``.

    At angle pi exactly the axis is known up to sign and either sign may come back.
    Raises ``ValueError`` if the trailing shape is not (3, 3) or the dtype is not floating.

    >>> matrix_to_rotation_vector(torch.eye(3))
    tensor([0., 0., 0.])
    """
    return quaternion_to_rotation_vector(matrix_to_quaternion(r))
