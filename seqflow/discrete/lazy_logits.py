r"""Logits where they are needed: jump-first sampling of tokens.

In a step of a token path few positions jump, 1/N of them for masks and N steps. So the jumps
are decided first, by one uniform a position, and only the rows of logits at those positions
are looked at. ``rows(positions)`` is all that a step asks of a prediction, which a tensor of
logits answers by indexing and `LazyLogits` by evaluating the network's head at those
positions: with a vocabulary of 32,000 the head is most of the network.

A token is drawn by inverting the distribution function of its row, with one uniform and long
sums in float64: in float32 they would lose tokens below 1e-7, and float32 Gumbel noise cuts
off the tail, which lowers the temperature. Rows are worked on in pieces, so that memory does
not grow with the number of jumps.

The number of jumps is not known in advance: on a GPU each step waits for it once (twice with a
corrector), and `torch.compile` breaks its graph there. What remains is small; compile the
network, not the step. Static shapes would need the rows of every position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ..process import CategoricalProcess
from ..wrapping import Wrapping

_SHORT = 32  # classes up to which rows are short
_PIECE = 2**14  # numbers worked on at once: they stay in a cache, and are little memory
_LONG_PIECE = 2**19  # idem of long rows
_GROUP = 128  # tokens of a long row that are summed first
_BELOW_1 = 1 - 2.0**-53  # the largest float64 below 1


class Logits(Protocol):
    """Logits ``(batch, length, K)`` of which single rows can be had."""

    @property
    def shape(self) -> torch.Size:
        """``(batch, length, K)``."""
        ...

    def rows(self, positions: Tensor) -> Tensor:
        """The logits ``(n, K)`` at n positions, numbered through batch and length, ``(n,)``."""
        ...


@dataclass(frozen=True)
class DenseLogits:
    """A tensor of logits.

    Attributes:
        logits: ``(batch, length, K)``.
    """

    logits: Tensor

    @property
    def shape(self) -> torch.Size:
        """``(batch, length, K)``."""
        return self.logits.shape

    def rows(self, positions: Tensor) -> Tensor:
        """The given rows, ``(n, K)``."""
        return self.logits.flatten(0, 1).index_select(0, positions)


@dataclass(frozen=True)
class LazyLogits:
    """The logits ``head(hidden)``, evaluated only at the positions that are asked for.

    Attributes:
        hidden: the network's last features, ``(batch, length, width)``.
        head: maps ``(n, width)`` to logits ``(n, K)``.
        num_classes: K.

    Example:
        >>> logits = LazyLogits(torch.eye(3)[None], torch.nn.Linear(3, 10), 10)
        >>> logits.shape, logits.rows(torch.tensor([2, 1])).shape
        (torch.Size([1, 3, 10]), torch.Size([2, 10]))
    """

    hidden: Tensor
    head: Callable[[Tensor], Tensor]
    num_classes: int

    @property
    def shape(self) -> torch.Size:
        """``(batch, length, K)``."""
        return torch.Size((*self.hidden.shape[:-1], self.num_classes))

    def rows(self, positions: Tensor) -> Tensor:
        """The head at the given rows, ``(n, K)``."""
        return self.head(self.hidden.flatten(0, 1).index_select(0, positions))


def as_logits(prediction: Tensor | Logits, x_t: Tensor, num_classes: int) -> Logits:
    """The prediction as rows of logits, one of length K for each token of ``x_t``.

    Raises:
        ValueError: for another shape.
    """
    expected = (*x_t.shape, num_classes)
    if tuple(prediction.shape) != expected:
        raise ValueError(
            f"expected logits of shape {expected}, got {tuple(prediction.shape)}; the last "
            "dimension holds one number a clean token, none for a mask"
        )
    return DenseLogits(prediction) if isinstance(prediction, Tensor) else prediction


def draw_at(
    logits: Logits, positions: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """A token of softmax(logits) at each of n positions, ``(n,)``; nothing else is evaluated.

    Args:
        logits: of ``(batch, length, K)``.
        positions: numbered through batch and length, ``(n,)``.
        generator: source of the draws, one float64 uniform a position.

    Example:
        >>> logits = DenseLogits(torch.tensor([[[0.0, 50.0], [50.0, 0.0]]]))
        >>> draw_at(logits, torch.tensor([1, 0, 1]))
        tensor([0, 1, 0])
    """
    K = logits.shape[-1]
    width = max(1, (_PIECE if K <= _SHORT else _LONG_PIECE) // K)
    if len(positions) <= width:
        return _draw(logits.rows(positions), generator)
    tokens = torch.empty_like(positions)
    for some, out in zip(positions.split(width), tokens.split(width), strict=True):
        out.copy_(_draw(logits.rows(some), generator))
    return tokens


def _draw(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """A token of each row of ``(n, K)``."""
    u = torch.empty(len(logits), dtype=torch.float64, device=logits.device)
    invert = _invert_short if logits.shape[-1] <= _SHORT else _invert_long
    return invert(logits, u.uniform_(generator=generator))


def _invert_short(logits: Tensor, u: Tensor) -> Tensor:
    """The token at which the distribution function of each row exceeds its u.

    Works along columns, because torch reduces short rows one by one.
    """
    columns = logits.mT
    cumulative = (columns - columns.amax(0)).exp_().cumsum(0, dtype=torch.float64)
    # Scaled by the rounded total, so that a draw never lands beyond the last token.
    return (cumulative[:-1] <= u * cumulative[-1]).sum(0)


def _invert_long(logits: Tensor, u: Tensor) -> Tensor:
    """The same in two stages, a group of tokens and a token of it: long sums are slow."""
    weights = (logits - logits.amax(-1, keepdim=True)).exp_()
    if logits.shape[-1] % _GROUP:
        weights = F.pad(weights, (0, -logits.shape[-1] % _GROUP))
    groups = weights.unflatten(-1, (-1, _GROUP))
    group, rest = _bisect(groups.sum(-1), u)
    within = groups.gather(1, group[:, None, None].expand(-1, 1, _GROUP)).squeeze(1)
    return group * _GROUP + _bisect(within, rest)[0]


def _bisect(weights: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The entry that u falls into, never one of weight zero, and how far into it, in [0, 1)."""
    cumulative = F.pad(weights.cumsum(-1, dtype=torch.float64), (1, 0))
    # Scaled by the rounded total, so that a draw never lands beyond the last entry.
    target = (u * cumulative[:, -1])[:, None]
    entry = torch.searchsorted(cumulative[:, 1:].contiguous(), target, right=True)
    low, high = cumulative.gather(1, entry), cumulative.gather(1, entry + 1)
    return entry.squeeze(1), ((target - low) / (high - low)).squeeze(1).clamp(0, _BELOW_1)


@dataclass(frozen=True)
class LazyHead(Wrapping):
    """A path of tokens whose predictions are a network's last features, without their head.

    Features are tensors, so the sampling loop and guidance take them as they are: mixing
    features for ``log_linear`` guidance mixes the logits of a linear head alike.

    Attributes:
        process: a path of tokens, such as ``MaskedFlow(32000)``.
        head: maps ``(n, width)`` to logits ``(n, K)``.
    """

    process: CategoricalProcess
    head: Callable[[Tensor], Tensor]

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The process's own, with the head evaluated where tokens jump."""
        logits: Any = LazyLogits(prediction, self.head, self.process.num_classes)
        return self.process.step(x_t, logits, t, dt, generator=generator)
