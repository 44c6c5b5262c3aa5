r"""Losses of a prediction p(x_1 | x_t) on noisy tokens, each per token and example.

========================  ============================================================
:class:`CrossEntropy`     mean of -log p(x_1) over all positions; 0 where x_t shows x_1
:class:`PathDivergence`   the process's ``path_kl``/length: in mean a bound on -log p(x_1)
========================  ============================================================

Both are smallest for the exact posterior. The second weighs time t by kappa'/(1 - kappa), which
for masks gives each of the K tokens the weight of the likelihood (Sahoo et al. 2024) and a
larger variance near t = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from ..categorical import token_costs


class Noised(NamedTuple):
    """The training target of a token path: what was there, and what is seen of it.

    Attributes:
        x_1: clean tokens, ``(batch, length)``.
        x_t: noisy tokens, ``(batch, length)``.
    """

    x_1: Tensor
    x_t: Tensor


class TokenPath(Protocol):
    """What a loss may ask of a path of tokens."""

    def settled(self, x_t: Tensor) -> Tensor:
        """Where ``x_t`` shows the clean token for certain, bool ``(batch, length)``."""
        ...

    def path_kl(self, prediction: Tensor, x_1: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Nats per unit of time by which the paths of the prediction part, ``(batch,)``."""
        ...


class TokenLoss(Protocol):
    """Judges logits ``(batch, length, K)``."""

    def __call__(self, path: TokenPath, logits: Tensor, target: Noised, t: Tensor) -> Tensor:
        """The loss of each example, ``(batch,)``."""
        ...


@dataclass(frozen=True)
class CrossEntropy:
    """-log p(x_1), averaged over positions; those where x_t shows x_1 count as 0."""

    def __call__(self, path: TokenPath, logits: Tensor, target: Noised, t: Tensor) -> Tensor:
        """The loss of each example, in nats, ``(batch,)``."""
        del t
        each = token_costs(logits, target.x_1)
        return each.masked_fill(path.settled(target.x_t), 0).mean(-1)


CROSS_ENTROPY = CrossEntropy()
"""The default loss."""


@dataclass(frozen=True)
class PathDivergence:
    """The integrand of the variational bound, in nats a token."""

    def __call__(self, path: TokenPath, logits: Tensor, target: Noised, t: Tensor) -> Tensor:
        """The loss of each example, ``(batch,)``."""
        return path.path_kl(logits, target.x_1, target.x_t, t) / target.x_1.shape[-1]
