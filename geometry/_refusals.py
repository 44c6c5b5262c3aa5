"""One-sided refusals: what must hold with an inequality, such as |x| < 1 or sigma > 0."""

from __future__ import annotations

from torch import Tensor


def refuse_where(
    bad: Tensor, value: Tensor, manifold: object, what: str, law: str, mend: str
) -> None:
    """Raise ``ValueError`` for the first entry of the batch where ``bad`` holds.

    Args:
        bad: booleans of the batch shape.
        value: the number to show, batch shape.
        manifold: named in the message.
        what: "points on", "tangent vectors of".
        law: the property that fails, e.g. ``"|x| < 1"``.
        mend: what the reader can do.

    Raises:
        ValueError: naming all of these, the first bad index and its value.
    """
    if not bool(bad.any()):
        return
    first = tuple(bad.nonzero()[0].tolist())
    where = f" at index {first}" if first else ""
    shown = value.expand(bad.shape)[first].item()
    raise ValueError(f"expected {what} {manifold} with {law}, got {shown:.6g}{where}; {mend}")
