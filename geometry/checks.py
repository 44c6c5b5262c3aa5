r"""What every manifold refuses, and in which words.

A check reads its data and may wait for the device, so no hot path calls one; ``check_point``,
``check_tangent`` and constructors do. Each message says what was expected of which manifold,
what came (for a batch: at which index first) and how to mend it.

A point is held to be on a manifold if it misses by less than the square root of the rounding
unit of its dtype: 3.5e-4 in float32 and 1.5e-8 in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def check_size(owner: str, name: str, value: int, least: int) -> None:
    """Raise ``ValueError`` unless ``value`` is an integer, at least ``least``.

    Example:
        >>> check_size("Sphere", "n", 0, 1)
        Traceback (most recent call last):
        ...
        ValueError: expected Sphere(n) with an integer n >= 1, got n = 0
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"expected {owner}({name}) with an integer {name} >= {least}, got {name} = {value!r}"
        )


def check_shape(manifold: object, what: str, x: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ``ValueError`` unless ``x`` is a floating tensor whose shape ends in ``shape``.

    ``what`` names the tensor in the message: "points on", "tangent vectors of".
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(
            f"expected {what} {manifold} as a floating-point tensor, got {got}; "
            f"convert with .float() or .double()"
        )
    if tuple(x.shape[x.ndim - len(shape) :]) != shape or x.ndim < len(shape):
        last = f"last dimension {shape[0]}" if len(shape) == 1 else f"trailing shape {shape}"
        raise ValueError(f"expected {what} {manifold} with {last}, got shape {tuple(x.shape)}")


def check_match(manifold: object, x: Tensor, y: Tensor) -> None:
    """Raise ``ValueError`` unless ``x`` and ``y`` share dtype and device."""
    if x.dtype != y.dtype:
        raise ValueError(
            f"expected tensors on {manifold} of one dtype, "
            f"got {x.dtype} and {y.dtype}; convert one with .to(other)"
        )
    if x.device != y.device:
        raise ValueError(
            f"expected tensors on {manifold} on one device, "
            f"got {x.device} and {y.device}; move one with .to(other)"
        )


def check_batch(manifold: object, what: str, x: Tensor, batch: torch.Size, y: torch.Size) -> None:
    """Raise ``ValueError`` unless the batch shapes ``batch`` (of ``x``) and ``y`` broadcast."""
    try:
        torch.broadcast_shapes(batch, y)
    except RuntimeError:
        raise ValueError(
            f"expected {what} {manifold} with batch dimensions that broadcast "
            f"against {tuple(y)}, got shape {tuple(x.shape)}"
        ) from None


def tolerance(dtype: torch.dtype) -> float:
    """The square root of the rounding unit: by how much a point may miss its manifold."""
    return math.sqrt(torch.finfo(dtype).eps)


def check_values(
    manifold: object, what: str, law: str, value: Tensor, wanted: float, mend: str
) -> None:
    """Raise ``ValueError`` unless each ``value`` (batch shape) is ``wanted`` within tolerance.

    Args:
        manifold: named in the message.
        what: "points on", "tangent vectors of".
        law: the quantity, e.g. ``"|x|"``.
        value: that quantity, one number an example; NaN is refused.
        wanted: what it must be.
        mend: what the reader can do.
    """
    slack = tolerance(value.dtype) * max(1.0, abs(wanted))
    bad = ~((value - wanted).abs() <= slack)
    if not bad.any():
        return
    first = tuple(bad.nonzero()[0].tolist())
    where = f" at index {first}" if first else ""
    raise ValueError(
        f"expected {what} {manifold} with {law} = {wanted:g} within {slack:.1e}, "
        f"got {law} = {value[first].item():.6g}{where}; {mend}"
    )


def check_finite(manifold: object, what: str, x: Tensor, axes: int) -> None:
    """Raise ``ValueError`` at the first example, over the last ``axes`` axes, with NaN or inf."""
    bad = ~x.isfinite()
    if not bad.any():
        return
    first = tuple(bad.nonzero()[0].tolist())
    index = first[: x.ndim - axes]
    where = f" at index {index}" if index else ""
    raise ValueError(
        f"expected {what} {manifold} with finite numbers, got {x[first].item()}{where}; "
        f"look for a division by zero or an overflow before"
    )


def check_time(t: Tensor) -> None:
    """Raise ``ValueError`` unless ``t`` is a floating tensor within [0, 1].

    Example:
        >>> check_time(torch.tensor([0.5, 1.5]))
        Traceback (most recent call last):
        ...
        ValueError: expected times in [0, 1], got 1.5 at index (1,); rescale or clamp t
    """
    if not isinstance(t, Tensor) or not t.is_floating_point():
        got = t.dtype if isinstance(t, Tensor) else type(t).__name__
        raise ValueError(f"expected times as a floating-point tensor, got {got}")
    bad = ~((t >= 0) & (t <= 1))
    if bad.any():
        first = tuple(bad.nonzero()[0].tolist())
        where = f" at index {first}" if first else ""
        raise ValueError(
            f"expected times in [0, 1], got {t[first].item():.6g}{where}; rescale or clamp t"
        )
