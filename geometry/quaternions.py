r"""Quaternions q = w + x i + y j + z k, stored (w, x, y, z) along the last axis.

Hamilton's product, with u the vector part::

    (w_1, u_1) (w_2, u_2) = (w_1 w_2 - <u_1, u_2>,  w_1 u_2 + w_2 u_1 + u_1 x u_2)

A unit quaternion q acts on a vector by q v q*, a rotation by 2 atan2(|u|, w) about u; q and -q
are the same rotation. Products of rotations are products of quaternions in the same order:
rotate(p q, v) = rotate(p, rotate(q, v)). Batch dimensions broadcast; nothing normalises.
"""

from __future__ import annotations

import torch
from torch import Tensor


def quaternion_multiply(p: Tensor, q: Tensor) -> Tensor:
    """Hamilton's product p q: ``(..., 4), (..., 4) -> (..., 4)``.

    Example:
        >>> i, j = torch.tensor([0.0, 1, 0, 0]), torch.tensor([0.0, 0, 1, 0])
        >>> quaternion_multiply(i, j)
        tensor([0., 0., 0., 1.])
    """
    a, b, c, d = p.unbind(-1)
    w, x, y, z = q.unbind(-1)
    return torch.stack(
        (
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ),
        -1,
    )


def quaternion_conjugate(q: Tensor) -> Tensor:
    """q* = (w, -u), the inverse of a unit quaternion: ``(..., 4) -> (..., 4)``.

    Example:
        >>> quaternion_conjugate(torch.tensor([1.0, 2, 3, 4]))
        tensor([ 1., -2., -3., -4.])
    """
    return torch.cat((q[..., :1], -q[..., 1:]), -1)


def conjugate_product(p: Tensor, q: Tensor) -> Tensor:
    """Vector part of p* q, i.e. w_p u_q - w_q u_p - u_p x u_q: ``(..., 4) -> (..., 3)``.

    For unit quaternions it is sin(angle / 2) times the axis of the rotation from p to q.

    Example:
        >>> conjugate_product(torch.tensor([1.0, 0, 0, 0]), torch.tensor([0.6, 0.8, 0, 0]))
        tensor([0.8000, 0.0000, 0.0000])
    """
    a, b, c, d = p.unbind(-1)
    w, x, y, z = q.unbind(-1)
    return torch.stack(
        (
            a * x - b * w - c * z + d * y,
            a * y + b * z - c * w - d * x,
            a * z - b * y + c * x - d * w,
        ),
        -1,
    )


def quaternion_rotate(q: Tensor, v: Tensor) -> Tensor:
    """The vector q v q* for a unit q, as v + 2 (w a + u x a) with a = u x v.

    Shapes ``(..., 4), (..., 3) -> (..., 3)``.

    Example:
        >>> quarter_turn = torch.tensor([0.5, 0, 0, 0.5]).mul(2).sqrt() * 0.5**0.5
        >>> quaternion_rotate(quarter_turn, torch.tensor([1.0, 0, 0])).round(decimals=4)
        tensor([0., 1., 0.])
    """
    w, x, y, z = q.unbind(-1)
    a, b, c = v.unbind(-1)
    d, e, f = y * c - z * b, z * a - x * c, x * b - y * a
    return torch.stack(
        (
            a + 2 * (w * d + y * f - z * e),
            b + 2 * (w * e + z * d - x * f),
            c + 2 * (w * f + x * e - y * d),
        ),
        -1,
    )
