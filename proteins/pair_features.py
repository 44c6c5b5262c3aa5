r"""What a pair of residues looks like from within: numbers that no rigid motion changes.

With T_i = (R_i, x_i), v = x_j - x_i and d = |v|, for every ordered pair (i, j)::

    exp(-((d - c)/2)^2), c = 2, 4, ..., 42,   log(1 + d)    the distance, in Angstrom
    R_i^T v / sqrt(1 + d^2)                                 the direction, seen from i
    R_i^T R_j                                               nine numbers; q and -q give the same
    the same of the distance between the CA predicted last, times the flag w_i w_j, and the flag

The flag (the fourth homogeneous coordinate) tells "nothing predicted yet" from "all in one place".
"""

from __future__ import annotations

import torch
from torch import Tensor

from geometry.lengths import dot, length
from geometry.rotation_conversions import quaternion_to_matrix

CENTRES, WIDTH = tuple(range(2, 43, 2)), 2.0
NUM_DISTANCE_FEATURES = len(CENTRES) + 1
NUM_PAIR_FEATURES = 2 * NUM_DISTANCE_FEATURES + 3 + 9 + 1


def distance_features(d: Tensor) -> Tensor:
    """Gaussians and logarithm of distances in Angstrom: ``(...)`` to ``(..., 22)``.

    Example:
        >>> distance_features(torch.tensor(4.0))[:3]
        tensor([0.3679, 1.0000, 0.3679])
    """
    centres = torch.tensor(CENTRES, dtype=d.dtype, device=d.device)
    bumps = (-((d.unsqueeze(-1) - centres) / WIDTH).square()).exp()
    return torch.cat((bumps, d.log1p().unsqueeze(-1)), -1)


def pair_features(rotation: Tensor, translation: Tensor, previous: Tensor) -> Tensor:
    """The features of this module's head, ``(B, L, L, NUM_PAIR_FEATURES)``.

    Args:
        rotation: unit quaternions ``(B, L, 4)``.
        translation: CA in Angstrom, ``(B, L, 3)``.
        previous: CA predicted last, homogeneous, ``(B, L, 4)``; zeros for none.
    """
    R = quaternion_to_matrix(rotation)
    v = translation.unsqueeze(-3) - translation.unsqueeze(-2)
    squared = dot(v, v)
    direction = (v @ R) / (1 + squared).sqrt().unsqueeze(-1)
    known = previous[..., 3]
    flag = (known.unsqueeze(-1) * known.unsqueeze(-2)).unsqueeze(-1)
    return torch.cat(
        (
            distance_features(length(squared)),
            direction,
            _relative_rotations(R),
            flag * distance_features(_distances(previous[..., :3])),
            flag,
        ),
        -1,
    )


def _distances(x: Tensor) -> Tensor:
    v = x.unsqueeze(-3) - x.unsqueeze(-2)
    return length(dot(v, v))


def _relative_rotations(R: Tensor) -> Tensor:
    """R_i^T R_j of ``(B, L, 3, 3)``, as ``(B, L, L, 9)``: one product of (3L, 3) matrices."""
    columns = R.transpose(-1, -2).flatten(-3, -2)
    products = columns @ columns.transpose(-1, -2)
    num = R.shape[-3]
    split = products.unflatten(-1, (num, 3)).unflatten(-3, (num, 3))
    pairs: Tensor = split.transpose(-3, -2).flatten(-2)
    return pairs
