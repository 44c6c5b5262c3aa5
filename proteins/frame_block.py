"""A block of a trunk: attention, a feed-forward layer, and the motion of the frames.

The time acts by scale, shift and gate of either layer, zero at the start (adaLN-zero, Peebles and
Xie 2023). How residues attend to each other is the business of the attention that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class FrameBlock(nn.Module):
    """Attention of any kind, a feed-forward layer, and u and w of ``trunk``.

    Args:
        channels: width.
        condition_channels: of the conditioning vector.
        make_attention: makes a module of ``(h, edges, q, x)``: numbers ``(B, L, channels)``,
            what it wants to know of pairs, and frames in nanometres; it answers ``(B, L,
            channels)``.
    """

    def __init__(
        self, channels: int, condition_channels: int, make_attention: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = nn.Linear(condition_channels, 6 * channels)
        # Made in its turn: the weights that a seed draws depend on the order.
        self.attention = make_attention()
        self.feed = nn.Sequential(
            nn.Linear(channels, 3 * channels), nn.GELU("tanh"), nn.Linear(3 * channels, channels)
        )
        self.motion = nn.Linear(channels, 6)
        for layer in (self.modulation, self.motion):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def hidden_matrices(self) -> list[Tensor]:
        """Those of the feed-forward layer, for Muon; attention names its own."""
        layers: tuple[Any, ...] = (self.feed[0], self.feed[2])
        return [layer.weight for layer in layers]

    def forward(
        self, h: Tensor, condition: Tensor, edges: Any, q: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The new numbers, and u and w of every residue, ``(B, L, 3)`` each."""
        knobs = self.modulation(condition).unsqueeze(1).chunk(6, -1)
        shift, scale, gate, late_shift, late_scale, late_gate = knobs
        seen = torch.addcmul(shift, 1 + scale, self.norm(h))
        h = h + gate * self.attention(seen, edges, q, x)
        seen = torch.addcmul(late_shift, 1 + late_scale, self.norm(h))
        h = h + late_gate * self.feed(seen)
        with torch.autocast(h.device.type, enabled=False):
            u, w = self.motion(self.norm(h.to(x))).chunk(2, -1)
        return h, u, w
