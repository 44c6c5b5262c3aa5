r"""Tempering: predictors around predictors, made surer of themselves.

Temperature T and nucleus p (Holtzman et al. 2020) act on the predicted posterior of each token,

    p'(x_1) ~ p(x_1 | x_t)^(1/T), cut off to the fewest tokens that have p of the mass.

Both make samples more typical and less diverse; T = 1 and p = 1 leave them alone. Of a process
that decides tokens one at a time from left to right, samples are then those of a language
model's decoder; of others, each step is taken as if the tempered posterior were the true one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .process import Condition
from .sampling import Predictor

_GONE = 1e4  # nats below the largest logit: exp(-10000) is 0 in every dtype, and it is finite


@dataclass(frozen=True)
class Tempering:
    """Sharpens the logits of a predictor.

    Attributes:
        predictor: whose predictions are logits ``(..., K)``.
        temperature: T; 0 leaves only the most probable token.
        top_p: mass of the tokens that are kept, the most probable first; at least one is.

    Raises:
        ValueError: for a temperature below 0 or not finite, or a mass outside (0, 1].

    Example:
        >>> logits = torch.tensor([0.5, 0.3, 0.2]).log()
        >>> Tempering(lambda x_t, t, condition: logits, 1.0, 0.6)(None, None).softmax(-1)
        tensor([0.6250, 0.3750, 0.0000])
    """

    predictor: Predictor
    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"expected a temperature of at least 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"expected a top-p above 0 and at most 1, got {self.top_p}")

    def __call__(self, x_t: Any, t: Tensor, condition: Condition = None) -> Tensor:
        """The sharpened logits."""
        logits: Tensor = self.predictor(x_t, t, condition)
        if self.temperature == 0:
            return most_probable(logits)
        if self.temperature != 1:
            # From the largest, so that a tiny temperature overflows to minus infinity only.
            logits = (logits - logits.amax(-1, keepdim=True)) / self.temperature
            logits = logits.clamp_min(-_GONE)
        return logits if self.top_p == 1 else nucleus(logits, self.top_p)


def nucleus(logits: Tensor, top_p: float) -> Tensor:
    """Logits ``(..., K)`` of the most probable tokens with mass ``top_p``; others are gone.

    A token is kept if those before it in the order of probability have less mass than that, so
    at least one is; equals beside the last are in order of their numbers.
    """
    ordered, order = torch.sort(logits, dim=-1, descending=True, stable=True)
    p = ordered.softmax(-1)
    before = p.cumsum(-1) - p
    kept = torch.empty_like(before, dtype=torch.bool).scatter_(-1, order, before < top_p)
    kept.scatter_(-1, order[..., :1], True)
    return torch.where(kept, logits, logits.amax(-1, keepdim=True) - _GONE)


def most_probable(logits: Tensor) -> Tensor:
    """Logits ``(..., K)`` of which only the largest, the first of equals, is left."""
    top, index = logits.max(-1, keepdim=True)
    return (top - _GONE).expand_as(logits).scatter(-1, index, top)
