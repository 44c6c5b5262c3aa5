"""Stages of a formula that torch.compile is to keep apart on a CPU.

The interpolants are three stages: scalar products (..., n) -> (...), coefficients on (...), and
a combination of vectors (...) -> (..., n). Inductor joins all three into one loop over points,
whose body it cannot vectorise, as soon as one of them reads components with a stride: sines
and roots are then taken one number at a time. Numbers stacked into one array end a kernel, so
that the coefficients get their own. On an AMD EPYC, one thread, 1e5 points, in copies of what
the step must read and write (see ``benchmarks/geodesics.py``)::

    Sphere(2)   36 -> 9        Sphere(27)   6.7 -> 2.7        FlatTorus(7)   4.9 -> 2.5

Every stage costs a write and a read of its numbers, so there are no more than needed. Nothing
changes but rounding, and other devices, where one kernel is best, are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .lengths import dot


def _apart(x: Tensor) -> bool:
    return torch.compiler.is_compiling() and x.device.type == "cpu"


def stage(*scalars: Tensor) -> tuple[Tensor, ...]:
    """The same numbers ``(...)``, broadcast against each other, as the end of a stage.

    Example:
        >>> stage(torch.tensor(1.0), torch.tensor(2.0))
        (tensor(1.), tensor(2.))
    """
    if not _apart(scalars[0]):
        return scalars
    return torch.stack(torch.broadcast_tensors(*scalars)).unbind(0)


def spread(scalar: Tensor, n: int) -> Tensor:
    """``(...)`` to ``(..., n)`` as the end of a stage, to ``(..., 1)`` where there is none.

    An array as wide as the points lets the loop run over all their numbers at once.

    Example:
        >>> spread(torch.tensor([1.0, 2.0]), 3).shape
        torch.Size([2, 1])
    """
    if n > _NARROW or not _apart(scalar):
        return scalar.unsqueeze(-1)
    return torch.stack((scalar,) * n, -1)


def product(u: Tensor, v: Tensor) -> Tensor:
    """<u, v> over the last axis, ``(...)``: number by number where points are narrow.

    A loop over the few numbers of one point costs more than the numbers, most of all in float64;
    so does torch's own sum, below five numbers.

    Example:
        >>> product(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
        tensor(11.)
    """
    if u.device.type != "cpu" or u.shape[-1] > (_NARROW if _apart(u) else _FEW):
        return dot(u, v)
    return _weighted(u.unbind(-1), v.unbind(-1))


def numbers(v: Tensor) -> list[Tensor]:
    """What ``blend`` takes of a vector ``(..., n)``: its numbers if it is narrow, else itself."""
    return list(v.unbind(-1)) if _apart(v) and 1 < v.shape[-1] <= _FEW else [v]


def blend(weights: Sequence[Tensor], *vectors: list[Tensor]) -> Tensor:
    """The sum of w_i v_i, ``(..., n)``, for weights ``(...)`` and the ``numbers`` of vectors.

    Example:
        >>> x, y = torch.eye(2)
        >>> blend([torch.tensor(2.0), torch.tensor(3.0)], numbers(x), numbers(y))
        tensor([2., 3.])
    """
    if len(vectors[0]) == 1:
        return _weighted([w.unsqueeze(-1) for w in weights], [v for (v,) in vectors])
    columns = zip(*vectors, strict=True)
    return torch.stack([_weighted(weights, column) for column in columns], -1)


def _weighted(weights: Sequence[Tensor], terms: Sequence[Tensor]) -> Tensor:
    total = weights[0] * terms[0]
    for weight, term in zip(weights[1:], terms[1:], strict=True):
        total = torch.addcmul(total, weight, term)
    return total


# From here on the loop over the numbers of one point is worth a loop of its own.
_NARROW = 16
# Up to here a vector register would be mostly empty.
_FEW = 4
