r"""The invariant-point trunk, as published for FrameDiff, FrameFlow and ReQFlow.

Yim et al. 2023 (arXiv:2302.02277, arXiv:2310.05297), Yue et al. 2025 (arXiv:2502.14637). A block
is invariant point attention (``ipa``), a sequence transformer, a feed-forward layer, the motion
of the frames, and a new look at all pairs (``ipa_edges``), which is most of the cost::

    h <- LN(h + IPA(h, z, T)),   h <- h + W transformer(h),   h <- LN(h + MLP(h))
    q <- unit(q (1, b)),         x <- x + R d,                z <- transition(z, h_i, h_j)

Same function and, at the default sizes, the weights of the published network, 16,779,268, but
for these: one embedding of the time instead of one each for rotations and translations (which
are equal, so that the columns add; 32,768 weights); two bits of each pair and one of each residue,
which told of motifs, tell instead whether there is a prediction to look at; the answer has the
centre of the state.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geometry import SO3
from geometry.quaternions import quaternion_multiply, quaternion_rotate
from seqflow.process import Condition
from seqflow.product_process import Parts

from .flow import PREVIOUS, PRIOR_STD, ROTATION, TRANSLATION
from .ipa import InvariantPointAttention
from .ipa_edges import LONGEST, EdgeEmbedding, EdgeTransition, sinusoids
from .trunk import EXCLUDED, centred, ends, first_position, residues

_EMBEDDED = 128


class EncoderLayer(nn.Module):
    """A post-norm layer of a sequence transformer (Vaswani et al. 2017), feed-forward as wide.

    Not ``nn.TransformerEncoderLayer``, whose fast path (torch 2.13) answers NaN for a chain
    without residues.

    Args:
        channels: width.
        heads: of the attention.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.feed = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels)
        )
        self.feed_norm = nn.LayerNorm(channels)

    def forward(self, h: Tensor, bias: Tensor) -> Tensor:
        """Residues ``(B, L, channels)``, and logits ``(B, 1, 1, L)`` to add."""
        split = self.project(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query))
        h = self.norm(h + self.out(mixed.transpose(1, 2).flatten(-2)))
        after: Tensor = self.feed_norm(h + self.feed(h))
        return after


class IPABlock(nn.Module):
    """All of a block but the pairs.

    Args:
        attention: of invariant points.
        channels: width.
        encoder_heads: of the sequence transformer.
        encoder_layers: of the sequence transformer.
    """

    def __init__(
        self,
        attention: InvariantPointAttention,
        channels: int,
        encoder_heads: int,
        encoder_layers: int,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.norm = nn.LayerNorm(channels)
        self.encoder = nn.ModuleList(
            EncoderLayer(channels, encoder_heads) for _ in range(encoder_layers)
        )
        self.merge = nn.Linear(channels, channels)
        self.feed = nn.Sequential(
            *(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels), nn.ReLU()),
            nn.Linear(channels, channels),
        )
        self.feed_norm = nn.LayerNorm(channels)
        self.motion = nn.Linear(channels, 6)
        for layer in (self.merge, self.motion):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, h: Tensor, z: Tensor, mask: Tensor, q: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The new residues, b and d, ``(B, L, 3)`` each."""
        h = self.norm(h + self.attention(h, z, mask, q, x))
        encoded, bias = h, torch.where(mask, 0.0, EXCLUDED)[:, None, None]
        for layer in self.encoder:
            encoded = layer(encoded, bias)
        h = h + self.merge(encoded)
        h = self.feed_norm(h + self.feed(h))
        with torch.autocast(h.device.type, enabled=False):
            b, d = self.motion(h.to(x)).chunk(2, -1)
        return h, b, d


class IPANetwork(nn.Module):
    """Predicts the ends of all frames; see this module's head.

    Args:
        channels: width of a residue, even and divisible by ``encoder_heads``.
        layers: blocks.
        heads: of the invariant point attention.
        size: numbers of a query, a key and a value of a head.
        query_points: of a head.
        value_points: of a head.
        pair_channels: width of a pair, divisible by 4.
        encoder_heads: of the sequence transformers.
        encoder_layers: of the sequence transformer of a block.

    Raises:
        ValueError: if a width is not divisible as told.
    """

    def __init__(
        self,
        channels: int = 256,
        layers: int = 6,
        heads: int = 8,
        *,
        size: int = 128,
        query_points: int = 8,
        value_points: int = 12,
        pair_channels: int = 128,
        encoder_heads: int = 4,
        encoder_layers: int = 2,
    ) -> None:
        super().__init__()
        _check_widths(channels, encoder_heads, pair_channels)
        self.embed = nn.Linear(2 * _EMBEDDED + 1, channels)
        self.pairs = EdgeEmbedding(channels, pair_channels)
        points = {"query_points": query_points, "value_points": value_points}
        self.blocks = nn.ModuleList(
            IPABlock(
                InvariantPointAttention(channels, pair_channels, heads, size=size, **points),
                channels,
                encoder_heads,
                encoder_layers,
            )
            for _ in range(layers)
        )
        self.transitions = nn.ModuleList(
            EdgeTransition(channels, pair_channels) for _ in range(layers - 1)
        )

    def forward(self, x_t: Parts, t: Tensor, condition: Condition = None) -> dict[str, Tensor]:
        """The ends, as a state: ``translation``, ``rotation`` and, to be seen again, ``previous``.

        Args:
            x_t: frames and memory, see ``flow``.
            t: ``(B,)``.
            condition: ``mask``, residues that are there, bool ``(B, L)``, and ``positions``,
                their places in the chain, int64 ``(B, L)``; all, and 0, 1, ..., without it.
        """
        q, x = x_t[ROTATION], x_t[TRANSLATION]
        mask, positions = residues(x, condition)
        h = self._embedded(x_t, t, mask, positions)
        z = self.pairs(h, positions, x, x_t[PREVIOUS])
        x = centred(x, mask.unsqueeze(-1).to(x))
        for k, block in enumerate(self.blocks):
            if k:
                z = self.transitions[k - 1](h, z)
            h, b, d = block(h, z, mask, q, x / PRIOR_STD)
            x = x + PRIOR_STD * quaternion_rotate(q, d)
            q = SO3().projx(
                quaternion_multiply(q, torch.cat((torch.ones_like(b[..., :1]), b), -1))
            )
        return ends(x_t, q, x, mask)

    def _embedded(self, x_t: Parts, t: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """Place in the chain, time, and whether there is a prediction."""
        places = (positions - first_position(mask, positions)).to(t)
        places = sinusoids(places, _EMBEDDED, math.pi)
        time = sinusoids(t, _EMBEDDED, LONGEST).unsqueeze(-2).expand_as(places)
        embedded: Tensor = self.embed(torch.cat((places, time, x_t[PREVIOUS][..., 3:]), -1))
        return embedded


def _check_widths(channels: int, encoder_heads: int, pair_channels: int) -> None:
    """Raise ``ValueError`` for widths that cannot be divided."""
    if channels % encoder_heads:
        raise ValueError(
            f"expected encoder heads that divide the width, got {encoder_heads} of {channels}"
        )
    if channels % 2:
        raise ValueError(f"expected an even width, got {channels}")
    if pair_channels % 4:
        raise ValueError(f"expected pair channels divisible by 4, got {pair_channels}")
