r"""Clocks of the radial process: schedules whose kappa is the time s of its bridge.

What a state tells of its token depends on the odds s/(1 - s) alone, as on the signal-to-noise
ratio (pi/2)^2 s/(v_1 (1 - s)) of a Gaussian channel, and is all but certain beyond 0.8 log K of
these in units of v_1. So the natural clock runs evenly through the odds and slows down, and the
natural unit of odds is v_1 log K/2, where about half is told of a token that is alone::

    s/(1 - s) = odds t/(1 - t).

A schedule changes no law and no likelihood, only where training and sampling spend their time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class OddsSchedule:
    """kappa/(1 - kappa) = odds t/(1 - t): the odds at t = 1/2 are ``odds``.

    Raises:
        ValueError: unless the odds are positive and finite.

    Example:
        >>> OddsSchedule(1 / 3).kappa(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.0000, 0.2500, 1.0000])
    """

    odds: float

    def __post_init__(self) -> None:
        if not (self.odds > 0 and math.isfinite(self.odds)):
            raise ValueError(f"expected finite odds above 0, got {self.odds}")

    def kappa(self, t: Tensor) -> Tensor:
        """odds t/(1 - t + odds t)."""
        return self.odds * t / (1 - t + self.odds * t)

    def survival(self, t: Tensor) -> Tensor:
        """(1 - t)/(1 - t + odds t)."""
        return (1 - t) / (1 - t + self.odds * t)

    def derivative(self, t: Tensor) -> Tensor:
        """odds/(1 - t + odds t)^2."""
        return self.odds / (1 - t + self.odds * t).square()

    def inverse(self, kappa: Tensor) -> Tensor:
        """kappa/(kappa + odds (1 - kappa))."""
        return kappa / (kappa + self.odds * (1 - kappa))


def default_schedule(num_classes: int, variance: float) -> OddsSchedule:
    """The clock that reaches odds of v_1 log K/2 at t = 1/2."""
    return OddsSchedule(variance * math.log(num_classes) / 2)
