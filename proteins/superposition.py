r"""Superposing chains of the same residues, and what is left between them.

The rigid motion that brings x nearest to y, with weights w_i (Kabsch 1976, Acta Cryst. A32),

    R, t = argmin sum_i w_i |R x_i + t - y_i|^2,

has t = mean(y) - R mean(x) and as R the rotation nearest to the covariance
H = sum_i w_i (y_i - mean y)(x_i - mean x)^T, never a reflection. `geometry.nearest_rotation`
finds it with finite gradients, also where singular values coincide.

Two numbers go by the name RMSD in this field. `ca_rmsd` is the root mean square of the
distances d_i; `ca_mean_distance` their mean, which is never larger (0.92 of it for Gaussian
errors). Both are after the superposition that minimises the former.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from geometry import nearest_rotation


class RigidMotion(NamedTuple):
    """x -> R x + t: rotations ``(..., 3, 3)``, translations ``(..., 3)``."""

    rotation: Tensor
    translation: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Move points ``(..., n, 3)``."""
        return x @ self.rotation.transpose(-1, -2) + self.translation[..., None, :]


def kabsch(x: Tensor, y: Tensor, weights: Tensor | None = None) -> RigidMotion:
    """The motion that brings points x nearest to y.

    Args:
        x: ``(..., n, 3)``.
        y: the same shape, or one that broadcasts with it.
        weights: non-negative ``(..., n)``; a mask will do. Their sum may be zero: the motion is
            then the identity.

    Raises:
        ValueError: for points of another shape, or weights that do not fit them.

    Example:
        >>> x = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
        >>> motion = kabsch(x, x + 5)
        >>> torch.allclose(motion.apply(x), x + 5, atol=1e-5)
        True
    """
    w = _weights(x, y, weights)
    total = w.sum(-1, keepdim=True)
    w = (w / torch.where(total > 0, total, 1.0))[..., None]
    mean_x, mean_y = (w * x).sum(-2), (w * y).sum(-2)
    centred_x, centred_y = x - mean_x[..., None, :], y - mean_y[..., None, :]
    rotation = nearest_rotation((w * centred_y).transpose(-1, -2) @ centred_x)
    return RigidMotion(rotation, mean_y - (rotation @ mean_x[..., None])[..., 0])


def superposed_distances(x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Distances d_i ``(..., n)`` of points after superposition; zero where masked.

    Raises:
        ValueError: as `kabsch` does.
    """
    w = _weights(x, y, mask)
    square = (kabsch(x, y, w).apply(x) - y).square().sum(-1)
    away = (square > 0) & (w > 0)
    return torch.where(away, torch.where(away, square, 1.0).sqrt(), 0.0)


def ca_rmsd(x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Root mean square distance of CA ``(..., L, 3)`` after superposition, Angstrom, ``(...)``.

    Zero where nothing is left by the mask ``(..., L)``. Raises ``ValueError`` as `kabsch` does.
    """
    d = superposed_distances(x, y, mask)
    square = d.square().sum(-1) / _num(x, y, mask)
    return torch.where(square > 0, torch.where(square > 0, square, 1.0).sqrt(), 0.0)


def ca_mean_distance(x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean distance of CA ``(..., L, 3)`` after superposition, in Angstrom, ``(...)``.

    What much of the field publishes as RMSD; at most `ca_rmsd`.
    """
    return superposed_distances(x, y, mask).sum(-1) / _num(x, y, mask)


def _num(x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
    return (_weights(x, y, mask) > 0).sum(-1).clamp_min(1)


def _weights(x: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
    """Weights in the points' dtype, ``(..., n)``, after checking shapes."""
    if x.ndim < 2 or y.ndim < 2 or x.shape[-2:] != y.shape[-2:] or x.shape[-1] != 3:
        raise ValueError(
            f"expected two sets of points (..., n, 3) with the same n, "
            f"got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    points = torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    if weights is None:
        return torch.ones(points, dtype=x.dtype, device=x.device)
    if weights.ndim < 1 or weights.shape[-1] != x.shape[-2]:
        raise ValueError(f"expected weights (..., {x.shape[-2]}), got {tuple(weights.shape)}")
    return weights.to(x.dtype).expand(torch.broadcast_shapes(points, weights.shape))
