r"""Dilated residual convolutions, for sequences whose patterns are local.

One block, conditioned on a vector c by a scale and shift of every channel (FiLM, Perez et
al. 2018), with the norm over channels of each position alone::

    h <- h + pointwise(gelu((1 + gamma(c)) conv_dilated(norm(h)) + beta(c)))

Causal padding makes position l depend on the positions before and at l only; nothing else
in a block mixes positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .embedding import TimeLabelEmbedding


class ChannelNorm(nn.Module):
    """Root-mean-square norm over the channels of ``(batch, channels, length)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1))

    def forward(self, h: Tensor) -> Tensor:
        """H / rms(h), scaled per channel."""
        return h * (h.square().mean(1, keepdim=True) + 1e-6).rsqrt() * self.scale


class ResidualBlock(nn.Module):
    """A dilated convolution and a pointwise one behind it, added to the input.

    Args:
        channels: width.
        kernel_size: taps of the dilated convolution.
        dilation: distance between its taps.
        condition_channels: size of the conditioning vector.
        causal: whether to look at earlier positions only.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        dilation: int,
        condition_channels: int,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        reach = dilation * (kernel_size - 1)
        self.padding = (reach, 0) if causal else (reach // 2, reach - reach // 2)
        self.norm = ChannelNorm(channels)
        self.dilated = nn.Conv1d(channels, channels, kernel_size, dilation=dilation)
        self.film = nn.Linear(condition_channels, 2 * channels)
        self.pointwise = nn.Conv1d(channels, channels, 1)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """``(batch, channels, length)`` and ``(batch, condition_channels)`` to the former."""
        gamma, beta = self.film(condition).unsqueeze(-1).chunk(2, 1)
        mixed = self.dilated(F.pad(self.norm(h), self.padding))
        update: Tensor = self.pointwise(F.gelu((1 + gamma) * mixed + beta))
        return h + update


class ConvolutionalTrunk(nn.Module):
    """Features, a learned position bias, and a stack of residual blocks.

    Args:
        in_features: features of a position.
        channels: width.
        max_length: the longest sequence; each position has a bias of its own.
        kernel_size: taps of every convolution.
        dilations: one block each.
        condition_channels: size of the conditioning vector.
        causal: whether to look at earlier positions only.
    """

    def __init__(
        self,
        in_features: int,
        channels: int,
        max_length: int,
        kernel_size: int,
        dilations: Sequence[int],
        condition_channels: int,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.embed = nn.Conv1d(in_features, channels, 1)
        self.position = nn.Parameter(torch.zeros(channels, max_length))
        self.blocks = nn.ModuleList(
            ResidualBlock(channels, kernel_size, dilation, condition_channels, causal=causal)
            for dilation in dilations
        )
        self.norm = ChannelNorm(channels)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """``(batch, length, in_features)`` to ``(batch, channels, length)``."""
        length = features.shape[1]
        if length > self.max_length:
            raise ValueError(
                f"expected at most {self.max_length} positions, got {length}; "
                "train on sequences that are as long"
            )
        h: Tensor = self.embed(features.movedim(-1, 1)) + self.position[:, :length]
        for block in self.blocks:
            h = block(h, condition)
        normed: Tensor = self.norm(h)
        return normed


class ConvolutionalNetwork(nn.Module):
    """Position-wise logits from features, time and label.

    Args:
        in_features: features of a position.
        out_features: logits of a position.
        num_labels: classes it can be conditioned on; 0 for none.
        channels: width.
        max_length: the longest sequence.
        kernel_size: taps of every convolution.
        dilations: one residual block each.
        causal: whether position l sees positions up to l only.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        num_labels: int,
        *,
        channels: int = 128,
        max_length: int = 100,
        kernel_size: int = 9,
        dilations: Sequence[int] = (1, 2, 4, 8, 1, 4),
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = TimeLabelEmbedding(channels, num_labels)
        self.trunk = ConvolutionalTrunk(
            in_features, channels, max_length, kernel_size, dilations, channels, causal=causal
        )
        self.head = nn.Conv1d(channels, out_features, 1)

    def forward(self, features: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """``(batch, length, in_features)`` to ``(batch, length, out_features)``."""
        h = self.trunk(features, F.silu(self.embedding(t, label)))
        logits: Tensor = self.head(h)
        return logits.movedim(1, -1)


class ConvolutionalClassifier(nn.Module):
    """Logits over labels from a whole sequence, with an embedding on the way.

    The embedding is the layer before the logits, from the mean and the maximum over
    positions: the mean knows composition, the maximum single motifs.

    Args:
        in_features: features of a position.
        num_labels: how many classes.
        embedding_size: size of the embedding.
        channels: width.
        max_length: the longest sequence.
        kernel_size: taps of every convolution.
        dilations: one residual block each.
        dropout: probability in front of the logits while training.
    """

    def __init__(
        self,
        in_features: int,
        num_labels: int,
        *,
        embedding_size: int = 64,
        channels: int = 64,
        max_length: int = 100,
        kernel_size: int = 9,
        dilations: Sequence[int] = (1, 2, 4, 1),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.time = TimeLabelEmbedding(channels)
        self.trunk = ConvolutionalTrunk(
            in_features, channels, max_length, kernel_size, dilations, channels
        )
        self.pool = nn.Linear(2 * channels, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(embedding_size, num_labels)

    def embed(self, features: Tensor, t: Tensor | None = None) -> Tensor:
        """``(batch, length, in_features)`` to ``(batch, embedding_size)``; t = 1 is clean."""
        t = features.new_ones(len(features)) if t is None else t
        h = self.trunk(features, F.silu(self.time(t)))
        embedding: Tensor = self.pool(torch.cat([h.mean(-1), h.amax(-1)], -1))
        return embedding

    def forward(self, features: Tensor, t: Tensor | None = None) -> Tensor:
        """``(batch, length, in_features)`` to ``(batch, num_labels)``."""
        return self.classify(self.embed(features, t))

    def classify(self, embedding: Tensor) -> Tensor:
        """``(batch, embedding_size)`` to ``(batch, num_labels)``."""
        logits: Tensor = self.head(self.dropout(F.gelu(embedding)))
        return logits
