r"""A transformer for tokens, told the time.

With h of ``(batch, length, width)`` and c the embedding of time and label, one block is

    h <- h + convolution((1 + s_1(c)) norm(h) + b_1(c))
    h <- h + a_1(c) attention((1 + s_1(c)) norm(h) + b_1(c))
    h <- h + a_2(c) mlp((1 + s_2(c)) norm(h) + b_2(c))

adaLN-Zero (Peebles & Xie 2023): scales s, shifts b and gates a are linear in c and start at
zero, and so do the weights of the short convolution, so that a fresh block is the identity.
Queries and keys are normed (Henry et al. 2020)
and turned by rotary positions (Su et al. 2021): pair i of a head at position l by the angle
l 10000^(-2i/head width). So attention knows only differences of positions, and no length is
the longest. The logits start at zero, or at the log frequencies of the tokens.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .embedding import TimeLabelEmbedding, TokenEmbedding
from .short_convolution import ShortConvolution

_EXPANSION = 4  # of the hidden layer of an MLP


class Rotary(nn.Module):
    """Turns pairs of features by angles in proportion to the position.

    Args:
        head_width: features of a head, even.
        base: the slowest pair turns by about 1/base radians a position.
    """

    def __init__(self, head_width: int, base: float = 10_000.0) -> None:
        super().__init__()
        exponents = torch.arange(0, head_width, 2) / head_width
        self.register_buffer("frequencies", base**-exponents, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, heads, length, head_width)``, turned."""
        frequencies: Any = self.frequencies
        positions = torch.arange(x.shape[-2], device=x.device, dtype=frequencies.dtype)
        angle = positions[:, None] * frequencies
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


