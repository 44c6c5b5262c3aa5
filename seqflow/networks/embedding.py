"""How a network is told its input, the time and the label."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TokenEmbedding(nn.Module):
    r"""A learned vector e_i of each token i, averaged over what a position says of its token.

        h = sum_i pi_i p_i e_i / sum_i pi_i p_i

    With p the softmax of evidence and pi the frequencies of tokens this is the mean of e under
    the posterior of a position that is alone. Frequencies start even and are learned.

    Args:
        num_classes: K, how many tokens there are.
        width: size of a vector.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_classes, width))
        self.log_frequency = nn.Parameter(torch.zeros(num_classes))

    def forward(self, p: Tensor) -> Tensor:
        """``(..., K)`` to ``(..., width)``; zeros where p is zero."""
        frequency = self.log_frequency.softmax(0)
        summed = p @ (frequency[:, None] * self.weight)
        total = p @ frequency
        total = torch.where(total > 0, total, 1.0)[..., None]
        return (summed / total).to(p.dtype)  # also where products are in half precision

    def lookup(self, tokens: Tensor) -> Tensor:
        """The vectors of ``tokens``, of any shape ``(...)``, ``(..., width)``."""
        return F.embedding(tokens, self.weight)

    def peaked(self, tokens: Tensor, odds: Tensor) -> Tensor:
        """For p with ``exp(odds)`` at the token and 1 elsewhere, up to normalisation.

        The same as ``forward`` without the ``(..., K)`` numbers: one lookup and one mean.
        """
        frequency = self.log_frequency.softmax(0)
        excess = (odds.expm1() * frequency[tokens])[..., None]
        total = 1 + excess
        return self.lookup(tokens) * (excess / total) + (frequency @ self.weight) / total


class TimeLabelEmbedding(nn.Module):
    r"""Embeds t in [0, 1] and an optional class label into one vector.

    Time goes through cosines of log-spaced frequencies and a two-layer network; the label,
    or its absence (any negative value, or None), adds a learned vector.

    Args:
        channels: size of the result.
        num_labels: how many labels there are; 0 for an unconditional network.
        top: the highest frequency is 10^top half-turns per unit of time. A lower one makes a
            field smoother in time, and an ODE along it cheaper.
    """

    def __init__(self, channels: int, num_labels: int = 0, *, top: float = 2.0) -> None:
        super().__init__()
        half = 32
        self.register_buffer(
            "frequencies", math.pi * torch.logspace(-1, top, half), persistent=False
        )
        self.time = nn.Sequential(
            nn.Linear(2 * half, channels), nn.SiLU(), nn.Linear(channels, channels)
        )
        # The last row is the absent label.
        self.label = nn.Embedding(num_labels + 1, channels)

    def forward(self, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Shape ``(batch,)`` and ``(batch,)`` to ``(batch, channels)``."""
        phase = t[:, None] * self.frequencies  # type: ignore[operator]  # a buffer
        embedded: Tensor = self.time(torch.cat([phase.cos(), phase.sin()], -1))
        absent = self.label.num_embeddings - 1
        if label is None:
            return embedded + self.label.weight[absent]
        extra: Tensor = self.label(torch.where(label < 0, absent, label))
        return embedded + extra
