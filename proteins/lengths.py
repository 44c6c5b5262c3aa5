"""Lengths as they are asked for: ``L`` or ``A-B``, residues."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


class LengthRange(NamedTuple):
    """Lengths from ``shortest`` to ``longest``, both included."""

    shortest: int
    longest: int

    def __str__(self) -> str:
        return f"{self.shortest}-{self.longest}"


def parse_lengths(text: str) -> LengthRange:
    """The range that ``64`` or ``64-100`` means; raises ``ValueError`` for anything else.

    Example:
        >>> parse_lengths("64-100"), parse_lengths("64").longest
        (LengthRange(shortest=64, longest=100), 64)
    """
    match = _RANGE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"expected a length such as 64 or 64-100, got {text!r}")
    shortest, longest = int(match[1]), int(match[2] or match[1])
    if not 1 <= shortest <= longest:
        raise ValueError(f"expected lengths from small to large, at least 1, got {text!r}")
    return LengthRange(shortest, longest)
