"""A measured quantity and where it is defined.

A bond across a gap has no length, the first residue no φ, an absent atom no position. Such
entries are zero and marked undefined, never NaN, so that batches of unequal chains stay
rectangular, sums stay finite and gradients stay clean.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Measurement(NamedTuple):
    """Values with a mask of the same shape.

    Attributes:
        value: ``(..., n)``, zero where undefined.
        defined: bool ``(..., n)``.
    """

    value: Tensor
    defined: Tensor

    def num(self) -> Tensor:
        """How many entries of the last dimension are defined, int64 ``(...)``."""
        return self.defined.sum(-1)

    def mean(self, *, empty: float = 0.0) -> Tensor:
        """Mean of the defined entries ``(...)``; ``empty`` where there is none.

        >>> Measurement(torch.tensor([1.0, 3.0, 0.0]), torch.tensor([True, True, False])).mean()
        tensor(2.)
        """
        return masked_mean(self.value, self.defined, empty=empty)

    def share_within(self, low: float, high: float, *, empty: float = 1.0) -> Tensor:
        """Share of the defined entries in [low, high], ``(...)``; ``empty`` where there is none.

        >>> bonds = Measurement(torch.tensor([1.3, 9.0, 0.0]), torch.tensor([True, True, False]))
        >>> bonds.share_within(1.0, 2.0)
        tensor(0.5000)
        """
        inside = (self.value >= low) & (self.value <= high)
        return masked_mean(inside.to(self.value.dtype), self.defined, empty=empty)


def masked_mean(value: Tensor, defined: Tensor, *, empty: float = 0.0) -> Tensor:
    """Mean over the last dimension of the entries that are defined; ``empty`` if none is."""
    num = defined.sum(-1)
    total = torch.where(defined, value, torch.zeros_like(value)).sum(-1)
    return torch.where(num > 0, total / num.clamp_min(1), torch.full_like(total, empty))


def measure(value: Tensor, defined: Tensor) -> Measurement:
    """A measurement whose undefined entries are zero."""
    return Measurement(torch.where(defined, value, torch.zeros_like(value)), defined)
