r"""Rigid motions of space, SE(3) = SO(3) x R^3 as a Riemannian product.

A point is the motion v -> R v + x, stored as a unit quaternion and a translation,
(w, x, y, z, x_1, x_2, x_3). A tangent vector is the body angular velocity and the velocity of
the translation in the fixed frame, (omega, dx/dt), with the metric::

    |(omega, v)|^2 = |omega|^2 + |v|^2

which is invariant to moving both frames by one rigid motion from the left. Its geodesics turn at
constant angular velocity while the origin moves in a straight line; they are not the screw
motions of the group's exponential. Protein frames use this metric (FrameDiff, Yim et al. 2023,
arXiv:2302.02277). The volume is infinite; for other weights of turning against moving take
``Product(SO3(), Euclidean(3), weights=...)``.
"""

from __future__ import annotations

from dataclasses import dataclass

from .euclidean import Euclidean
from .manifold import Manifold
from .product import Factored
from .rotations import SO3


@dataclass(frozen=True, repr=False)
class SE3(Factored):
    """Rigid motions ``(..., 7)``, quaternion then translation; velocities ``(..., 6)``.

    Example:
        >>> se3 = SE3()
        >>> import torch
        >>> rest = torch.tensor([1.0, 0, 0, 0, 0, 0, 0])
        >>> moved = torch.tensor([0.0, 1, 0, 0, 4, 0, 0])
        >>> x_t, u_t = se3.interpolant(rest, moved, torch.tensor(0.5))
        >>> rotation, translation = se3.split(x_t)
        >>> translation
        tensor([2., 0., 0.])
    """

    @property
    def parts(self) -> tuple[Manifold, ...]:
        """SO3 and Euclidean(3)."""
        return (SO3(), Euclidean(3))

    @property
    def part_weights(self) -> tuple[float, ...]:
        """Both 1."""
        return (1.0, 1.0)
