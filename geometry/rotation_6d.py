r"""The 6-D representation of rotations: the first two columns of the matrix.

Any six numbers come back by Gram-Schmidt (Zhou et al., CVPR 2019)::

    b_1 = unit(a_1),   b_2 = unit(a_2 - <b_1, a_2> b_1),   R = [b_1, b_2, b_1 x b_2]

a continuous map onto the rotations, which no map from fewer than five numbers is; hence its
use as the output of a network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import check_shape


def matrix_to_rotation_6d(r: Tensor) -> Tensor:
    """The first column, then the second; ``(..., 3, 3)`` to ``(..., 6)``.

    Raises ``ValueError`` if the trailing shape is not (3, 3) or the dtype is not floating.

    >>> matrix_to_rotation_6d(torch.eye(3))
    tensor([1., 0., 0., 0., 1., 0.])
    """
    check_shape("R", "rotation matrices", r, (3, 3))
    return r[..., :2].transpose(-1, -2).flatten(-2)


def rotation_6d_to_matrix(a: Tensor) -> Tensor:
    """Gram-Schmidt on two 3-vectors a_1, a_2: columns b_1, b_2 and b_1 x b_2.

    b_1 = unit(a_1), b_2 = unit(a_2 - <b_1, a_2> b_1), orthogonalised twice, so that the result
    is a rotation to rounding however small the angle between the two. Degenerate input is
    completed: a_1 = 0 counts as e_x, and a_2 parallel to a_1 (to four roundings) or zero
    counts as the coordinate axis least aligned with b_1, with zero gradient to a_2.

    Args:
        a: ``(..., 6)``, a_1 then a_2, of any lengths.

    Returns:
        ``(..., 3, 3)``.

    Raises:
        ValueError: the last dimension is not 6, or the dtype is not floating.

    >>> rotation_6d_to_matrix(torch.zeros(6))
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])
    """
    check_shape("(a_1, a_2)", "6-D rotations", a, (6,))
    a1, a2 = _scaled(a[..., :3]), _scaled(a[..., 3:])
    axes = torch.eye(3, dtype=a.dtype, device=a.device)
    # A scaled vector is zero or at least 1 long.
    b1 = _unit(torch.where(_squared(a1) < 0.5, axes[0], a1))
    perpendicular = _reject(a2, b1)
    parallel = _squared(perpendicular) <= (4 * torch.finfo(a.dtype).eps) ** 2
    spare = _reject(axes[b1.abs().argmin(-1)], b1)
    b2 = _unit(torch.where(parallel, spare, perpendicular))
    b2 = _unit(_reject(b2, b1))
    return torch.stack([b1, b2, torch.cross(b1, b2, dim=-1)], -1)


def _scaled(v: Tensor) -> Tensor:
    """``v`` divided by its largest entry, which is a constant to the gradient."""
    largest = v.detach().abs().amax(-1, keepdim=True)
    return v / largest.clamp_min(torch.finfo(v.dtype).tiny)


def _squared(v: Tensor) -> Tensor:
    return (v * v).sum(-1, keepdim=True)


def _unit(v: Tensor) -> Tensor:
    return v / _squared(v).sqrt()


def _reject(v: Tensor, axis: Tensor) -> Tensor:
    return v - (v * axis).sum(-1, keepdim=True) * axis
