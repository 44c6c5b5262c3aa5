r"""The default trunk: a transformer that sees invariant pairs and answers in local frames.

The features of pairs (``pair_features``) become, once, a bias for every head of every layer::

    logits_ij = <q_i, k_j>/sqrt(c) + b_ij,    |q_i| = |k_j| = sqrt(c) up to a learned gain

Beside its numbers each residue sends points, T_j p_j, of which i sees the mean in its own frame,
T_i^-1 sum_j a_ij T_j p_j: directions reach the residues, at the price of some more columns of the
values. Every layer moves the frames by what it found (u, w: numbers of its own residue)::

    x_i <- x_i + s(t) R_i u_i,    q_i <- q_i Exp(s(t) w_i),    s(t) = 1 - min(t, 0.9)

which are the predicted ends at last. s(t) makes u and w of one size at all times. Nothing but
invariants enters and nothing but local vectors leaves, so a rigid motion of the state moves the
prediction along, exactly; the centre stays where it was. The time acts by scale, shift and gate of
every layer, zero at the start (adaLN-zero, Peebles and Xie 2023). Attention to points is from
AlphaFold's invariant point attention (Jumper et al. 2021), whose logits need a term of
distances that the pair bias has already.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geometry import SO3
from geometry.lengths import dot, length
from geometry.quaternions import quaternion_conjugate, quaternion_rotate
from seqflow.networks.embedding import TimeLabelEmbedding
from seqflow.process import Condition
from seqflow.product_process import Parts

from .flow import PREVIOUS, PRIOR_STD, ROTATION, TRANSLATION, remaining_noise
from .pair_features import NUM_PAIR_FEATURES, pair_features

REACH = 32
"""Farther apart along the chain, relative positions look the same."""

_FREQUENCIES = 16
_LONGEST = 256.0
_EXCLUDED = -1e4  # a logit that no residue has, finite so that an empty chain is finite too


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
        apart = (positions.unsqueeze(-2) - positions.unsqueeze(-1)).clamp(-REACH, REACH)
        z = F.silu(self.features(seen) + self.relative(apart + REACH))
        bias = self.bias(F.silu(self.hidden(z)))
        bias = torch.where(mask[:, None, :, None], bias, _EXCLUDED)
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

    def forward(self, h: Tensor, bias: Tensor, q: Tensor, x: Tensor) -> Tensor:
        """Numbers ``(B, L, c)``, bias ``(B, heads, L, L)``, frames; x in nanometres."""
        width = self.heads * self.size
        split = (width, width, width, 3 * self.heads * self.points)
        query, key, value, p = self.project(h).split(split, -1)
        query, key, value = (self._by_head(a) for a in (query, key, value))
        sent = quaternion_rotate(q.unsqueeze(-2), p.to(x).unflatten(-1, (-1, 3)))
        sent = (sent + x.unsqueeze(-2)).unflatten(-2, (self.heads, -1)).flatten(-2)
        values = torch.cat((value.to(x), sent.transpose(-2, -3)), -1)
        query = F.rms_norm(query, (self.size,)) * self.gain[0]
        key = F.rms_norm(key, (self.size,)) * self.gain[1]
        with torch.autocast(h.device.type, enabled=False):  # coordinates need their digits
            mixed = F.scaled_dot_product_attention(
                query.to(x), key.to(x), values, attn_mask=bias.to(x)
            )
        numbers, received = mixed.transpose(1, 2).split((self.size, 3 * self.points), -1)
        local = received.flatten(-2).unflatten(-1, (-1, 3)) - x.unsqueeze(-2)
        local = quaternion_rotate(quaternion_conjugate(q).unsqueeze(-2), local)
        parts = (numbers.flatten(-2), local.flatten(-2), length(dot(local, local)))
        update: Tensor = self.out(torch.cat(parts, -1))
        return update

    def _by_head(self, a: Tensor) -> Tensor:
        by_head: Tensor = a.unflatten(-1, (self.heads, self.size)).transpose(1, 2)
        return by_head


class FrameBlock(nn.Module):
    """Attention, a feed-forward layer, and the motion of the frames.

    Args:
        channels: width.
        heads: of the attention.
        points: a head.
        condition_channels: of the conditioning vector.
    """

    def __init__(self, channels: int, heads: int, points: int, condition_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = nn.Linear(condition_channels, 6 * channels)
        self.attention = PointAttention(channels, heads, points)
        self.feed = nn.Sequential(
            nn.Linear(channels, 3 * channels), nn.GELU("tanh"), nn.Linear(3 * channels, channels)
        )
        self.motion = nn.Linear(channels, 6)
        for layer in (self.modulation, self.motion):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, h: Tensor, condition: Tensor, bias: Tensor, q: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The new numbers, and u and w of every residue, ``(B, L, 3)`` each."""
        knobs = self.modulation(condition).unsqueeze(1).chunk(6, -1)
        shift, scale, gate, late_shift, late_scale, late_gate = knobs
        seen = torch.addcmul(shift, 1 + scale, self.norm(h))
        h = h + gate * self.attention(seen, bias, q, x)
        seen = torch.addcmul(late_shift, 1 + late_scale, self.norm(h))
        h = h + late_gate * self.feed(seen)
        with torch.autocast(h.device.type, enabled=False):
            u, w = self.motion(self.norm(h.to(x))).chunk(2, -1)
        return h, u, w


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
        >>> network = PairBiasTransformer(channels=16, layers=1, heads=2)
        >>> x_t = {
        ...     "translation": torch.randn(2, 9, 3),
        ...     "rotation": SO3().random_uniform(2, 9),
        ...     "previous": torch.zeros(2, 9, 4),
        ... }
        >>> {name: tuple(x.shape) for name, x in network(x_t, torch.rand(2)).items()}
        {'translation': (2, 9, 3), 'rotation': (2, 9, 4), 'previous': (2, 9, 4)}
    """

    frequencies: Tensor

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
        steps = torch.arange(_FREQUENCIES) / (_FREQUENCIES - 1)
        self.register_buffer("frequencies", math.pi * _LONGEST**-steps, persistent=False)
        self.time = TimeLabelEmbedding(condition_channels)
        self.embed = nn.Linear(4 * _FREQUENCIES + 4, channels)
        self.pairs = PairBias(layers, heads, pair_channels)
        self.blocks = nn.ModuleList(
            FrameBlock(channels, heads, points, condition_channels) for _ in range(layers)
        )

    def forward(self, x_t: Parts, t: Tensor, condition: Condition = None) -> dict[str, Tensor]:
        """The ends, as a state: ``translation``, ``rotation`` and, to be seen again, ``previous``.

        Args:
            x_t: frames and memory, see ``flow``.
            t: ``(B,)``.
            condition: ``mask``, residues that are there, bool ``(B, L)``, and ``positions``,
                their places in the chain, int64 ``(B, L)``; all, and 0, 1, ..., without it.
        """
        q_t, origin = x_t[ROTATION], x_t[TRANSLATION]
        mask, positions = _residues(origin, condition)
        present = mask.unsqueeze(-1).to(origin)
        s = remaining_noise(t)[:, None, None]
        with torch.autocast(origin.device.type, enabled=False):
            pairs = pair_features(q_t, origin, x_t[PREVIOUS])
            own = _own_features(q_t, origin, x_t[PREVIOUS], s)
        biases = self.pairs(pairs, positions, mask)
        h = self.embed(torch.cat((self._places(positions, mask), own), -1))
        c = F.silu(self.time(t))
        q, x = q_t, origin
        for block, bias in zip(self.blocks, biases, strict=True):
            h, u, w = block(h, c, bias, q, x / PRIOR_STD)
            x = x + PRIOR_STD * s * quaternion_rotate(q, u)
            q = SO3().expmap(q, s * w)
        x = origin + _centred(x - origin, present)
        q = torch.where(mask.unsqueeze(-1), SO3().projx(q), q_t)
        return {TRANSLATION: x, ROTATION: q, PREVIOUS: torch.cat((present * x, present), -1)}

    def _places(self, positions: Tensor, mask: Tensor) -> Tensor:
        """Sines and cosines of the places from either end, ``(B, L, 64)``."""
        first = torch.where(mask, positions, positions.amax(-1, keepdim=True)).amin(-1, True)
        last = torch.where(mask, positions, first).amax(-1, keepdim=True)
        places = torch.stack((positions - first, last - positions), -1)
        phase = (places.unsqueeze(-1) * self.frequencies).flatten(-2)
        return torch.cat((phase.sin(), phase.cos()), -1)


def _residues(x: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
    """Mask and positions."""
    if condition is None:
        mask = torch.ones_like(x[..., 0], dtype=torch.bool)
        return mask, torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
    return condition["mask"], condition["positions"]  # type: ignore[index]  # a mapping


def _own_features(q: Tensor, x: Tensor, previous: Tensor, s: Tensor) -> Tensor:
    """Where this residue was predicted to go, in its own frame, and whether it was."""
    known = previous[..., 3:]
    way = quaternion_rotate(quaternion_conjugate(q), previous[..., :3] - known * x)
    return torch.cat((way / (PRIOR_STD * s), known), -1)


def _centred(x: Tensor, present: Tensor) -> Tensor:
    """``x`` (B, L, 3) less its mean over the residues that are there, zero elsewhere."""
    x = x * present
    mean = x.sum(-2, keepdim=True) / present.sum(-2, keepdim=True).clamp_min(1)
    return x - present * mean