class Attention(nn.Module):
    """Attention of several heads with normed queries and keys.

    Args:
        width: features of a position.
        num_heads: how many heads share them.
        causal: whether position l sees positions up to l only.
    """

    def __init__(self, width: int, num_heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.num_heads, self.causal = num_heads, causal
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.gain = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.rotary = Rotary(width // num_heads)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """``(batch, length, width)`` to the same."""
        heads = self.qkv(h).unflatten(-1, (3, self.num_heads, -1)).transpose(1, 3)
        q, k, v = heads.unbind(2)
        q = self.rotary(_norm(q) * self.gain.to(q.dtype))
        mixed = _attend(q, self.rotary(_norm(k)), v, causal=self.causal)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class TransformerBlock(nn.Module):
    """Neighbours, attention and an MLP, modulated by time and label and added to the input.

    Args:
        width: features of a position.
        num_heads: heads of the attention.
        kernel_size: neighbours that are summed before it.
        condition_width: size of the conditioning vector.
        causal: whether position l sees positions up to l only.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        kernel_size: int,
        condition_width: int,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.neighbours = ShortConvolution(width, kernel_size, causal=causal)
        self.attention = Attention(width, num_heads, causal=causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, _EXPANSION * width),
            nn.SiLU(),  # on a CPU GELU takes twice as long, and its tanh form four times
            nn.Linear(_EXPANSION * width, width),
        )
        self.modulation = _zero(nn.Linear(condition_width, 6 * width))

    def hidden_matrices(self) -> list[Tensor]:
        """What maps features of positions to such, for Muon."""
        layers: tuple[Any, ...] = (
            self.attention.qkv,
            self.attention.out,
            self.mlp[0],
            self.mlp[2],
        )
        return [layer.weight for layer in layers]

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """``(batch, length, width)`` and ``(batch, condition_width)`` to the former."""
        modulation = self.modulation(condition)[:, None].chunk(6, -1)
        scale_1, shift_1, gate_1, scale_2, shift_2, gate_2 = modulation
        h = h + self.neighbours(_modulate(h, scale_1, shift_1))
        h = h + gate_1 * self.attention(_modulate(h, scale_1, shift_1))
        out: Tensor = h + gate_2 * self.mlp(_modulate(h, scale_2, shift_2))
        return out


class Transformer(nn.Module):
    """Position-wise logits from features, time and label.

    Args:
        in_features: K, weights of tokens at a position, not negative and of any sum.
        out_features: logits of a position.
        num_labels: classes it can be conditioned on; 0 for none.
        width: features of a position inside.
        num_layers: how many blocks.
        num_heads: heads of each attention; ``width / num_heads`` must be even.
        kernel_size: positions that the short convolution of each block sums.
        condition_width: size of the vector that time and label are embedded in.
        causal: whether position l sees positions up to l only.

    Raises:
        ValueError: if the width cannot be shared among the heads.

    Example:
        >>> network = Transformer(27, 27, width=32, num_layers=2, num_heads=2)
        >>> network(torch.rand(3, 16, 27), torch.rand(3)).shape
        torch.Size([3, 16, 27])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        num_labels: int = 0,
        *,
        width: int = 128,
        num_layers: int = 4,
        num_heads: int = 4,
        kernel_size: int = 7,
        condition_width: int = 64,
        causal: bool = False,
    ) -> None:
        super().__init__()
        if width % (2 * num_heads):
            raise ValueError(
                f"expected a width that is a multiple of twice the heads, got width {width} "
                f"and {num_heads} heads"
            )
        self.embedding = TokenEmbedding(in_features, width)
        self.condition = TimeLabelEmbedding(condition_width, num_labels)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, num_heads, kernel_size, condition_width, causal=causal)
            for _ in range(num_layers)
        )
        self.modulation = _zero(nn.Linear(condition_width, 2 * width))
        self.head = _zero(nn.Linear(width, out_features))

    def forward(self, features: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """``(batch, length, in_features)`` to logits ``(batch, length, out_features)``."""
        return self.logits(self.embedding(features), t, label)

    def logits(self, h: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The same from embedded features ``(batch, length, width)``."""
        # Logits are summed with evidence and exponentiated: not in half precision.
        logits: Tensor = self.head(self.hidden(h, t, label)).to(t.dtype)
        return logits

    @torch.no_grad()
    def set_frequencies(self, counts: Tensor) -> None:
        """Start from how often each of K tokens was counted, ``(K,)``, instead of learning it.

        The logits begin at the log frequencies and evidence is averaged with them. Rare tokens
        are some nats below common ones, which a bias takes a thousand steps to get to.
        Each token counts once more, so that none is impossible.

        Raises:
            ValueError: for other than one count a token.
        """
        if counts.shape != self.head.bias.shape:
            raise ValueError(f"expected {len(self.head.bias)} counts, got {tuple(counts.shape)}")
        log_frequency = (counts + 1).log().log_softmax(0)
        self.embedding.log_frequency.copy_(log_frequency)
        self.head.bias.copy_(log_frequency)

    def hidden(self, h: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """What ``head`` makes logits of, ``(batch, length, width)``."""
        condition = F.silu(self.condition(t, label))
        for block in self.blocks:
            h = block(h, condition)
        return _modulate(h, *self.modulation(condition)[:, None].chunk(2, -1))


def _modulate(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """(1 + scale) norm(h) + shift."""
    return torch.addcmul(shift, F.layer_norm(h, h.shape[-1:]), 1 + scale)


def _norm(x: Tensor) -> Tensor:
    """Root mean square one over the last dimension."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


def _attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """softmax(q k^T / sqrt(width)) v, of ``(batch, heads, length, head_width)``."""
    length = q.shape[-2]
    # On a CPU the fused form (torch 2.13) takes four times as long in half precision, for its
    # backward pass. Longer than this, the scores would take too much memory.
    if q.device.type == "cpu" and q.dtype == torch.bfloat16 and length <= 512:
        scores = (q * q.shape[-1] ** -0.5) @ k.mT
        if causal:
            hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(hidden, -math.inf)
        mixed: Tensor = scores.softmax(-1, dtype=q.dtype) @ v
        return mixed
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def _zero(layer: nn.Linear) -> nn.Linear:
    """The layer with weights and bias of zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
