"""Which chains a data set takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .backbone import Backbone
from .lengths import LengthRange

DEFAULT_LENGTHS = LengthRange(20, 512)


@dataclass(frozen=True)
class Criteria:
    """What is asked of a chain, after `trim`.

    Attributes:
        lengths: residues.
        max_missing: largest share of residues without N, CA or C.
        max_gaps: most gaps; see ``backbone`` for what is one.

    Raises:
        ValueError: for a share outside [0, 1] or fewer than no gaps.
    """

    lengths: LengthRange = DEFAULT_LENGTHS
    max_missing: float = 0.0
    max_gaps: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.max_missing <= 1:
            raise ValueError(f"expected a missing share from 0 to 1, got {self.max_missing}")
        if self.max_gaps < 0:
            raise ValueError(f"expected a number of gaps of at least 0, got {self.max_gaps}")

    def fault(self, one: Backbone) -> tuple[str, str] | None:
        """The first residue that breaks a rule (or nothing, if it is the chain) and the reason.

        ``None`` if the chain is taken.
        """
        if not self.lengths.shortest <= len(one) <= self.lengths.longest:
            return "", f"expected {self.lengths} residues, got {len(one)}"
        missing = (~one.mask).nonzero().squeeze(-1).tolist()
        if len(missing) > self.max_missing * len(one):
            reason = f"{len(missing)} of {len(one)} residues lack N, CA or C, this is the first"
            return one.label(missing[0]), f"{reason}; at most {self.max_missing:.0%} may"
        gaps = (~one.linked()[:-1]).nonzero().squeeze(-1).tolist()
        if len(gaps) > self.max_gaps:
            reason = f"expected at most {self.max_gaps} gaps in the chain, got {len(gaps)}"
            return one.label(gaps[0]), f"{reason}, the first behind this residue"
        return None


def trim(one: Backbone) -> Backbone:
    """Without the incomplete residues at either end.

    Example:
        >>> mask = torch.tensor([False, True, False, True, False])
        >>> len(trim(Backbone.from_coordinates(torch.zeros(5, 4, 3), mask=mask)))
        3
    """
    there = one.mask.nonzero().squeeze(-1)
    if not len(there):
        return one.select(there)
    return one.select(torch.arange(int(there[0]), int(there[-1]) + 1))
