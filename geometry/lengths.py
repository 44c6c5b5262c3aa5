r"""Scalar products and lengths whose gradients stay finite where the length is zero.

The square root has infinite slope at zero, so sqrt(<u, u>) has a NaN gradient at u = 0. Two
replacements serve every manifold. With eps the rounding unit of the dtype::

    root(a)   = a / sqrt(max(a, tiny))      exactly 0 at a = 0, gradient 0 there
    length(a) = sqrt(max(a, eps^2))         never 0, to be divided by

``length`` belongs into quotients of even functions such as sin(r)/r, whose limit is reached to
within r^2: cutting r at eps changes a value by eps^2, a first derivative by eps, and leaves
second derivatives finite. Neither branches, and neither needs ``where``, which costs more on a
CPU than a sine.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dot(u: Tensor, v: Tensor) -> Tensor:
    """<u, v> over the last axis: ``(..., n), (..., n) -> (...)``."""
    return (u * v).sum(-1)


def root(squared: Tensor) -> Tensor:
    """Square root that is exactly zero at zero, with gradient zero there.

    Below the smallest normal number the result is too small, never negative for an argument
    that is not.

    Example:
        >>> x = torch.zeros(3, requires_grad=True)
        >>> root(dot(x, x)).backward()
        >>> x.grad
        tensor([0., 0., 0.])
    """
    return squared / squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt()


def length(squared: Tensor) -> Tensor:
    """Square root cut off at eps from below, for divisors.

    Example:
        >>> length(torch.tensor([4.0, 0.0]))
        tensor([2.0000e+00, 1.1921e-07])
    """
    return squared.clamp_min(torch.finfo(squared.dtype).eps ** 2).sqrt()


def expand(scalar: Tensor, axes: int) -> Tensor:
    """Append ``axes`` singletons to a tensor of batch shape, so that it multiplies points.

    Example:
        >>> expand(torch.zeros(5), 2).shape
        torch.Size([5, 1, 1])
    """
    return scalar.reshape(scalar.shape + (1,) * axes)
