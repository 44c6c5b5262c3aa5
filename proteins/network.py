r"""The default trunk: a transformer that sees invariant pairs and answers in local frames.

The features of pairs (``pair_features``) become, once, a bias for every head of every layer::

    logits_ij = <q_i, k_j>/sqrt(c) + b_ij,    |q_i| = |k_j| = sqrt(c) up to a learned gain

Beside its numbers each residue sends points, T_j p_j, of which i sees the mean in its own frame,
T_i^-1 sum_j a_ij T_j p_j: directions reach the residues, at the price of some more columns of the
values. Every layer moves the frames by what it found (``trunk``), which are the predicted ends at
last. Attention to points is from AlphaFold's invariant point attention (Jumper et al. 2021), whose
logits need a term of distances that the pair bias has already.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geometry.lengths import dot, length
from seqflow.networks.embedding import TimeLabelEmbedding
from seqflow.process import Condition
from seqflow.product_process import Parts

from .flow import PREVIOUS, PRIOR_STD, ROTATION, TRANSLATION, remaining_noise
from .frame_block import FrameBlock
from .pair_features import NUM_PAIR_FEATURES, pair_features
from .trunk import (
    EXCLUDED,
    NUM_OWN_FEATURES,
    REACH,
    ChainPlaces,
    ends,
    move,
    own_features,
    relative_index,
    residues,
    to_global,
    to_local,
)


class PairBias(nn.Module):
    """Invariant pair features to one bias a head and layer, ``(layers, B, heads, L, L)``.

    Args:
        layers: of the trunk.
        heads: of a layer.
        channels: hidden numbers of a pair.
    """

    def __init__(self, layers: int, heads: int, channels: int) -> None:
        super().__init__()
        self.layers = layers
        self.features = nn.Linear(NUM_PAIR_FEATURES, channels)
        self.relative = nn.Embedding(2 * REACH + 1, channels)
        self.hidden = nn.Linear(channels, channels)
        self.bias = nn.Linear(channels, layers * heads)

    def forward(self, seen: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Features ``(B, L, L, n)``, places in the chain ``(B, L)`` and who is there."""
        apart = positions.unsqueeze(-2) - positions.unsqueeze(-1)
        z = F.silu(self.features(seen) + self.relative(relative_index(apart)))
        bias = self.bias(F.silu(self.hidden(z)))
        bias = torch.where(mask[:, None, :, None], bias, EXCLUDED)
        by_layer: Tensor = bias.unflatten(-1, (self.layers, -1)).permute(3, 0, 4, 1, 2)
        return by_layer.contiguous()


class PointAttention(nn.Module):
    """Attention with pair bias, whose values are numbers and points.

    Args:
        channels: width.
        heads: their number divides the width.
        points: that each residue sends, a head.
    """

    def __init__(self, channels: int, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.points = heads, points
        self.size = channels // heads
        self.project = nn.Linear(channels, 3 * channels + 3 * heads * points)
        self.gain = nn.Parameter(torch.ones(2, heads, 1, self.size))
        self.out = nn.Linear(channels + 4 * heads * points, channels)

    def hidden_matrices(self) -> list[Tensor]:
        """What maps numbers to numbers, for Muon."""
        return [self.project.weight, self.out.weight]

    def forward(self, h: Tensor, bias: Tensor, q: Tensor, x: Tensor) -> Tensor:
        """Numbers ``(B, L, c)``, bias ``(B, heads, L, L)``, frames; x in nanometres."""
        width = self.heads * self.size
        split = (width, width, width, 3 * self.heads * self.points)
        query, key, value, p = self.project(h).split(split, -1)
        query, key, value = (self._by_head(a) for a in (query, key, value))
        sent = to_global(q, x, p.to(x).unflatten(-1, (-1, 3)))
        sent = sent.unflatten(-2, (self.heads, -1)).flatten(-2)
        values = torch.cat((value.to(x), sent.transpose(-2, -3)), -1)
        query = F.rms_norm(query, (self.size,)) * self.gain[0]
        key = F.rms_norm(key, (self.size,)) * self.gain[1]
        with torch.autocast(h.device.type, enabled=False):  # coordinates need their digits
            mixed = F.scaled_dot_product_attention(
                query.to(x), key.to(x), values, attn_mask=bias.to(x)
            )
        numbers, received = mixed.transpose(1, 2).split((self.size, 3 * self.points), -1)
        local = to_local(q, x, received.flatten(-2).unflatten(-1, (-1, 3)))
        parts = (numbers.flatten(-2), local.flatten(-2), length(dot(local, local)))
        update: Tensor = self.out(torch.cat(parts, -1))
        return update

    def _by_head(self, a: Tensor) -> Tensor:
        by_head: Tensor = a.unflatten(-1, (self.heads, self.size)).transpose(1, 2)
        return by_head


class PairBiasTransformer(nn.Module):
    """Predicts the ends of all frames; see this module's head.

    Args:
        channels: width, divisible by ``heads``.
        layers: blocks.
        heads: of each.
        points: a head.
        pair_channels: hidden numbers of a pair.
        condition_channels: of the embedded time.

    Raises:
        ValueError: if the heads do not divide the width.

    Example:
        >>> from geometry import SO3
        >>> network = PairBiasTransformer(channels=16, layers=1, heads=2)
        >>> x_t = {
        ...     "translation": torch.randn(2, 9, 3),
        ...     "rotation": SO3().random_uniform(2, 9),
        ...     "previous": torch.zeros(2, 9, 4),
        ... }
        >>> {name: tuple(x.shape) for name, x in network(x_t, torch.rand(2)).items()}
        {'translation': (2, 9, 3), 'rotation': (2, 9, 4), 'previous': (2, 9, 4)}
    """

    def __init__(
        self,
        channels: int = 192,
        layers: int = 6,
        heads: int = 8,
        *,
        points: int = 4,
        pair_channels: int = 64,
        condition_channels: int = 64,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"expected heads that divide the width, got {heads} of {channels}")
        self.places = ChainPlaces()
        self.time = TimeLabelEmbedding(condition_channels)
        self.embed = nn.Linear(ChainPlaces.channels + NUM_OWN_FEATURES, channels)
        self.pairs = PairBias(layers, heads, pair_channels)
        self.blocks = nn.ModuleList(
            FrameBlock(
                channels, condition_channels, partial(PointAttention, channels, heads, points)
            )
            for _ in range(layers)
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
        s = remaining_noise(t)[:, None, None]
        with torch.autocast(x.device.type, enabled=False):
            pairs = pair_features(q, x, x_t[PREVIOUS])
            own = own_features(x_t, s)
        biases = self.pairs(pairs, positions, mask)
        h = self.embed(torch.cat((self.places(positions, mask), own), -1))
        c = F.silu(self.time(t))
        for block, bias in zip(self.blocks, biases, strict=True):
            h, u, w = block(h, c, bias, q, x / PRIOR_STD)
            q, x = move(q, x, u, w, s)
        return ends(x_t, q, x, mask)
