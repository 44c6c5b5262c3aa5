"""What a network is told beside its input: the time and the label."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


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
