r"""What a residue sees of its neighbours, in its own frame: numbers that no rigid motion changes.

With v = x_j - x_i and d = |v|, for every neighbour j of i::

    exp(-((d - c)/2)^2), log(1 + d)                      as of ``pair_features``
    Y_l(R_i^T v / sqrt(1 + d^2)),   l = 1, 2, 3          3 + 5 + 7 real spherical harmonics
    R_i^T R_j                                            nine numbers
    the distances predicted last, times the flag w_i w_j, and the flag

The harmonics are taken as homogeneous polynomials (of e3nn), so that they are smooth where two
residues coincide. A direction of degree one says on which side; the higher ones are what a linear
layer needs to tell cones and planes.
"""

from __future__ import annotations

import torch
from e3nn.o3 import spherical_harmonics
from torch import Tensor

from geometry.lengths import dot, length
from geometry.rotation_conversions import quaternion_to_matrix
from seqflow.product_process import Parts

from .flow import PREVIOUS, ROTATION, TRANSLATION
from .neighbours import gather
from .pair_features import NUM_DISTANCE_FEATURES, distance_features

DEGREES = (1, 2, 3)
NUM_NEIGHBOUR_FEATURES = 2 * NUM_DISTANCE_FEATURES + sum(2 * n + 1 for n in DEGREES) + 9 + 1


def neighbour_features(x_t: Parts, index: Tensor) -> Tensor:
    """The features of this module's head, ``(B, L, K, NUM_NEIGHBOUR_FEATURES)``.

    Args:
        x_t: frames and memory, see ``flow``.
        index: of the neighbours, ``(B, L, K)``.
    """
    x, previous = x_t[TRANSLATION], x_t[PREVIOUS]
    R = quaternion_to_matrix(x_t[ROTATION])
    v = gather(x, index) - x.unsqueeze(-2)
    squared = dot(v, v)
    direction = (v @ R) / (1 + squared).sqrt().unsqueeze(-1)
    around = gather(R.flatten(-2), index).unflatten(-1, (3, 3))
    relative = (R.mT.unsqueeze(-3) @ around).flatten(-2)
    before = gather(previous, index)
    flag = before[..., 3:] * previous[..., 3:].unsqueeze(-2)
    way = before[..., :3] - previous[..., :3].unsqueeze(-2)
    return torch.cat(
        (
            distance_features(length(squared)),
            spherical_harmonics(
                list(DEGREES), direction, normalize=False, normalization="component"
            ),
            relative,
            flag * distance_features(length(dot(way, way))),
            flag,
        ),
        -1,
    )
